"""Fusion by the neural-search plugin: the `hybrid` query with a search pipeline inside the request.

https://docs.opensearch.org/latest/vector-search/ai-search/hybrid-search/

What its score of a product is depends on the lists' depth, so every page sends the same `pagination_depth`.
"""

from __future__ import annotations

from typing import Any

from clipita.errors import ClusterVersionError, QueryError
from clipita.opensearch.cluster.connection import Capabilities
from clipita.opensearch.search.arguments import Fusion, SearchArguments
from clipita.opensearch.search.clauses import all_of, filter_clauses, lexical_clause, vector_clause

OLDEST: dict[str, tuple[int, int, int]] = {"min_max": (3, 0, 0), "rrf": (3, 5, 0)}
"""From 3.0 on `hybrid` has a filter of its own; before 3.5 RRF ranked each shard on its own."""
OLDEST_MIN_SCORE = (3, 5, 0)


def require_fusion(arguments: SearchArguments, capabilities: Capabilities) -> None:
    """Refuse what this cluster cannot do.

    Raises:
        ClusterVersionError: no neural-search plugin, or a version that does it otherwise.
    """
    if not capabilities.neural_search:
        raise ClusterVersionError(
            f"The fusion {arguments.fusion} needs the plugin opensearch-neural-search, which this cluster lacks.",
            hint="Use the fusion saturation, which every k-NN cluster can do, or install the plugin on every node.",
        )
    oldest = OLDEST[arguments.fusion]
    what = f"The fusion {arguments.fusion}"
    if arguments.min_score is not None and oldest < OLDEST_MIN_SCORE:
        oldest, what = OLDEST_MIN_SCORE, "A minimum score of a hybrid query"
    if capabilities.version < oldest:
        have = ".".join(map(str, capabilities.version))
        raise ClusterVersionError(
            f"{what} needs OpenSearch {'.'.join(map(str, oldest))}; this cluster has {have}.",
            hint="Use the fusion saturation, or upgrade the cluster.",
        )


def is_past_the_end(error: QueryError, arguments: SearchArguments) -> bool:
    """Whether the plugin refused a page for lying behind the last hit, where any other query gives an empty one."""
    return arguments.native and "Reached end of search result" in error.message


def hybrid_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The `hybrid` query; its filter reaches both halves, the neighbours' choice included."""
    hybrid: dict[str, Any] = {
        "pagination_depth": arguments.k,
        "queries": [lexical_clause(arguments), vector_clause(arguments)],
    }
    filters = [
        *filter_clauses(arguments.filters),
        *filter_clauses(arguments.choices),
        *(dict(clause) for clause in arguments.raw_filters),
    ]
    if filters:
        hybrid["filter"] = all_of(filters)
    return {"hybrid": hybrid}


def fusion_pipeline(fusion: Fusion, weight: float, rank_constant: int) -> dict[str, Any]:
    """The search pipeline that makes one score of two.

    Args:
        fusion: `min_max` or `rrf`.
        weight: share of the vector part.
        rank_constant: of rrf.
    """
    # An integer among the weights is answered with a class cast error, so both are written as decimals.
    parameters = {"weights": [round(1.0 - weight, 12), float(weight)]}
    if fusion == "rrf":
        combination = {"technique": "rrf", "rank_constant": rank_constant, "parameters": parameters}
        return {"phase_results_processors": [{"score-ranker-processor": {"combination": combination}}]}
    processor = {
        "normalization": {"technique": fusion},
        "combination": {"technique": "arithmetic_mean", "parameters": parameters},
    }
    return {"phase_results_processors": [{"normalization-processor": processor}]}
