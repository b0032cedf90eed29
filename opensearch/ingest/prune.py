"""Removing products that left the catalogue or the original, with a limit that a truncated one does not get past."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from opensearchpy import OpenSearch

from clipita.catalogue.ids import IdTable
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.bulk import Document, write_all
from clipita.opensearch.cluster.reads import addresses, count, get_documents, refresh
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.ingest.index_source import scan

LOOKUP = 1_000
"""Documents looked for at a time."""


def prune(client: OpenSearch, name: str, ids: IdTable, backoff: Backoff, *, limit: float) -> int:
    """Remove all documents whose id is not in the catalogue.

    Args:
        client: connected.
        name: the index.
        ids: every id of the catalogue.
        backoff: how to wait for a busy cluster.
        limit: the largest share of the index to remove; infinity takes whatever it is.

    Returns:
        How many were removed.

    Raises:
        UsageError: there are more than the limit allows; none was removed.
        ClusterError: the cluster refused it.
    """
    refresh(client, name, backoff)
    total = count(client, name, backoff)
    gone = list(_left(client, name, ids, backoff))
    if len(gone) > limit * total:
        raise UsageError(
            f"{len(gone):,} of {total:,} products in {name} ({len(gone) / total:.0%}) are not in the catalogue, more "
            f"than the {limit:.0%} that --prune removes unasked. None was removed; everything else is done.",
            hint="Is the catalogue whole? If it is, run the same command with --prune --force.",
        )
    return _remove(client, name, gone, backoff)


def drop_deleted(client: OpenSearch, original: str, name: str, backoff: Backoff, *, limit: float) -> int:
    """Remove from a copy that nobody searches yet what was deleted from its original since it was copied.

    Args:
        client: connected.
        original: the shop's index.
        name: the copy.
        backoff: how to wait for a busy cluster.
        limit: as for `prune`, of the copy.

    Returns:
        How many were removed.

    Raises:
        UsageError: there are more than the limit allows; none was removed.
        ClusterError: the cluster refused it.
    """
    for index in (original, name):
        refresh(client, index, backoff)
    total = count(client, name, backoff)
    # The usual case costs two counts: a copy never lacks what its original has, so it holds no more either.
    if total <= count(client, original, backoff):
        return 0
    gone = list(_deleted(client, original, name, backoff))
    if len(gone) > limit * total:
        raise UsageError(
            f"{len(gone):,} of {total:,} products in {name} ({len(gone) / total:.0%}) are no longer in {original}, "
            f"more than the {limit:.0%} that are removed unasked. None was removed, and the alias stays where it is.",
            hint="Is the index whole? If it is, run the same command with --force.",
        )
    return _remove(client, name, gone, backoff)


def _remove(client: OpenSearch, name: str, gone: list[Document], backoff: Backoff) -> int:
    refused = write_all(client, name, gone, backoff)
    if refused:
        raise ClusterError(f"{len(refused)} products could not be removed: {refused[0]}.")
    return len(gone)


def _deleted(client: OpenSearch, original: str, name: str, backoff: Backoff) -> Iterator[Document]:
    hits = scan(client, name, {"match_all": {}}, backoff, False)
    while part := list(itertools.islice(hits, LOOKUP)):
        answers = get_documents(client, original, addresses(part), backoff, _source="false")
        for hit, answer in zip(part, answers, strict=True):
            if not answer["found"]:
                yield Document(hit["_id"], b"", hit.get("_routing"), "delete")


def _left(client: OpenSearch, name: str, ids: IdTable, backoff: Backoff) -> Iterator[Document]:
    for hit in scan(client, name, {"match_all": {}}, backoff, False):
        if hit["_id"] not in ids:
            yield Document(hit["_id"], b"", hit.get("_routing"), "delete")
