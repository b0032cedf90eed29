"""Removal of products that left the catalogue or the original, with a limit in case that one is truncated."""

from __future__ import annotations

import itertools
from typing import Any

from opensearchpy import OpenSearch

from clipita.catalogue.ids import IdTable
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.bulk import Document, write_all
from clipita.opensearch.cluster.reads import addresses, count, get_documents, refresh
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.ingest.index_source import scan

LOOKUP = 1_000
"""Documents per multi-get request."""


def prune(client: OpenSearch, name: str, ids: IdTable, backoff: Backoff, *, limit: float) -> int:
    """Remove all documents whose id is not in the catalogue, and return how many.

    Nothing is removed, and a UsageError raised, where their share of the index exceeds `limit`.
    """
    refresh(client, name, backoff)
    total = count(client, name, backoff)
    gone = [hit for hit in scan(client, name, {"match_all": {}}, backoff, False) if hit["_id"] not in ids]
    if len(gone) > limit * total:
        raise UsageError(
            f"{_share(gone, total, name)} are not in the catalogue, more than the limit of {limit:.0%} (prune_limit). "
            "None was removed; everything else is done.",
            hint="If the catalogue is complete, run the same command with --prune --force.",
        )
    return _remove(client, name, gone, backoff)


def drop_deleted(client: OpenSearch, original: str, name: str, backoff: Backoff, *, limit: float) -> int:
    """Remove what was deleted from the original meanwhile from its copy, which nobody searches yet; see `prune`."""
    for index in (original, name):
        refresh(client, index, backoff)
    total = count(client, name, backoff)
    # A copy lacks nothing of its original, so equal counts mean that nothing was deleted.
    if total <= count(client, original, backoff):
        return 0
    hits, gone = scan(client, name, {"match_all": {}}, backoff, False), []
    while part := list(itertools.islice(hits, LOOKUP)):
        answers = get_documents(client, original, addresses(part), backoff, _source="false")
        gone += [hit for hit, answer in zip(part, answers, strict=True) if not answer["found"]]
    if len(gone) > limit * total:
        raise UsageError(
            f"{_share(gone, total, name)} are no longer in {original}, more than the limit of {limit:.0%} "
            "(prune_limit). None was removed, and the alias stays where it is.",
            hint="If the index is complete, run the same command with --force.",
        )
    return _remove(client, name, gone, backoff)


def _share(gone: list[dict[str, Any]], total: int, name: str) -> str:
    return f"{len(gone):,} of {total:,} products in {name} ({len(gone) / total:.0%})"


def _remove(client: OpenSearch, name: str, gone: list[dict[str, Any]], backoff: Backoff) -> int:
    deletions = [Document(hit["_id"], b"", hit.get("_routing"), "delete") for hit in gone]
    refused = write_all(client, name, deletions, backoff)
    if refused:
        raise ClusterError(f"{len(refused)} products could not be removed: {refused[0]}.")
    return len(gone)
