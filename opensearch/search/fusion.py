"""Fusions: how the mode hybrid makes one score of BM25 and cosine. A new one is a function and a row of `FUSIONS`.

- saturation: computed inside the query, (1 - weight) * bm25 / (bm25 + pivot) + weight * cosine. The score of a product
  depends on that product alone, so pages, cursors, boosts and explanations are exact on every cluster.
- min_max, rrf: two ranked lists, fused by the neural-search plugin through a search pipeline inside the request. A
  score depends on the depth of the lists, so that every page sends the same `pagination_depth`.
  https://docs.opensearch.org/latest/vector-search/ai-search/hybrid-search/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipita.errors import ClusterVersionError
from clipita.opensearch.dialect.opensearch import dotted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipita.opensearch.cluster.connection import Capabilities

    Scores = npt.NDArray[np.float64]

OLDEST_MIN_SCORE = (3, 5, 0)
LEAST_NORMALISED = 0.001
"""What the plugin gives the last of a list, which would else count as absent."""


@dataclass(frozen=True)
class Fusion:
    """One way to fuse.

    Attributes:
        name: as users write it.
        scores: BM25 (0: absent) and cosine (-inf: absent) of the same products [products], weight, pivot and rank
            constant to fused scores; for tuning.
        oldest: version from which neural-search fuses as documented; None where every k-NN cluster computes it.
        processor: weights and rank constant to the search pipeline's processor; None where it needs no pipeline.
        native: whether neural-search fuses two ranked lists.
    """

    name: str
    scores: Callable[[Scores, Scores, float, float, int], Scores]
    oldest: tuple[int, int, int] | None = None
    processor: Callable[[list[float], int], dict[str, Any]] | None = None
    native: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "native", self.processor is not None)

    def pipeline(self, weight: float, rank_constant: int) -> dict[str, Any]:
        """The search pipeline of a native fusion; `weight` is the share of the vector."""
        assert self.processor is not None, f"{self.name} needs no pipeline"
        # The plugin answers an integer among the weights with a class cast error.
        processor = self.processor([round(1.0 - weight, 12), float(weight)], rank_constant)
        return {"phase_results_processors": [processor]}

    def require(self, capabilities: Capabilities, *, min_score: bool = False) -> None:
        """Raise a ClusterVersionError without the neural-search plugin, or where it is too old."""
        if self.oldest is None:
            return
        if not capabilities.neural_search:
            raise ClusterVersionError(
                f"The fusion {self.name} requires the plugin opensearch-neural-search, which this cluster lacks.",
                hint="Use the fusion saturation, which every k-NN cluster can do, or install the plugin on every node.",
            )
        oldest, what = self.oldest, f"The fusion {self.name}"
        if min_score and oldest < OLDEST_MIN_SCORE:
            oldest, what = OLDEST_MIN_SCORE, "A minimum score of a hybrid query"
        if capabilities.version < oldest:
            raise ClusterVersionError(
                f"{what} requires OpenSearch {dotted(oldest)}; this cluster has {dotted(capabilities.version)}.",
                hint="Use the fusion saturation, or upgrade the cluster.",
            )

    def is_offered(self, capabilities: Capabilities) -> bool:
        """Whether this cluster can fuse in this way."""
        try:
            self.require(capabilities)
        except ClusterVersionError:
            return False
        return True


def _saturated(bm25: Scores, cosine: Scores, weight: float, pivot: float, _: int) -> Scores:
    import numpy as np

    score = (1 - weight) * bm25 / (bm25 + pivot) + weight * np.maximum(0, cosine)
    return np.where((bm25 > 0) | (cosine > -np.inf), score, -np.inf)


def _min_max(bm25: Scores, cosine: Scores, weight: float, _: float, __: int) -> Scores:
    import numpy as np

    def normalised(scores: Scores, present: npt.NDArray[np.bool_]) -> Scores:
        found = scores[present]
        if not len(found) or found.min() == found.max():
            return present.astype(np.float64)
        moved = np.maximum(LEAST_NORMALISED, (scores - found.min()) / (found.max() - found.min()))
        return np.where(present, moved, 0.0)

    words, near = bm25 > 0, cosine > -np.inf
    # The k-NN score of a cosine below 0 is 1 / (1 - cosine); the plugin normalises that one.
    knn = np.where(cosine >= 0, 1 + cosine, 1 / (1 - np.minimum(cosine, 0)))
    score = (1 - weight) * normalised(bm25, words) + weight * normalised(knn, near)
    return np.where(words | near, score, -np.inf)


def _rrf(bm25: Scores, cosine: Scores, weight: float, _: float, constant: int) -> Scores:
    import numpy as np

    def reciprocal(scores: Scores, present: npt.NDArray[np.bool_]) -> Scores:
        ranks = np.empty(len(scores))
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        return np.where(present, 1 / (constant + ranks), 0.0)

    words, near = bm25 > 0, cosine > -np.inf
    score = (1 - weight) * reciprocal(bm25, words) + weight * reciprocal(cosine, near)
    return np.where(words | near, score, -np.inf)


FUSIONS = {
    fusion.name: fusion
    for fusion in (
        Fusion("saturation", _saturated),
        Fusion(
            "min_max",
            _min_max,
            # From 3.0 on `hybrid` has a filter of its own.
            oldest=(3, 0, 0),
            processor=lambda weights, _: {
                "normalization-processor": {
                    "normalization": {"technique": "min_max"},
                    "combination": {"technique": "arithmetic_mean", "parameters": {"weights": weights}},
                }
            },
        ),
        Fusion(
            "rrf",
            _rrf,
            # Before 3.5 RRF ranked each shard on its own.
            oldest=(3, 5, 0),
            processor=lambda weights, constant: {
                "score-ranker-processor": {
                    "combination": {
                        "technique": "rrf",
                        "rank_constant": constant,
                        "parameters": {"weights": weights},
                    }
                }
            },
        ),
    )
}
"""By name."""
