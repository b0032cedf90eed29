"""Removing products that left the catalogue, with a limit that a truncated catalogue file does not get past."""

from __future__ import annotations

from collections.abc import Iterator

from opensearchpy import OpenSearch

from clipita.catalogue.ids import IdTable
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.bulk import BulkWriter, Document
from clipita.opensearch.from_index import scan
from clipita.opensearch.retry import Backoff
from clipita.opensearch.stored import refresh, whole


def prune(client: OpenSearch, name: str, ids: IdTable, backoff: Backoff, *, limit: float, force: bool = False) -> int:
    """Remove all documents whose id is not in the catalogue.

    Args:
        client: connected.
        name: the index.
        ids: every id of the catalogue.
        backoff: how to wait for a busy cluster.
        limit: the largest share of the index to remove, 0 to 1.
        force: remove them whatever their share.

    Returns:
        How many were removed.

    Raises:
        UsageError: there are more than the limit allows; none was removed.
        ClusterError: the cluster refused it.
    """
    refresh(client, name, backoff)
    total = int(backoff.call(client, lambda: whole(client.count(index=name)))["count"])
    gone = list(_left(client, name, ids, backoff))
    if len(gone) > limit * total and not force:
        raise UsageError(
            f"{len(gone):,} of {total:,} products in {name} ({len(gone) / total:.0%}) are not in the catalogue, more "
            f"than the {limit:.0%} that --prune removes unasked. None was removed; everything else is done.",
            hint="Is the catalogue whole? If it is, run the same command with --prune --force.",
        )
    refused: list[str] = []
    writer = BulkWriter(client, name, lambda _, reason: refused.append(reason) if reason else None, backoff)
    writer.write(gone)
    backoff.call(client, lambda: client.indices.refresh(index=name))
    if refused:
        raise ClusterError(f"{len(refused)} products could not be removed: {refused[0]}.")
    return len(gone)


def _left(client: OpenSearch, name: str, ids: IdTable, backoff: Backoff) -> Iterator[Document]:
    for hit in scan(client, name, {"match_all": {}}, backoff, False):
        if hit["_id"] not in ids:
            yield Document(hit["_id"], b"", hit.get("_routing"), "delete")
