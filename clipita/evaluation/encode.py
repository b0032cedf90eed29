"""One pass over a catalogue: products for the protocol, and their vectors from every model under test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from clipita.catalogue.product import Product, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import BundleError, ProductError
from clipita.evaluation.protocol import Vectors
from clipita.runtime import Bundle, ProductEncoder, TextEncoder

BATCH = 64
_THREADS = 8

GAPS = {"image": "I", "title": "T", "attributes": "A"}
"""Modalities that can be taken from all products, and their letters."""


@dataclass(frozen=True)
class Model:
    """A bundle with its encoders; `name` is the system's name in tables."""

    name: str
    bundle: Bundle
    text: TextEncoder
    product: ProductEncoder


@dataclass(frozen=True)
class Evaluated:
    """The products that every system is measured on, sorted by id.

    Attributes:
        products: without image bytes, so that a large catalogue fits into memory.
        vectors: one array per model, float32 [products, dim].
        zero_shot: one array per model, float32 [products, F]; None where its towers were trained from scratch.
        gaps: for each modality that was taken from all products, one array per model, float32 [products, dim]; NaN
            where nothing is left of a product, and None for a model that does not read the modality.
    """

    products: list[Product]
    vectors: list[Vectors] = field(repr=False)
    zero_shot: list[Vectors | None] = field(repr=False)
    gaps: dict[str, list[Vectors | None]] = field(default_factory=dict, repr=False)


def encode_catalogue(
    catalogue: CatalogueFile,
    models: Sequence[Model],
    *,
    kept_columns: Iterable[str] = (),
    without: Sequence[str] = (),
    on_reject: Callable[[Rejection], None],
    on_products: Callable[[int], None] = lambda _: None,
) -> Evaluated:
    """Read a catalogue and encode it with all models at once.

    A product that one model cannot encode (a broken image) is left out for all systems, so that they are compared on
    the same products. For each modality in `without` all products are encoded once more, lacking it. Of the shop's own
    columns only `kept_columns` stay in memory. `on_products` is called with the products done since the last call.

    Raises:
        CatalogueError: the file breaks off or is damaged half-way.
        BundleError: a model gives vectors that are not finite.
    """
    kept = set(kept_columns)
    numbered = iter(catalogue.numbered_products(on_reject))
    products: list[Product] = []
    parts: list[list[Vectors]] = [[] for _ in models]
    zero_shot_parts: list[list[Vectors]] = [[] for _ in models]
    gap_parts: dict[str, list[list[Vectors]]] = {gap: [[] for _ in models] for gap in without}
    with ThreadPoolExecutor(_THREADS) as threads:
        while chunk := list(islice(numbered, BATCH)):
            usable, inputs = _prepare(chunk, models, catalogue, on_reject, threads)
            for product in usable:
                extra = {name: value for name, value in product.extra.items() if name in kept}
                products.append(dataclasses.replace(product, images=(), extra=extra))
            if usable:
                for index, model in enumerate(models):
                    parts[index].append(_finite(model.product.encode(inputs[index]), model))
                    if model.bundle.zero_shot:
                        zero_shot_parts[index].append(_finite(model.product.features(inputs[index]), model))
                    for gap in without:
                        if GAPS[gap] in model.bundle.modalities:
                            gap_parts[gap][index].append(_encode_without(gap, usable, model, threads))
            on_products(len(chunk))
    order = sorted(range(len(products)), key=lambda position: products[position].id)
    return Evaluated(
        [products[position] for position in order],
        [_ordered(part, order) for part in parts],
        [_ordered(part, order) if part else None for part in zero_shot_parts],
        {gap: [_ordered(part, order) if part else None for part in parts] for gap, parts in gap_parts.items()},
    )


def _prepare(
    chunk: Sequence[tuple[int, Product]],
    models: Sequence[Model],
    catalogue: CatalogueFile,
    on_reject: Callable[[Rejection], None],
    threads: Executor,
) -> tuple[list[Product], list[list[Any]]]:
    def prepare(product: Product) -> list[Any] | ProductError:
        try:
            return [model.product.prepare(product) for model in models]
        except ProductError as error:
            return error

    usable: list[Product] = []
    inputs: list[list[Any]] = [[] for _ in models]
    prepared = threads.map(prepare, [product for _, product in chunk])
    for (row, product), outcome in zip(chunk, prepared, strict=True):
        if isinstance(outcome, ProductError):
            on_reject(catalogue.rejection(row, product.id, outcome))
            continue
        usable.append(product)
        for column, item in zip(inputs, outcome, strict=True):
            column.append(item)
    return usable, inputs


def _encode_without(gap: str, products: Sequence[Product], model: Model, threads: Executor) -> Vectors:
    """Vectors of products without a modality, float32 [products, dim]; NaN where nothing is left to encode."""
    nothing: dict[str, dict[str, Any]] = {
        "image": {"images": ()},
        "title": {"title": None},
        "attributes": {"attributes": {}},
    }

    def prepare(product: Product) -> Any:
        try:
            return model.product.prepare(dataclasses.replace(product, **nothing[gap]))
        except ProductError:
            return None

    inputs = list(threads.map(prepare, products))
    left = [position for position, item in enumerate(inputs) if item is not None]
    encoded = _finite(model.product.encode([inputs[position] for position in left]), model)
    vectors = np.full((len(products), encoded.shape[1]), np.nan, dtype=np.float32)
    vectors[left] = encoded
    return vectors


def _finite(vectors: Vectors, model: Model) -> Vectors:
    if not np.isfinite(vectors).all():
        raise BundleError(
            f"The model {model.name} gives vectors that are not finite.",
            hint="Its training diverged or its precision is too low: train or export it again.",
        )
    return vectors


def _ordered(parts: list[Vectors], order: list[int]) -> Vectors:
    joined: Vectors = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
    return joined[order]
