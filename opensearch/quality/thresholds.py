"""Thresholds in the cluster: fitted on the index's own labelled products, stored beside the category vectors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryPath
from clipita.evaluation.thresholds import PRECISIONS, Thresholds, fit
from clipita.opensearch.cluster.bulk import Document
from clipita.opensearch.cluster.reads import all_shards, count, shuffled
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.categories import SUFFIX, category_id, load, write_documents
from clipita.opensearch.index.index import read, update_meta
from clipita.opensearch.index.mapping import NODES_FIELD, VECTOR_FIELD

if TYPE_CHECKING:
    from clipita.runtime import Bundle

SAMPLE = 20_000
"""Products that are looked at, drawn at random from a larger index."""
AT_ONCE = 1_000
DRIFT = 0.1
"""Share by which the number of products may change until a fit is made again."""


def refit(client: OpenSearch, index: str, bundle: Bundle, backoff: Backoff) -> int | None:
    """Fit on the index's own labelled products, and store the result, unless it is stored and still fits.

    A fit is made again once the number of products has changed by more than `DRIFT`, and never in place of one that
    `clipita tune` made. Returns the number of products that it was made on; None where none was made.

    Raises:
        ClusterError: the cluster refuses, or stays busy or away for too long.
    """
    from clipita.runtime import TextEncoder

    stored = _stored(client, index, backoff)
    present, then = count(client, index, backoff), stored.get("count", 0)
    if stored.get("by") == "tune" or abs(present - then) <= DRIFT * then:
        return None
    categories = list(backoff.call(client, lambda: load(client, index)))
    row_of = {category_id(entry.path): row for row, entry in enumerate(categories)}
    products: list[npt.NDArray[np.float32]] = []
    members: list[list[int]] = [[] for _ in categories]
    labelled = 0
    for page in _labelled(client, index, backoff):
        products.append(np.array([source[VECTOR_FIELD] for source in page], dtype=np.float32))
        for source in page:
            for node in source["clipita"]["categories"]:
                if node in row_of:
                    members[row_of[node]].append(labelled)
            labelled += 1
    if not labelled:
        return None
    stacked = np.concatenate(products)
    free = TextEncoder(bundle).anchored([entry.name for entry in categories])
    fitted = fit(
        [entry.path for entry in categories],
        lambda row: stacked @ np.array(categories[row].vector, dtype=np.float32),
        lambda row: np.array(members[row], dtype=np.int64),
        None if free is None else lambda row: stacked @ free[row],
    )
    # A category that was added by examples keeps the thresholds of these until products are labelled with it.
    paths = {entry.path for entry, inside in zip(categories, members, strict=True) if inside or not entry.added}
    store(client, index, fitted, paths, backoff, by="ingest", products=present)
    return labelled


def store(
    client: OpenSearch,
    index: str,
    fitted: Thresholds,
    paths: Collection[CategoryPath],
    backoff: Backoff,
    by: Literal["ingest", "tune"],
    products: int = 0,
) -> None:
    """Store thresholds beside the category vectors.

    `paths` are the categories whose thresholds are stored; without any, nothing is written. `products` is the number of
    products in the index.

    Raises:
        ClusterError: the cluster refuses, or stays busy or away for too long.
    """
    if not paths:
        return
    target = index + SUFFIX
    documents = [
        Document(category_id(path), orjson.dumps({"doc": {"thresholds": curve}}), None, "update")
        for path, curve in fitted.categories.items()
        if path in paths
    ]
    write_documents(client, index, documents, "thresholds", backoff)
    fingerprint = backoff.call(client, lambda: read(client, index)).fingerprint
    facts = {"general": fitted.general, "products": fitted.products, "count": products, "by": by}
    meta = {"precisions": PRECISIONS, "fingerprint": fingerprint, **facts}
    backoff.call(client, lambda: update_meta(client, target, thresholds=meta))


def _stored(client: OpenSearch, index: str, backoff: Backoff) -> Mapping[str, Any]:
    name = index + SUFFIX
    mapping = backoff.call(client, lambda: client.indices.get_mapping(index=name))[name]["mappings"]
    found: Mapping[str, Any] = mapping["_meta"]["clipita"].get("thresholds") or {}
    return found


def _labelled(client: OpenSearch, index: str, backoff: Backoff) -> Iterator[list[dict[str, Any]]]:
    """Documents with vector and category, in a random order that is the same each time, page by page."""
    has = [{"exists": {"field": NODES_FIELD}}, {"exists": {"field": VECTOR_FIELD}}]
    body: dict[str, Any] = {
        "size": AT_ONCE,
        "query": shuffled({"bool": {"filter": has}}),
        "sort": [{"_score": "desc"}, {"_seq_no": "asc"}],
        "_source": [VECTOR_FIELD, NODES_FIELD],
    }
    for _ in range(SAMPLE // AT_ONCE):
        hits = backoff.call(client, lambda: all_shards(client.search(index=index, body=body)))["hits"]["hits"]
        if not hits:
            return
        yield [hit["_source"] for hit in hits]
        body["search_after"] = hits[-1]["sort"]
