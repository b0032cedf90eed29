"""The gate of every export: ONNX and PyTorch must agree on real products and on every category name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from clipita.catalogue.readers import CatalogueFile
from clipita.config import FieldsConfig
from clipita.errors import ExportError, ParityError, ProductError
from clipita.model.checkpoint import TrainedModel
from clipita.model.clip_ita import ClipIta
from clipita.runtime.bundle import Bundle
from clipita.runtime.encoders import ProductEncoder, ProductInput, TextEncoder, assemble, prepare_product

BATCH = 32


@dataclass(frozen=True)
class Parity:
    """How well a bundle agrees with its model.

    Attributes:
        products: how many real products were compared.
        lowest_product: their lowest cosine, products without image, title or attributes included.
        texts: how many category names were compared.
        lowest_text: their lowest cosine.
    """

    products: int
    lowest_product: float
    texts: int
    lowest_text: float


def real_inputs(catalogue: CatalogueFile, model: ClipIta, count: int) -> list[tuple[str, ProductInput]]:
    """The first usable products of a catalogue, ready for the encoder, with their ids.

    Raises:
        ExportError: the catalogue has none.
    """
    inputs: list[tuple[str, ProductInput]] = []
    for product in catalogue.products(lambda _: None):
        try:
            prepared = prepare_product(product, model.modalities, model.towers.image_spec)
        except ProductError:
            continue  # `clipita catalogue check` and the ingest report it; here only usable products matter
        inputs.append((product.id, prepared))
        if len(inputs) == count:
            break
    if not inputs:
        raise ExportError(f"{catalogue.file} has no usable product to compare ONNX and PyTorch on.")
    return inputs


def with_gaps(inputs: Sequence[tuple[str, ProductInput]], modalities: str) -> list[tuple[str, ProductInput]]:
    """A few products once more, each without one of its modalities."""
    gaps = []
    for name, item in islice(inputs, 8):
        variants = {
            "image": replace(item, pixels=None),
            "title": replace(item, title=None),
            "attributes": replace(item, attributes=()),
        }
        gaps += [
            (f"{name} without {gap}", variant)
            for gap, variant in variants.items()
            if gap[0].upper() in modalities
            and (variant.pixels is not None or variant.title is not None or variant.attributes)
        ]
    return gaps


def compare(trained: TrainedModel, bundle: Bundle, inputs: Sequence[tuple[str, ProductInput]], lowest: float) -> Parity:
    """Encode the same products and category names both ways.

    Args:
        trained: the PyTorch side.
        bundle: the ONNX side.
        inputs: real products.
        lowest: the cosine that every one of them must reach.

    Raises:
        ParityError: one does not; names it.
    """
    compared = [*inputs, *with_gaps(inputs, trained.model.modalities)]
    encoder = ProductEncoder(bundle)
    cosines = np.concatenate(
        [
            _cosines(
                _torch_products(trained.model, [item for _, item in batch]),
                encoder.encode([item for _, item in batch]),
            )
            for batch in (compared[start : start + BATCH] for start in range(0, len(compared), BATCH))
        ]
    )
    _demand(cosines, [f"product {name}" for name, _ in compared], lowest)
    names = sorted({path[-1] for path in trained.categories})
    names += [f"something like {name.lower()}" for name in names[:64]]  # queries that no category's name is
    text_cosines = _cosines(_torch_texts(trained.model, names), TextEncoder(bundle).encode(names))
    _demand(text_cosines, [f"category {name}" for name in names], lowest)
    return Parity(len(inputs), float(cosines.min()), len(names), float(text_cosines.min()))


@torch.no_grad()
def _torch_products(model: ClipIta, inputs: Sequence[ProductInput]) -> npt.NDArray[np.float32]:
    tensors = assemble(inputs, model.towers.image_spec, model.towers.tokenizer)
    features = model.product_features(**{name: torch.from_numpy(value) for name, value in tensors.items()})
    vectors: npt.NDArray[np.float32] = model.product(features).numpy()
    return vectors


@torch.no_grad()
def _torch_texts(model: ClipIta, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    # One text a batch: what serving pads must not matter.
    vectors = [model.query(model.towers.encode_text(torch.from_numpy(model.towers.tokenizer([t])))) for t in texts]
    stacked: npt.NDArray[np.float32] = torch.cat(vectors).numpy()
    return stacked


def _cosines(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    result: npt.NDArray[np.float64] = (left * right).sum(axis=1) / norms
    return result


def _demand(cosines: npt.NDArray[np.float64], names: Sequence[str], lowest: float) -> None:
    worst = int(np.nanargmin(np.where(np.isnan(cosines), -np.inf, cosines)))
    if not cosines[worst] >= lowest:
        failed = int((~(cosines >= lowest)).sum())
        raise ParityError(
            f"ONNX and PyTorch disagree on {failed} of {len(cosines)}: {names[worst]} has cosine {cosines[worst]:.6f}, "
            f"at least {lowest} is demanded. No bundle was written.",
            hint="Please report the tower's name and the versions of torch and onnxruntime.",
        )


def open_catalogue(files: Sequence[Path | None], fields: FieldsConfig, image_root: Path | None) -> CatalogueFile:
    """The first of the files that exists.

    Raises:
        ExportError: none does.
    """
    for file in files:
        if file is not None and file.is_file():
            return CatalogueFile(file, fields, image_root)
    raise ExportError(
        "No catalogue is at hand to compare ONNX and PyTorch on real products.",
        hint="Give one with --catalogue, or set valid in [catalogue] of clipita.toml.",
    )
