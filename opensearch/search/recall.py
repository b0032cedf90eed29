"""Recall of the k-NN field, measured against exact search."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import QueryError, UsageError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.reads import all_shards
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.search.options import MAX_WINDOW


@dataclass(frozen=True)
class Recall:
    """Recall@k over some queries, 0 to 1, and the median milliseconds of a k-NN search and of an exact one."""

    index: str
    k: int
    queries: int
    mean: float
    worst: float
    worst_query: str
    knn_ms: float
    exact_ms: float


def measure_recall(
    client: OpenSearch,
    index: str,
    queries: Sequence[tuple[str, Sequence[float]]],
    k: int,
    on_query: Callable[[int, int], None] = lambda _done, _total: None,
) -> Recall:
    """Compare k-NN search with exact search (script score over all products) for every query.

    A query is a text and its unit vector, [dim]. A product as near as the k-th true one counts as found, whichever of
    equal ones the graph gave.
    https://docs.opensearch.org/latest/vector-search/vector-search-techniques/knn-score-script/

    Raises:
        UsageError: there is no query, or k lies outside 1 to 10,000.
        QueryError: the cluster refused a search.
    """
    if not queries:
        raise UsageError("There is no query to measure with.", hint="Give --query, or a model that knows categories.")
    if not 1 <= k <= MAX_WINDOW:
        raise UsageError(f"k is {k}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
    found: list[float] = []
    times: dict[str, list[float]] = {"knn": [], "exact": []}
    for done, (_, vector) in enumerate(queries, start=1):
        near, seconds = _timed(client, index, {"knn": {VECTOR_FIELD: {"vector": list(vector), "k": k}}}, k)
        times["knn"].append(seconds)
        params = {"field": VECTOR_FIELD, "query_value": list(vector), "space_type": "innerproduct"}
        script = {"source": "knn_score", "lang": "knn", "params": params}
        query = {"script_score": {"query": {"exists": {"field": VECTOR_FIELD}}, "script": script}}
        exact, seconds = _timed(client, index, query, k)
        times["exact"].append(seconds)
        found.append(_share(near, exact))
        on_query(done, len(queries))
    worst = min(range(len(found)), key=found.__getitem__)
    return Recall(
        index, k, len(queries), statistics.fmean(found), found[worst], queries[worst][0],
        statistics.median(times["knn"]) * 1000, statistics.median(times["exact"]) * 1000,
    )  # fmt: skip


def _share(near: dict[str, float], exact: dict[str, float]) -> float:
    if not exact:
        return 1.0
    # Scores are single-precision sums, added up in another order by the two searches.
    border = min(exact.values()) - 1e-5
    return min(1.0, sum(id_ in exact or score >= border for id_, score in near.items()) / len(exact))


def _timed(client: OpenSearch, index: str, query: dict[str, Any], k: int) -> tuple[dict[str, float], float]:
    started = time.perf_counter()
    with guarded(client, QueryError):
        answer = all_shards(client.search(index=index, body={"size": k, "query": query, "_source": False}))
    return {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}, time.perf_counter() - started
