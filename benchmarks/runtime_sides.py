"""The two sides of the runtime benchmark: open_clip in eager PyTorch as a user writes it, and exported bundles."""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.exporters.bundle import export_bundle
from clipita.model.checkpoint import TrainedModel
from clipita.model.clip_ita import ClipIta
from clipita.model.towers import TowerSource, build_towers
from clipita.runtime import Bundle

TOWER = "ViT-B-32"
USER_BATCH = 64


class User:
    """open_clip as its README shows it: fp32, eager, its own transform and tokenizer."""

    def __init__(self) -> None:
        import open_clip

        torch.manual_seed(0)
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(TOWER, pretrained=None)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(TOWER)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit features of texts."""
        parts = [
            self.model.encode_text(self.tokenizer(list(texts[start : start + USER_BATCH])), normalize=True)
            for start in range(0, len(texts), USER_BATCH)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def products(self, products: Sequence[Product]) -> list[torch.Tensor]:
        """Features of image, title and the mean of the attributes, in one batch."""
        pixels = [self.preprocess(Image.open(io.BytesIO(image_bytes(product)))) for product in products]
        images = self.model.encode_image(torch.stack(pixels), normalize=True)
        titles = self.texts([product.title or "" for product in products])
        attributes = self.texts([text for product in products for text in product.attribute_texts])
        groups = torch.split(attributes, [len(product.attribute_texts) for product in products])
        return [images, titles, torch.stack([group.mean(dim=0) for group in groups])]


def export_vit(file: Path, folder: Path, precisions: Sequence[str]) -> dict[str, Bundle]:
    """ViT-B-32 with random weights in each precision; what a folder has already is taken as it is."""
    missing = [name for name in precisions if not (folder / name / "manifest.json").exists()]
    if missing:
        torch.manual_seed(0)
        towers = build_towers(TowerSource(TOWER, None, None))
        trained = TrainedModel(ClipIta(towers, "ITA").eval(), [("Apparel", "Topwear")], {}, {}, pretrained_towers=False)
        for precision in missing:
            export(trained, file, folder / precision, precision)
    return {name: Bundle.load(folder / name) for name in precisions}


def export_small(file: Path, folder: Path) -> Bundle:
    """Towers so small that a long stream of products takes minutes."""
    vision = {"image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 32}
    words = {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": words}
    trained = TrainedModel(ClipIta(build_towers(TowerSource("small", None, config))).eval(), [("A", "B")], {}, {})
    return export(trained, file, folder / "small", "fp32")


def export(trained: TrainedModel, file: Path, target: Path, precision: Any) -> Bundle:
    """A bundle for speed alone: compared on a few products, whatever its rankings lose."""
    bundle: Bundle
    bundle, _ = export_bundle(
        trained, CatalogueFile(file), target, lowest_cosine=0.9999, products=8, precision=precision, max_loss=100,
        command="benchmark", report=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    return bundle


def turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side's rounds, the sides taking turns so that a busy minute hits all; one round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}


def compared(unit: str, theirs: tuple[int, list[float]], ours: tuple[int, list[float]]) -> dict[str, Any]:
    """Rates by the medians, and how many times faster the second is.

    Args:
        unit: what is counted.
        theirs: items of a round, and the rounds' seconds.
        ours: likewise.
    """
    slow, fast = (count / statistics.median(seconds) for count, seconds in (theirs, ours))
    return {
        f"pytorch {unit}": slow,
        f"clipita {unit}": fast,
        "times": fast / slow,
        "pytorch items": theirs[0],
        "clipita items": ours[0],
        "pytorch seconds": theirs[1],
        "clipita seconds": ours[1],
    }


def image_bytes(product: Product) -> bytes:
    """A product's picture, as the catalogue holds it."""
    assert product.image is not None
    assert product.image.data is not None
    return product.image.data


def refuse(product: Product, error: Exception) -> None:
    """The benchmark's catalogue has no broken products."""
    raise SystemExit(f"{product.id}: {error}")
