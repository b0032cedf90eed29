"""Comparison of a new index with what it is made of and with the one before, before any search is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.reads import addresses, all_shards, count, get_documents, refresh, shuffled
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD
from clipita.opensearch.ingest.index_source import IndexSource

SAMPLE = 200
SEARCHES = 10
_OURS = (VECTOR_FIELD, "clipita")


def check_copy(client: OpenSearch, source: IndexSource, name: str, backoff: Backoff) -> None:
    """Compare counts, a random sample of documents with their routing, and the hits of some searches.

    The first difference between the copy `name` and `source` is a ClusterError.
    """
    backoff.call(client, lambda: all_shards(client.indices.refresh(index=f"{source.name},{name}"), copies=True))
    counts = [count(client, index, backoff) for index in (source.name, name)]
    if counts[0] != counts[1]:
        raise _disagree(source.name, name, f"it has {counts[1]:,} documents instead of {counts[0]:,}")
    body = {"size": SAMPLE, "query": shuffled({"match_all": {}}, seed=1), "_source": {"excludes": list(_OURS)}}
    hits = backoff.call(client, lambda: all_shards(client.search(index=source.name, body=body)))["hits"]["hits"]
    _check_documents(client, source.name, name, hits, backoff)
    for hit in hits[:SEARCHES]:
        for query in _queries(source, hit["_source"]):
            totals = [count(client, index, backoff, query) for index in (source.name, name)]
            if totals[0] != totals[1]:
                raise _disagree(source.name, name, f"a search finds {totals[1]:,} instead of {totals[0]:,}: {query}")


def check_share(
    client: OpenSearch, alias: str, name: str, behind: str, read: int, backoff: Backoff, *, limit: float
) -> None:
    """Compare the number of products in the new index `name` with those `read` and those in the index before it.

    Raises:
        UsageError: it lacks more than the share `limit` of either.
    """
    refresh(client, name, backoff)
    present, before = count(client, name, backoff), count(client, behind, backoff)
    for wanted, of in ((read, "that were read"), (before, f"of {behind}")):
        if wanted - present > limit * wanted:
            raise UsageError(
                f"The new index {name} has {present:,} products, {(wanted - present) / wanted:.0%} fewer than the "
                f"{wanted:,} {of}; the limit is {limit:.0%} (swap_limit). {alias} still points to {behind}.",
                hint="To switch all the same, run the same command with --force. To begin anew, remove the new index "
                f"first: clipita index prune --index {alias}",
            )


def _check_documents(
    client: OpenSearch, original: str, name: str, hits: list[dict[str, Any]], backoff: Backoff
) -> None:
    if not hits:
        return
    copies = get_documents(
        client,
        name,
        addresses(hits),
        backoff,
        _source_excludes=",".join(_OURS),
    )
    for hit, copy in zip(hits, copies, strict=True):
        if not copy["found"]:
            raise _disagree(original, name, f"the document {hit['_id']} is missing")
        kept = dict(copy["_source"])
        if ID_FIELD not in hit["_source"]:
            kept.pop(ID_FIELD, None)
        if kept != hit["_source"]:
            raise _disagree(original, name, f"the document {hit['_id']} differs")


def _queries(source: IndexSource, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One query per text field, by some words of the document, and one per keyword field."""
    queries: list[dict[str, Any]] = []
    for field, mapping in source.mappings.get("properties", {}).items():
        value = document.get(field)
        # A field that is only stored, as image URLs often are, cannot be searched.
        if not isinstance(value, str) or not value.strip() or not mapping.get("index", True):
            continue
        if mapping.get("type") == "text":
            queries.append({"match": {field: {"query": " ".join(value.split()[:5])}}})
        elif mapping.get("type") == "keyword":
            queries.append({"term": {field: value}})
    return queries


def _disagree(original: str, name: str, what: str) -> ClusterError:
    return ClusterError(
        f"The copy {name} does not agree with {original}: {what}. The alias stays where it is.",
        hint="If the index is written to all the time, run the same command again: it takes over what changed.",
    )
