"""Pages against one deep request, facets and totals against counting, the k-NN field against exact search."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections import Counter
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from clipita.config import SearchConfig
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

SHARDED = "benchmark-three-shards"
PAGES, SIZE = 50, 20
ASKED = 6
MODES = ("lexical", "vector", "hybrid")
FUSIONS = ("min_max", "rrf")
FACETS = ("gender", "season", "usage")
SAME = 1e-6
"""Scores are float32: closer ones are the same."""
KS = (10, 50, 100, 200, 400)


def measure(
    search: ProductSearch, client: OpenSearch, index: str, bundle: Bundle, settings: SearchConfig, names: list[str]
) -> dict[str, Any]:
    """All comparisons; every entry says whether it came out equal."""
    deep = dataclasses.replace(settings, k=PAGES * SIZE)
    _shard(client, search.index.name)
    searches = {
        1: ProductSearch(client, index, bundle, deep),
        3: ProductSearch(client, SHARDED, bundle, deep),
    }
    asked = names[:: max(1, len(names) // ASKED)][:ASKED]
    ways = [(mode, "saturation") for mode in MODES] + [("hybrid", fusion) for fusion in FUSIONS]
    pages = [_pages(one, name, *way, shards) for shards, one in searches.items() for way in ways for name in asked]
    facets, totals = [], []
    for shards, one in searches.items():
        for mode in MODES:
            for name in asked:
                facet, total = _counts(one, name, mode, shards)
                facets += facet
                totals.append(total)
    return {"pages": pages, "facets": facets, "totals": totals, "recall": _recall(search, names)}


def _pages(search: ProductSearch, name: str, mode: Any, fusion: Any, shards: int) -> dict[str, Any]:
    whole = search(name, mode=mode, fusion=fusion, size=PAGES * SIZE)
    pages = (search(name, mode=mode, fusion=fusion, size=SIZE, page=number) for number in range(1, PAGES + 1))
    paged = [hit.id for page in pages for hit in page.hits]
    return {
        "query": name, "mode": mode, "fusion": fusion, "shards": shards, "products": len(paged),
        "equal": paged == [hit.id for hit in whole.hits] and len(set(paged)) == len(paged),
    }  # fmt: skip


def _counts(search: ProductSearch, name: str, mode: Any, shards: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Facets and total against a walk by cursor through every hit."""
    page = search(name, mode=mode, size=SIZE, facets=FACETS, facet_size=1000)
    sources: dict[str, Any] = {}
    walk = search(name, mode=mode, size=1000)
    while True:
        sources |= {hit.id: hit.source for hit in walk.hits}
        if walk.cursor is None:
            break
        walk = search(name, mode=mode, size=1000, cursor=walk.cursor)
    case = {"query": name, "mode": mode, "shards": shards}
    facets = []
    for facet in FACETS:
        counted = Counter(source.get("attributes", {}).get(facet) for source in sources.values())
        counted.pop(None, None)
        facets.append({**case, "facet": facet, "equal": counted == {v.value: v.count for v in page.facets[facet]}})
    return facets, {**case, "total": page.total, "equal": page.total == len(sources)}


def _recall(search: ProductSearch, names: list[str]) -> list[dict[str, Any]]:
    """recall@10 for several k, the configured default first, and the latency of each."""
    exact = {name: _exact(search, name) for name in names}
    rows = []
    for k in (SearchConfig().k, *KS):
        found, seconds = [], []
        for name in names:
            started = time.perf_counter()
            hits = search(name, mode="vector", size=10, k=k).hits
            seconds.append(time.perf_counter() - started)
            # Products of one vector are equally near: which of them fills the last place is chance, not an error.
            found.append(sum((hit.score or 0.0) >= exact[name] - SAME for hit in hits) / 10)
        rows.append(
            {"k": k, "recall@10": round(float(np.mean(found)), 4), "p50_ms": round(float(np.median(seconds)) * 1e3, 3)}
        )
    return rows


def _exact(search: ProductSearch, name: str) -> float:
    """The score of the tenth nearest product by exact search inside the cluster."""
    params = {"field": VECTOR_FIELD, "query_value": list(search.vector(name)), "space_type": "innerproduct"}
    body = {
        "size": 10,
        "_source": False,
        "query": {
            "script_score": {
                "query": {"exists": {"field": VECTOR_FIELD}},
                "script": {"lang": "knn", "source": "knn_score", "params": params},
            }
        },
    }
    hits = search.client.search(index=search.alias, body=body)["hits"]["hits"]
    return float(hits[-1]["_score"])


def _shard(client: OpenSearch, source: str) -> None:
    """A copy of the index with three shards."""
    target = f"{SHARDED}-1"
    if client.indices.exists(index=target):
        if client.count(index=target)["count"] == client.count(index=source)["count"]:
            return
        client.indices.delete(index=target)
    mapping = copy.deepcopy(client.indices.get_mapping(index=source)[source]["mappings"])
    settings = {"knn": True, "number_of_shards": 3, "number_of_replicas": 0, "mapping.total_fields.limit": 5000}
    client.indices.create(
        index=target, body={"settings": {"index": settings}, "mappings": mapping, "aliases": {SHARDED: {}}}
    )
    body = {"source": {"index": source, "size": 200}, "dest": {"index": target}}
    # In the background: the answer of a long reindex carries more warning headers than Python's http reads.
    task = client.reindex(body=body, params={"wait_for_completion": "false"})["task"]
    while not (state := client.tasks.get(task_id=task))["completed"]:
        time.sleep(2)
    assert not state["response"]["failures"]
    client.indices.refresh(index=target)
