"""How sure a figure is: bootstrap intervals of a mean, and a paired test between two systems.

Queries are what is drawn: another shop's tree, or next season's categories, would be other queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 10_000
_AT_ONCE = 500

Values = npt.NDArray[np.float64]


def bootstrap_interval(values: Values, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: one a query, at least one.
        confidence: share of the draws inside.
        seed: of the draws.
    """
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

    Under the null hypothesis the two systems are exchangeable on every query, so signs of differences are flipped at
    random (Smucker et al., CIKM 2007).

    Args:
        left: one value a query.
        right: of the same queries.
        seed: of the draws.

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
    """P-values of a family of tests, adjusted so that none of them is called significant by mere number of tries.

    Reference: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
