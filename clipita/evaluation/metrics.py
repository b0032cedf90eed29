"""Ranking measures of the paper: P@k, mAP@k and R-precision, for binary relevance.

All functions take one ranking as `hits`, a boolean array whose position i says whether the product at rank i + 1 is
relevant. A ranking may be shorter than k (a lexical search finds what it finds); what it lacks counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]


def precision_at(hits: Hits, k: int) -> float:
    """Share of relevant products among the first k."""
    return float(hits[:k].sum()) / k


def average_precision_at(hits: Hits, relevant: int, k: int) -> float:
    """Precision at the rank of each relevant product among the first k, summed, divided by min(k, relevant).

    So a perfect ranking has 1 however many products are relevant. (TREC's AP with a cut-off divides by `relevant`.)
    """
    found = np.flatnonzero(hits[:k])
    return float((np.arange(1, len(found) + 1) / (found + 1)).sum()) / min(k, relevant)


def r_precision(hits: Hits, relevant: int) -> float:
    """Precision at the rank that equals the number of relevant products."""
    return precision_at(hits, relevant)


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
