"""Ranking measures (P@k, mAP@k, R-precision), bootstrap intervals and paired tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]


def precision_at(hits: Hits, k: int) -> float:
    """Share of relevant products among the first k."""
    return float(hits[:k].sum()) / k


def average_precision_at(hits: Hits, relevant: int, k: int) -> float:
    """Precision at the rank of each relevant product among the first k, summed, divided by min(k, relevant).

    A perfect ranking has 1 however many products are relevant. (TREC's AP with a cut-off divides by `relevant`.)
    """
    found = np.flatnonzero(hits[:k])
    return float((np.arange(1, len(found) + 1) / (found + 1)).sum()) / min(k, relevant)


r_precision = precision_at
"""Precision at the rank that equals the number of relevant products."""

MEASURES: dict[str, Callable[[Hits, int], float]] = {
    "P@1": lambda hits, _: precision_at(hits, 1),
    "P@5": lambda hits, _: precision_at(hits, 5),
    "P@10": lambda hits, _: precision_at(hits, 10),
    "mAP@5": lambda hits, relevant: average_precision_at(hits, relevant, 5),
    "mAP@10": lambda hits, relevant: average_precision_at(hits, relevant, 10),
    "R-precision": r_precision,
}
"""The paper's measures by name; each takes (hits, number of relevant products >= 1) and gives a value in [0, 1]."""

DEPTH = 10
"""Ranks that the measures with a fixed cut-off look at; R-precision looks at as many as there are relevant products."""


def measure(hits: Hits, relevant: int) -> dict[str, float]:
    """All measures of one ranking, in percent.

    Raises:
        ValueError: nothing is relevant, so that the measures are not defined.
    """
    if relevant < 1:
        raise ValueError("a query without relevant products has no precision")
    return {name: 100 * function(hits, relevant) for name, function in MEASURES.items()}


DRAWS = 10_000
_AT_ONCE = 500

Values = npt.NDArray[np.float64]


def bootstrap_interval(values: Values, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13)."""
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[generator.integers(len(values), size=(_AT_ONCE, len(values)))].mean(axis=1)
            for _ in range(DRAWS // _AT_ONCE)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def paired_p_value(left: Values, right: Values, seed: int = 0) -> float:
    """Fisher's two-sided paired randomisation test: how often chance alone makes a difference of means this large.

    Under the null hypothesis both systems are exchangeable on every query, so signs of differences are flipped at
    random (Smucker et al., CIKM 2007). The arguments have one value per query.

    Raises:
        ValueError: the two are of different length.
    """
    if len(left) != len(right):
        raise ValueError(f"{len(left)} and {len(right)} queries are no pairs")
    differences = right - left
    observed = abs(differences.mean())
    generator = np.random.default_rng(seed)
    as_large = 0
    for _ in range(DRAWS // _AT_ONCE):
        signs = generator.integers(0, 2, size=(_AT_ONCE, len(differences))) * 2 - 1
        as_large += int((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).sum())
    return (as_large + 1) / (DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of a family of tests, adjusted for their number.

    Reference: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
