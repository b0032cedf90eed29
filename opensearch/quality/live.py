"""The live index measured: recall of its k-NN field, and its rankings of the queries of an evaluation."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import ClusterError, QueryError, UsageError
from clipita.evaluation.encode import Model
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol
from clipita.evaluation.systems import BM25, MODES, LiveRanking, Mode, rank_live
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.reads import all_shards
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.defaults import settings_to_store
from clipita.opensearch.search.options import MAX_WINDOW

OWN_CLAUSE = "own clause"
"""What the mode lexical is called where the settings hold a clause of the shop's own."""


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


MAX_TERMS = 65_536
"""`index.max_terms_count` by default: more ids than these cannot be a filter."""
_IDS_AT_ONCE = 5_000
_SHOWN_IDS = 3

Warn = Callable[[str], None]
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class LiveResults:
    """What the index gave.

    Attributes:
        results: a row for each mode.
        facts: the index's name, its number of documents, and how they differ from the evaluated products.
    """

    results: list[SystemResult]
    facts: dict[str, Any]


@dataclass(frozen=True)
class _FilteredSearch:
    """Rankings of the evaluated products alone, made by the index itself."""

    search: ProductSearch
    ids: list[str] | None

    def rank(self, query: str, *, mode: Mode, depth: int) -> list[str]:
        among = None if self.ids is None else [{"ids": {"values": self.ids}}]
        ids: list[str] = self.search.rank(query, mode=mode, depth=depth, raw_filters=among)
        return ids


def measure_live(
    protocol: TreeProtocol,
    models: Sequence[Model],
    cluster: OpenSearchConfig,
    search_config: SearchConfig | Mapping[str, Any] | None,
    device: str,
    progress: Progress,
    warn: Warn,
) -> LiveResults:
    """Ask the index all queries, in the modes lexical, vector and hybrid; without a model, lexical alone.

    Raises:
        ClusterError: no connection, no such index, vectors of another model, or none of the products is in it.
    """
    client = connect(cluster)
    try:
        index = indices.require(client, cluster.index)
        if not index.complete:
            warn(f"The index {cluster.index} is not complete: no ingest run finished there.")
        # Of several models the one that made the index; otherwise the search itself says that none fits.
        fitting = [model for model in models if model.bundle.fingerprint == index.fingerprint]
        model = next(iter(fitting or models), None)
        bundle: Any = None if model is None else model.bundle
        search = ProductSearch(client, cluster.index, bundle, search_config, cluster, device)
        facts = _compare(client, cluster.index, protocol, warn)
        facts["settings"] = settings_to_store(search.config)
        known = facts["documents_not_evaluated"] > 0 and len(protocol.ids) <= MAX_TERMS
        ranker = _FilteredSearch(search, protocol.ids if known else None)
        modes = MODES if model is not None else MODES[:1]
        words = BM25 if search.config.lexical is None else OWN_CLAUSE
        results = []
        for mode in modes:
            name = words if model is None or mode == "lexical" else model.name
            live = _rank(protocol, ranker, mode, facts["documents"], search.config.k, progress)
            _warn_of_cut(live, mode, warn)
            fingerprint = None if mode == "lexical" else index.fingerprint
            results.append(protocol.score(System(name, mode, "live", fingerprint), live.rankings))
    finally:
        client.close()
    return LiveResults(results, {"index": cluster.index, "name": index.name, **facts})


def _compare(client: OpenSearch, alias: str, protocol: TreeProtocol, warn: Warn) -> dict[str, Any]:
    """How the index's documents differ from the evaluated products.

    Raises:
        ClusterError: none of the products is in the index.
    """
    with guarded(client, QueryError):
        documents = int(client.count(index=alias)["count"])
    present = _present(client, alias, protocol.ids)
    missing = [product_id for product_id in protocol.ids if product_id not in present]
    if not present:
        raise ClusterError(
            f"The index {alias} holds none of the {len(protocol.ids):,} evaluated products.",
            hint=f"Ingest them first: clipita ingest CATALOGUE --index {alias}",
        )
    if missing:
        warn(
            f"{len(missing):,} of the {len(protocol.ids):,} evaluated products are NOT in the index {alias} "
            f"({', '.join(missing[:_SHOWN_IDS])}{', …' if len(missing) > _SHOWN_IDS else ''}): live rows count them as "
            f"not found. Ingest them with: clipita ingest CATALOGUE --index {alias}"
        )
    others = documents - len(present)
    if others > 0:
        warn(
            f"The index {alias} holds {others:,} documents that are not in the evaluated catalogue: "
            "they are left out of the live rankings."
        )
    return {"documents": documents, "documents_not_evaluated": others, "products_not_indexed": missing}


def _present(client: OpenSearch, alias: str, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        chunk = ids[start : start + _IDS_AT_ONCE]
        body = {"query": {"ids": {"values": chunk}}, "size": len(chunk), "_source": False}
        with guarded(client, QueryError):
            answer = client.search(index=alias, body=body)
        found.update(hit["_id"] for hit in answer["hits"]["hits"])
    return found


def _rank(
    protocol: TreeProtocol, ranker: _FilteredSearch, mode: Mode, documents: int, k: int, progress: Progress
) -> LiveRanking:
    indexed = len(protocol.ids) if ranker.ids is not None else documents
    done = itertools.count(1)
    return rank_live(
        protocol, ranker, mode, indexed=indexed, least_depth=k,
        on_query=lambda: progress(f"Searching, {mode}", next(done), len(protocol.queries)),
    )  # fmt: skip


def _warn_of_cut(live: LiveRanking, mode: Mode, warn: Warn) -> None:
    if live.truncated:
        warn(
            f"{mode}: a search returns 10,000 hits at most, which cuts {len(live.truncated)} queries short "
            f"({', '.join(live.truncated[:_SHOWN_IDS])}): their R-precision is a lower bound."
        )
