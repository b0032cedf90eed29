"""The gate of every export: vectors and rankings must equal PyTorch's on real products and all category names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import CatalogueError, ExportError, ParityError, ProductError
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.model.checkpoint import TrainedModel
from clipita.model.clip_ita import ClipIta
from clipita.runtime.bundle import Bundle
from clipita.runtime.encoders import ProductEncoder, TextEncoder
from clipita.runtime.inputs import ProductInput, assemble, prepare_product

BATCH = 32
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A real product without its image, and its input for the encoder."""

    product: Product
    prepared: ProductInput


@dataclass(frozen=True)
class Parity:
    """How well a bundle agrees with its model: products and texts compared, their lowest cosines, and R-precision.

    R-precision is that of the products' own categories over these products, in percent. Among the products are some
    without image, title or attributes.
    """

    products: int
    lowest_product: float
    texts: int
    lowest_text: float
    torch_r_precision: float
    onnx_r_precision: float

    @property
    def lost(self) -> float:
        """Points of R-precision lost; negative where ONNX happens to rank better."""
        return self.torch_r_precision - self.onnx_r_precision


def real_samples(catalogue: CatalogueFile, model: ClipIta, count: int) -> list[Sample]:
    """The first usable products of a catalogue.

    Raises:
        ExportError: the catalogue has none.
    """
    samples: list[Sample] = []
    for product in catalogue.products(lambda _: None):
        try:
            prepared = prepare_product(product, model.modalities, model.towers.image_spec)
        except ProductError:
            continue  # `clipita catalogue check` and the ingest report it
        samples.append(Sample(replace(product, images=(), extra={}), prepared))
        if len(samples) == count:
            break
    if not samples:
        raise ExportError(
            f"{catalogue.file} has no usable product to compare ONNX and PyTorch on.",
            hint="See what is wrong with: clipita catalogue check",
        )
    return samples


def with_gaps(samples: Sequence[Sample], modalities: str) -> list[tuple[str, ProductInput]]:
    """A few products once more, each without one of its modalities, and with an image more."""
    gaps = []
    for sample in samples[:8]:
        variants = {
            "image": replace(sample.prepared, images=()),
            "title": replace(sample.prepared, title=None),
            "attributes": replace(sample.prepared, attributes=()),
        }
        gaps += [
            (f"{sample.product.id} without {gap}", variant)
            for gap, variant in variants.items()
            if gap[0].upper() in modalities and (variant.images or variant.title is not None or variant.attributes)
        ]
        if images := sample.prepared.images:
            more = replace(sample.prepared, images=(*images, images[0][:, ::-1]))
            gaps.append((f"{sample.product.id} with an image more", more))
    return gaps


def compare(
    trained: TrainedModel, bundle: Bundle, samples: Sequence[Sample], lowest_cosine: float, max_loss: float
) -> Parity:
    """Encode the same products and category names both ways, and rank with both.

    Raises:
        ParityError: a cosine is too low (names the worst product or category) or R-precision drops too much.
    """
    compared = [(s.product.id, s.prepared) for s in samples] + with_gaps(samples, trained.model.modalities)
    encoder, pairs = ProductEncoder(bundle), []
    for start in range(0, len(compared), BATCH):
        batch = [item for _, item in compared[start : start + BATCH]]
        pairs.append((_torch_products(trained.model, batch), encoder.encode(batch)))
    products = _Both(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
    _demand(products.cosines, [f"product {name}" for name, _ in compared], lowest_cosine)
    on_paths = {name for sample in samples for name in sample.product.category_names}
    names = sorted({path[-1] for path in trained.categories} | on_paths)
    names += [f"something like {name.lower()}" for name in names[:64]]  # queries that are not a category's name
    texts = _Both(_torch_texts(trained.model, names), TextEncoder(bundle).encode(names))
    _demand(texts.cosines, [f"category {name}" for name in names], lowest_cosine)
    before, after = _r_precision(samples, names, products, texts)
    if before - after > max_loss:
        raise ParityError(
            f"ONNX ranks worse than PyTorch: R-precision {after:.2f} against {before:.2f} on {len(samples)} products, "
            f"at most {max_loss} points may be lost. No bundle was written.",
            hint="Choose another --precision, or allow more with --max-loss.",
        )
    return Parity(len(samples), float(products.cosines.min()), len(names), float(texts.cosines.min()), before, after)


@dataclass(frozen=True)
class _Both:
    torch: Vectors
    onnx: Vectors

    @property
    def cosines(self) -> npt.NDArray[np.float64]:
        left, right = self.torch.astype(np.float64), self.onnx.astype(np.float64)
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        result: npt.NDArray[np.float64] = (left * right).sum(axis=1) / norms
        return result


def _r_precision(samples: Sequence[Sample], names: Sequence[str], products: _Both, texts: _Both) -> tuple[float, float]:
    """R-precision in percent by PyTorch's and by ONNX's vectors; 0 and 0 where no product has a category."""
    try:
        protocol = TreeProtocol(sample.product for sample in samples)
    except CatalogueError:
        return 0.0, 0.0
    by_id = {sample.product.id: row for row, sample in enumerate(samples)}
    rows = [by_id[product.id] for product in protocol.products]
    column = {name: position for position, name in enumerate(names)}
    asked = [column[query.text] for query in protocol.queries]

    def mean(query_vectors: Vectors, product_vectors: Vectors) -> float:
        rankings = protocol.rank_vectors(query_vectors[asked], product_vectors[rows])
        return protocol.score(System("gate", "vector", "offline"), rankings).mean("R-precision")

    return mean(texts.torch, products.torch), mean(texts.onnx, products.onnx)


@torch.no_grad()
def _torch_products(model: ClipIta, inputs: Sequence[ProductInput]) -> Vectors:
    tensors = assemble(inputs, model.towers.image_spec, model.towers.tokenizer)
    features = model.product_features(**{name: torch.from_numpy(value) for name, value in tensors.items()})
    vectors: Vectors = model.product(features).numpy()
    return vectors


@torch.no_grad()
def _torch_texts(model: ClipIta, texts: Sequence[str]) -> Vectors:
    # One text per batch: the padding of serving must not matter.
    vectors = [model.query(model.towers.encode_text(torch.from_numpy(model.towers.tokenizer([t])))) for t in texts]
    stacked: Vectors = torch.cat(vectors).numpy()
    return stacked


def _demand(cosines: npt.NDArray[np.float64], names: Sequence[str], lowest: float) -> None:
    worst = int(np.argmin(np.where(np.isnan(cosines), -np.inf, cosines)))
    if not cosines[worst] >= lowest:
        failed = int((~(cosines >= lowest)).sum())
        raise ParityError(
            f"ONNX and PyTorch disagree on {failed} of {len(cosines)}: {names[worst]} has cosine {cosines[worst]:.6f}, "
            f"at least {lowest} is required. No bundle was written.",
            hint="Try another --precision; for fp32, report the tower and the versions of torch and onnxruntime.",
        )
