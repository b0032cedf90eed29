"""A stream of products to vectors: in order, in bounded memory, broken products named and left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ProductError
from clipita.runtime import Bundle, ProductEncoder, ProductInput, best_batch_size, encode_products
from clipita.runtime.inputs import Vectors
from clipita.runtime.stream import AHEAD


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> ProductEncoder:
    return ProductEncoder(Bundle.load(tiny_bundle))


@pytest.fixture(scope="module")
def products(shop: Path) -> list[Product]:
    return list(CatalogueFile(shop / "valid.parquet").products(lambda _: None))


def refuse(product: Product, error: ProductError) -> None:
    raise AssertionError(f"{product.id}: {error}")


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_stream_equals_one_batch(encoder: ProductEncoder, products: list[Product], size: int) -> None:
    whole = encoder.encode([encoder.prepare(product) for product in products])
    streamed = list(encode_products(encoder, products, batch_size=size, on_reject=refuse))
    assert [product.id for product, _ in streamed] == [product.id for product in products]
    np.testing.assert_allclose(np.stack([vector for _, vector in streamed]), whole, atol=2e-6)


def test_broken_products_are_named_and_the_rest_goes_on(encoder: ProductEncoder, products: list[Product]) -> None:
    broken = [Product("torn", title="kite", images=(ImageSource(b"\xff\xd8\xffx"),)), Product("void")]
    rejected: list[str] = []
    stream = [broken[0], *products[:3], broken[1]]
    done = list(
        encode_products(encoder, stream, batch_size=2, on_reject=lambda product, _: rejected.append(product.id))
    )
    assert rejected == ["torn", "void"]
    assert [product.id for product, _ in done] == [product.id for product in products[:3]]


def test_only_a_few_batches_are_read_ahead(encoder: ProductEncoder, products: list[Product]) -> None:
    read = 0

    def endless() -> Iterator[Product]:
        nonlocal read
        while True:
            read += 1
            yield products[read % len(products)]

    stream = encode_products(encoder, endless(), batch_size=4, on_reject=refuse)
    for number in range(1, 30):
        next(stream)
        assert read <= number + 4 * (AHEAD + 1)
    stream.close()


def test_nothing_gives_nothing(encoder: ProductEncoder) -> None:
    assert list(encode_products(encoder, [], on_reject=refuse)) == []


@pytest.mark.parametrize(
    ("seconds", "tried", "best"),
    [
        (lambda size: 1.0, [1, 2, 4, 8], 8),  # every doubling pays
        (lambda size: size / 10, [1, 2], 1),  # none does
        (lambda size: 1.0 if size <= 4 else size / 4, [1, 2, 4, 8], 4),
        (lambda size: 1.0 + 0.5 * size, [1, 2, 4, 8], 8),
    ],
)
def test_the_best_batch_size_is_measured(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float], tried: list[int], best: int
) -> None:
    """The clock is set by hand: how this machine's load moves real times is no test's business."""
    encoder, now = ProductEncoder(Bundle.load(tiny_bundle)), 0.0
    encode = encoder.encode

    def timed(inputs: Sequence[ProductInput]) -> Vectors:
        nonlocal now
        now += seconds(len(inputs))
        return encode(inputs)

    monkeypatch.setattr(encoder, "encode", timed)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    chosen, rates = best_batch_size(encoder, [ProductInput("a kite", ("colour: red",))], (1, 2, 4, 8), rounds=1)
    assert (chosen, list(rates)) == (best, tried)
    assert rates == pytest.approx({size: size / seconds(size) for size in tried})


def test_the_search_for_a_batch_size_ends_where_memory_does(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the device had no more memory: CUDA's words."""
    encoder = ProductEncoder(Bundle.load(tiny_bundle))
    session_run = encoder._session_run

    def cramped(outputs: list[str], tensors: dict[str, Any]) -> list[Any]:
        if len(tensors["has_title"]) > 2:
            raise RuntimeError("CUDA failure 2: out of memory")
        time.sleep(0.05)  # so that two at once are faster than one
        return session_run(outputs, tensors)

    monkeypatch.setattr(encoder, "_session_run", cramped)
    chosen, rates = best_batch_size(encoder, [ProductInput("a kite", ())], (1, 2, 4, 8), rounds=1)
    assert chosen <= 2
    assert max(rates) <= 2
