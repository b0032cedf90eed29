"""Measures by hand, by brute force, and against ir-measures."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, P, Rprec

from clipita.evaluation.measures import average_precision_at, measure, precision_at, r_precision


def hits(marks: str) -> np.ndarray:
    return np.array([mark == "x" for mark in marks], dtype=bool)


def test_precision_counts_missing_ranks_as_wrong() -> None:
    assert precision_at(hits("x.x"), 1) == 1.0
    assert precision_at(hits("x.x"), 5) == pytest.approx(2 / 5)
    assert precision_at(hits(""), 10) == 0.0


def test_average_precision_by_hand() -> None:
    assert average_precision_at(hits("x.xx......"), relevant=20, k=10) == pytest.approx((1 + 2 / 3 + 3 / 4) / 10)
    assert average_precision_at(hits("x.xx......"), relevant=3, k=10) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert average_precision_at(hits("....xxxxxx"), relevant=6, k=5) == pytest.approx((1 / 5) / 5)


@pytest.mark.parametrize("relevant", [1, 2, 5, 10, 500])
def test_a_perfect_ranking_has_everything(relevant: int) -> None:
    values = measure(hits("x" * relevant + "." * 10), relevant)
    assert values["mAP@5"] == pytest.approx(100)
    assert values["mAP@10"] == pytest.approx(100)
    assert values["R-precision"] == 100
    assert values["P@10"] == pytest.approx(10 * min(relevant, 10))


def test_r_precision_looks_as_deep_as_there_are_relevant_products() -> None:
    assert r_precision(hits("x.x.x"), 4) == pytest.approx(2 / 4)
    assert r_precision(hits("x"), 4) == pytest.approx(1 / 4)


def test_without_relevant_products_nothing_is_defined() -> None:
    with pytest.raises(ValueError, match="without relevant"):
        measure(hits("..."), 0)


def test_against_ir_measures_on_random_rankings() -> None:
    """P@k and R-precision everywhere; AP@k where both divide by the same number: k or fewer relevant products."""
    random = np.random.default_rng(5)
    compared = 0
    for case in range(120):
        products = int(random.integers(1, 60))
        relevant = set(random.choice(products, int(random.integers(1, products + 1)), replace=False).tolist())
        ranking = random.permutation(products)[: int(random.integers(0, products + 1))].tolist()
        ours = measure(np.array([product in relevant for product in ranking], dtype=bool), len(relevant))
        if not ranking:
            assert set(ours.values()) == {0.0}
            continue
        judged = {f"q{case}": {str(product): 1 for product in relevant}}
        run = {f"q{case}": {str(product): float(-rank) for rank, product in enumerate(ranking)}}
        theirs = ir_measures.calc_aggregate([P @ 1, P @ 5, P @ 10, AP @ 5, AP @ 10, Rprec], judged, run)
        pairs = {"P@1": P @ 1, "P@5": P @ 5, "P@10": P @ 10, "R-precision": Rprec}
        pairs |= {f"mAP@{k}": AP @ k for k in (5, 10) if len(relevant) <= k}
        for name, other in pairs.items():
            assert ours[name] == pytest.approx(100 * theirs[other], abs=1e-9), (name, case)
        compared += "mAP@10" in pairs
    assert compared > 10


def test_average_precision_against_brute_force() -> None:
    random = np.random.default_rng(6)
    for _ in range(300):
        marks = random.random(int(random.integers(0, 30))) < random.random()
        relevant = int(marks.sum()) + int(random.integers(1, 20))
        for k in (5, 10):
            total = 0.0
            for rank in range(1, min(k, len(marks)) + 1):
                if marks[rank - 1]:
                    total += sum(marks[:rank]) / rank
            assert average_precision_at(marks, relevant, k) == pytest.approx(total / min(k, relevant), abs=1e-12)
