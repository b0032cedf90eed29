"""Our ONNX encoders against eager PyTorch open_clip as a user would write it, both in one run.

    python benchmarks/runtime.py                        # ViT-B-32 with random weights: speed does not depend on them
    python benchmarks/runtime.py --run runs/clip-ita    # also what int8 loses on a model trained on the real catalogue

Every figure is a median over --rounds, both sides taking turns. Writes benchmarks/results/runtime.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from PIL import Image

from clipita.catalogue.images import load_image
from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.readers import CatalogueFile
from clipita.exporters.bundle_writer import export_bundle
from clipita.model.checkpoint import TrainedModel, load_run
from clipita.model.clip_ita import ClipIta
from clipita.model.towers import TowerSource, build_towers
from clipita.runtime import Bundle, ProductEncoder, TextEncoder, best_batch_size, encode_products
from clipita.runtime.preprocess import decode_size, to_pixels

TOWER = "ViT-B-32"
PACKAGES = ("torch", "open_clip_torch", "onnxruntime", "tokenizers", "pillow", "numpy")
STEPS = ["text", "product", "picture", "cold_start", "batch_size", "int8_quality", "memory"]
Timed = dict[str, float]


def main() -> None:
    """Everything, one after the other."""
    arguments = _arguments()
    files = [arguments.data / f"{name}.parquet" for name in ("valid", "test")]
    result: dict[str, Any] = record.provenance(PACKAGES, files)
    result |= {"tower": f"{TOWER}, random weights", "rounds": arguments.rounds, "load_average": os.getloadavg()}
    result["vnni"] = (
        "avx512_vnni" in Path("/proc/cpuinfo").read_text() or "avx_vnni" in Path("/proc/cpuinfo").read_text()
    )
    print(json.dumps({key: result[key] for key in ("machine", "versions", "load_average", "vnni")}, indent=2))
    with tempfile.TemporaryDirectory() as folder:
        bundles = _export_vit(files[0], arguments.bundles or Path(folder))
        products = list(islice(CatalogueFile(files[1]).products(lambda _: None), arguments.products))
        user = _User()
        steps: dict[str, Callable[[], Any]] = {
            "text": lambda: text(user, bundles["fp32"], products, arguments),
            "product": lambda: product(user, bundles, products, arguments),
            "picture": lambda: picture(user, bundles["fp32"], arguments),
            "cold_start": lambda: cold_start(bundles["fp32"], arguments.rounds),
            "batch_size": lambda: batch_size(bundles["fp32"], products),
            "int8_quality": lambda: int8_quality(arguments.run, files[0]),
            "memory": lambda: memory(files[1], arguments.memory_products),
        }
        result["gpu"] = "not measured: no machine with a GPU was at hand"
        for name, step in steps.items():
            if name in arguments.steps:
                result[name] = _say(name, step())
                result["load_average_after"] = os.getloadavg()
                print(f"Written to {record.write(arguments.name, result)}")


def _say(name: str, value: Any) -> Any:
    print(json.dumps({name: value}, indent=2), flush=True)
    return value


class _User:
    """open_clip as its README shows it: fp32, eager, its own transform and tokenizer."""

    def __init__(self) -> None:
        import open_clip

        torch.manual_seed(0)
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(TOWER, pretrained=None)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(TOWER)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit features, in batches of 64."""
        parts = [
            self.model.encode_text(self.tokenizer(list(texts[start : start + 64])), normalize=True)
            for start in range(0, len(texts), 64)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def products(self, products: Sequence[Product]) -> list[torch.Tensor]:
        """Features of image, title and the mean of the attributes, in one batch."""
        pixels = [self.preprocess(Image.open(io.BytesIO(_bytes(product)))) for product in products]
        images = self.model.encode_image(torch.stack(pixels), normalize=True)
        titles = self.texts([product.title or "" for product in products])
        attributes = self.texts([text for product in products for text in product.attribute_texts])
        groups = torch.split(attributes, [len(product.attribute_texts) for product in products])
        return [images, titles, torch.stack([group.mean(dim=0) for group in groups])]


def text(user: _User, bundle: Bundle, products: Sequence[Product], arguments: argparse.Namespace) -> Timed:
    """Real category names and titles."""
    names = sorted({name for item in products for name in item.category_path})
    texts = list(dict.fromkeys([*names, *(item.title or "" for item in products)]))[: arguments.texts]
    encoder = TextEncoder(bundle)
    theirs, ours = _turns(lambda: user.texts(texts), lambda: encoder.encode(texts), arguments.rounds)
    return _compared("texts/s", len(texts), theirs, len(texts), ours)


def product(
    user: _User, bundles: dict[str, Bundle], products: Sequence[Product], arguments: argparse.Namespace
) -> dict[str, Timed]:
    """Image, title and attributes; the cache of attributes starts empty in every round."""
    few = products[: arguments.torch_products]
    result = {}
    for precision, bundle in bundles.items():
        encoder = ProductEncoder(bundle)

        def ours(encoder: ProductEncoder = encoder) -> None:
            encoder.forget()
            for _ in encode_products(encoder, products, batch_size=32, on_reject=_fail):
                pass

        timed = _turns(lambda: user.products(few), ours, arguments.rounds)
        result[precision] = _compared("products/s", len(few), timed[0], len(products), timed[1])
    reference, rounded = (_vectors(bundles[name], products) for name in ("fp32", "int8"))
    result["int8"]["lowest_cosine_with_fp32"] = float((reference * rounded).sum(axis=1).min())
    return result


def picture(user: _User, bundle: Bundle, arguments: argparse.Namespace) -> Timed:
    """From the bytes of a 1000 x 1000 JPEG to what the encoder takes; one thread on both sides."""
    files = [_drawn_jpeg(seed) for seed in range(arguments.pictures)]
    spec = bundle.image_spec
    size = decode_size(spec)
    theirs, ours = _turns(
        lambda: [user.preprocess(Image.open(io.BytesIO(data))) for data in files],
        lambda: [to_pixels(load_image(ImageSource(data), at_least=size), spec) for data in files],
        arguments.rounds,
    )
    result = _compared("pictures/s", len(files), theirs, len(files), ours)
    with torch.no_grad():
        whole = [user.preprocess(Image.open(io.BytesIO(data))) for data in files]
        reduced = [torch.from_numpy(to_pixels(load_image(ImageSource(data), at_least=size), spec)) for data in files]
        mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
        scaled = [((pixels / 255.0 - mean) / std).permute(2, 0, 1) for pixels in reduced]
        left, right = (user.model.encode_image(torch.stack(side), normalize=True) for side in (whole, scaled))
    return result | {"lowest_vector_cosine": float((left * right).sum(dim=1).min())}


def cold_start(bundle: Bundle, rounds: int) -> Timed:
    """From the start of a process to the first text's vector."""
    code = (
        "from clipita.runtime.bundle import Bundle, QUERY_FILES\n"
        "from clipita.runtime.encoders import TextEncoder\n"
        f"TextEncoder(Bundle.load({str(bundle.path)!r}, QUERY_FILES)).encode(['running shoes'])"
    )
    seconds, cpu = [], []
    for _ in range(rounds + 1):
        start, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-c", code], check=True)
        seconds.append(time.perf_counter() - start)
        after = os.times()
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return {"seconds": statistics.median(seconds[1:]), "cpu_seconds": statistics.median(cpu[1:])}


def batch_size(bundle: Bundle, products: Sequence[Product]) -> dict[str, Any]:
    """What `best_batch_size` finds here."""
    encoder = ProductEncoder(bundle)
    chosen, rates = best_batch_size(encoder, [encoder.prepare(item) for item in products[:32]], (4, 8, 16, 32), 2)
    return {"chosen": chosen, "products_per_second": rates}


def memory(file: Path, count: int) -> dict[str, Any]:
    """Resident memory while a stream of products is encoded, with a tower so small that the stream is long."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = _export_small(file, Path(folder))
        products = list(CatalogueFile(file).products(lambda _: None))
        stream = (products[number % len(products)] for number in range(count))
        curve, start = {}, time.perf_counter()
        for done, _ in enumerate(encode_products(ProductEncoder(bundle), stream, on_reject=_fail), 1):
            if done % (count // 20) == 0:
                curve[done] = round(_resident_mib(), 1)
                print(f"{done:>8} products {curve[done]:8.1f} MiB", flush=True)
    warm = [value for done, value in curve.items() if done >= count // 5]
    seconds = time.perf_counter() - start
    return {
        "products": count,
        "mib_by_products": curve,
        "growth_after_warm_up_mib": warm[-1] - warm[0],
        "seconds": seconds,
    }


def int8_quality(run: Path | None, valid: Path) -> dict[str, Any] | str:
    """R-precision of a trained model on validation products, PyTorch against int8."""
    if run is None:
        return "not measured: no --run given"
    with tempfile.TemporaryDirectory() as folder:
        _, parity = export_bundle(
            load_run(run), CatalogueFile(valid), Path(folder) / "int8", lowest_cosine=0.9999, products=2000,
            precision="int8", max_loss=100, command="benchmark", report=lambda _: None,
        )  # fmt: skip
    return {
        "run": run.name,
        "products": parity.products,
        "torch": parity.torch_r_precision,
        "int8": parity.onnx_r_precision,
        "points_lost": parity.lost,
        "lowest_cosine": parity.lowest_product,
    }


def _export_vit(file: Path, folder: Path) -> dict[str, Bundle]:
    missing = [name for name in ("fp32", "int8") if not (folder / name).exists()]
    if missing:
        towers = build_towers(TowerSource(TOWER, None, None))
        trained = TrainedModel(ClipIta(towers, "ITA").eval(), [("Apparel", "Topwear")], {}, {}, pretrained_towers=False)
        for precision in missing:
            _export(trained, file, folder / precision, precision)
    return {name: Bundle.load(folder / name) for name in ("fp32", "int8")}


def _export_small(file: Path, folder: Path) -> Bundle:
    vision = {"image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 32}
    words = {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": words}
    trained = TrainedModel(ClipIta(build_towers(TowerSource("small", None, config))).eval(), [("A", "B")], {}, {})
    return _export(trained, file, folder / "small", "fp32")


def _export(trained: TrainedModel, file: Path, target: Path, precision: Any) -> Bundle:
    bundle: Bundle
    bundle, _ = export_bundle(
        trained, CatalogueFile(file), target, lowest_cosine=0.9999, products=8, precision=precision, max_loss=100,
        command="benchmark", report=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    return bundle


def _turns(theirs: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, taking turns so that a busy minute hits both; one round warms up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for side, work in zip(seconds, (theirs, ours), strict=True):
            start = time.perf_counter()
            work()
            side.append(time.perf_counter() - start)
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


def _compared(unit: str, their_count: int, theirs: float, our_count: int, ours: float) -> Timed:
    slow, fast = their_count / theirs, our_count / ours
    return {
        f"pytorch {unit}": slow,
        f"clipita {unit}": fast,
        "times": fast / slow,
        "pytorch items": their_count,
        "clipita items": our_count,
    }


def _vectors(bundle: Bundle, products: Sequence[Product]) -> Any:
    return np.stack([vector for _, vector in encode_products(ProductEncoder(bundle), products, on_reject=_fail)])


def _drawn_jpeg(seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize(
        (1000, 1000), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse, dtype=np.int16) + chance.normal(0, 8, (1000, 1000, 1)).astype(np.int16)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _bytes(product: Product) -> bytes:
    assert product.image is not None
    assert product.image.data is not None
    return product.image.data


def _resident_mib() -> float:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _fail(product: Product, error: Exception) -> None:
    raise SystemExit(f"{product.id}: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=record.FASHION, help="Folder of the real catalogue.")
    parser.add_argument("--run", type=Path, help="A run trained on it, for what int8 loses.")
    parser.add_argument("--bundles", type=Path, help="Keep the exported ViT-B-32 here, and use it the next time.")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="Only these.")
    parser.add_argument("--name", default="runtime", help="Of the result file.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=192)
    parser.add_argument("--products", type=int, default=128)
    parser.add_argument("--torch-products", type=int, default=16, help="Products a round of the slow side.")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--memory-products", type=int, default=100_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
