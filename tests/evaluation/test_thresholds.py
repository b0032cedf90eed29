"""Thresholds: the best F1 of a precision, drawn to the siblings' where products are few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from clipita.evaluation.thresholds import PRECISIONS, SHRINKAGE, SIBLINGS, at, fit

PATHS = [("Shoes",), ("Shoes", "Clogs"), ("Shoes", "Boots"), ("Bags",)]


def members(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)


def test_a_clean_gap_is_split_in_the_middle() -> None:
    row = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], dtype=np.float32)
    fitted = fit([("Shoes",)], lambda _: row, lambda _: members(3))
    # Between 0.7 and 0.3; alone, a category is typical of all.
    assert fitted.categories[("Shoes",)] == pytest.approx((0.5,) * len(PRECISIONS))
    assert 0.3 < fitted.general[0] <= 0.7
    assert fitted.products == 6


def test_few_products_are_drawn_to_the_siblings_and_none_take_their_threshold() -> None:
    rows = [
        np.concatenate([np.full(200, 0.3), np.full(200, 0.1)]),
        np.concatenate([np.full(1, 0.9), np.full(399, 0.7)]),
        np.concatenate([np.full(100, 0.6), np.full(300, 0.2)]),
        np.zeros(400),
    ]
    paths = [("Shoes",), ("Shoes", "Clogs"), ("Shoes", "Boots"), ("Shoes", "Mules")]
    sizes = [200, 1, 100, 0]
    fitted = fit(paths, lambda at: rows[at].astype(np.float32), lambda at: members(sizes[at]))
    shoes, clogs, boots, mules = (fitted.categories[path][3] for path in paths)
    typical = 0.4
    assert shoes == pytest.approx((200 * 0.2 + SHRINKAGE * typical) / (200 + SHRINKAGE), abs=1e-6)
    beside_clogs = (0.4 + SIBLINGS * typical) / (1 + SIBLINGS)
    assert clogs == pytest.approx((1 * 0.8 + SHRINKAGE * beside_clogs) / (1 + SHRINKAGE), abs=1e-6)
    beside_boots = (0.8 + SIBLINGS * typical) / (1 + SIBLINGS)
    assert boots == pytest.approx((100 * 0.4 + SHRINKAGE * beside_boots) / (100 + SHRINKAGE), abs=1e-6)
    assert mules == pytest.approx((0.8 + 0.4 + SIBLINGS * typical) / (2 + SIBLINGS), abs=1e-6)


def test_a_higher_precision_never_lowers_what_is_right() -> None:
    generator = np.random.default_rng(0)
    right, wrong = generator.normal(0.5, 0.1, 300), generator.normal(0.3, 0.1, 3_000)
    row = np.concatenate([right, wrong]).astype(np.float32)
    fitted = fit([("Shoes",)], lambda _: row, lambda _: members(300))
    shares = []
    for wanted in PRECISIONS:
        page = row >= fitted.categories[("Shoes",)][PRECISIONS.index(wanted)]
        shares.append(page[:300].sum() / page.sum())
    assert shares == sorted(shares)
    assert all(share >= wanted for share, wanted in zip(shares, PRECISIONS, strict=True))


def test_without_a_labelled_product_nothing_passes() -> None:
    fitted = fit(PATHS, lambda _: np.zeros(5, dtype=np.float32), lambda _: members(0))
    assert fitted.general == (1.0,) * len(PRECISIONS)
    assert fitted.categories[("Bags",)] == pytest.approx(fitted.general)
    assert fitted.products == 0


def test_a_category_of_one_product() -> None:
    row = np.array([0.8, 0.1], dtype=np.float32)
    fitted = fit([("Bags",)], lambda _: row, lambda _: members(1))
    assert 0.1 < fitted.categories[("Bags",)][0] < 0.8


def test_the_general_threshold_is_of_names_that_the_gate_does_not_know() -> None:
    row = np.array([0.9, 0.9, 0.8, 0.8], dtype=np.float32)
    free = np.array([0.5, 0.5, 0.2, 0.2], dtype=np.float32)
    fitted = fit([("Bags",)], lambda _: row, lambda _: members(2), lambda _: free)
    assert 0.2 < fitted.general[0] <= 0.5
    assert fitted.categories[("Bags",)][0] > fitted.general[0]


def test_between_two_fitted_precisions_lies_a_threshold_between() -> None:
    curve = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert at(curve, 0.9) == pytest.approx(0.4)
    assert at(curve, 0.925) == pytest.approx(0.45)
    assert (at(curve, 0.1), at(curve, 1.0)) == (pytest.approx(0.1), pytest.approx(0.6))
