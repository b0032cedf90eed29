"""A new category's vector from examples, and known ones that make room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipita.runtime.new_categories import ABOVE, BELOW, expected_cosine, moved, sharpening, vector_of

DIM = 32
Vectors = np.ndarray[Any, Any]


def unit(vectors: Vectors) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def shop() -> tuple[Vectors, Vectors, Vectors]:
    """Ten kinds of products around one strong common direction: their centres, products and kinds."""
    chance = np.random.default_rng(0)
    common = 2 * unit(chance.normal(size=DIM))
    centres = unit(chance.normal(size=(10, DIM)))
    kinds = np.repeat(np.arange(10), 40)
    # Products differ mostly in four directions that say nothing about their kind.
    noise = chance.normal(size=(400, 4)) @ unit(chance.normal(size=(4, DIM)))
    products = unit(common + centres[kinds] + 0.7 * noise + 0.1 * chance.normal(size=(400, DIM)))
    return centres, products, kinds


def precision(vector: Vectors, products: Vectors, inside: Vectors) -> float:
    """R-precision."""
    best = np.argsort(-(products @ vector))[: inside.sum()]
    return float(inside[best].mean())


def test_examples_make_a_vector_that_finds_their_kind(shop: tuple[Vectors, Vectors, Vectors]) -> None:
    centres, products, kinds = shop
    chance = np.random.default_rng(1)
    sharpen, plain, found = sharpening(products), [], []
    for kind in range(10):
        examples = products[chance.choice(np.flatnonzero(kinds == kind), 5, replace=False)]
        name = unit(centres[kind] + 0.3 * chance.normal(size=DIM))
        vector = vector_of(name, examples, sharpen)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        found.append(precision(vector, products, kinds == kind))
        plain.append(precision(unit(examples.mean(axis=0)), products, kinds == kind))
    assert np.mean(found) > np.mean(plain) + 0.1
    assert np.mean(found) > 0.8


def test_the_expected_cosine_is_that_of_others_of_the_kind(shop: tuple[Vectors, Vectors, Vectors]) -> None:
    centres, products, kinds = shop
    sharpen = sharpening(products)
    own = np.flatnonzero(kinds == 3)
    seen = (products[own[5:]] @ vector_of(centres[3], products[own[:5]], sharpen)).mean()
    assert expected_cosine(centres[3], products[own[:5]], sharpen) == pytest.approx(seen, abs=0.1)
    # One example lies nearer to a vector that was made from it than any other product will.
    assert expected_cosine(centres[3], products[own[:1]], sharpen) < products[own[0]] @ vector_of(
        centres[3], products[own[:1]], sharpen
    )


def test_few_products_do_not_spoil_it(shop: tuple[Vectors, Vectors, Vectors]) -> None:
    centres, products, kinds = shop
    own = np.flatnonzero(kinds == 3)[:5]
    vector = vector_of(centres[3], products[own], sharpening(products[own]))
    assert precision(vector, products, kinds == 3) > 0.5


def test_known_categories_move_only_as_far_as_they_must() -> None:
    known = np.eye(4, DIM, dtype=np.float32)
    example = unit(np.array([0.6, 0.6, 0.1, 0.0, *[0.5 / np.sqrt(DIM - 4)] * (DIM - 4)], dtype=np.float32))
    thresholds = np.full(4, 0.4, dtype=np.float32)
    inside = np.array([[False, True, False, True]])
    after = moved(known, thresholds, example[None], inside)
    before, now = known @ example, after @ example
    # The sibling that would show it shows it no more or hardly, the parent that would not have it comes nearer.
    assert before[0] > 0.4 > now[0] > 0.4 * BELOW - 0.1
    assert before[3] < now[3]
    assert now[3] < 0.4 * ABOVE + 0.1
    # Those that were right stay.
    np.testing.assert_array_equal(after[1:3], known[1:3])
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
