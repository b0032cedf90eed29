"""Writing documents in bulk, with an outcome for each of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import opensearchpy
import orjson

from clipita.opensearch.cluster.errors import INTERNAL, address_of, is_full_disk, translate
from clipita.opensearch.cluster.retry import RETRIABLE, Backoff, describe, is_retriable
from clipita.opensearch.dialect.opensearch import BLOCKS, MISSING_INDEX

MAX_DOCUMENTS = 500
MAX_BYTES = 5_000_000
"""OpenSearch's guide advises a few megabytes per bulk; http.max_content_length is 100 MB."""
TOO_LARGE = 413
NOT_FOUND = 404
MAX_TRIES = 5
"""How often a document is sent that gives an internal error: it may be the cause, and others are waiting."""
UNCLEAR = 0
"""Stands for the status of a document of which the answer does not say what became of it."""
CHANGED = frozenset({404, 409})
"""A guarded document is gone, or has another version."""
CONFLICT = "version conflict"
"""Reported for a guarded document that another writer changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document to write; writing it twice gives the same index.

    Attributes:
        line: the document as one line of JSON; for `update` the body of an update, for `delete` empty.
        action: `index` replaces the document, `update` writes fields of an existing one, `delete` removes it.
        guard: sequence number and primary term that the stored document must have.
    """

    id: str
    line: bytes = field(repr=False)
    routing: str | None = None
    action: Literal["index", "update", "delete"] = "index"
    guard: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Approximate bytes in a bulk request."""
        return len(self.line) + len(self.id) + 32


OnDone = Callable[[Document, str | None], None]
"""Called once per document, with None when it was written, else with the reason why the cluster refused it."""


class BulkWriter:
    """Writes documents to one index and reports each of them exactly once.

    While the cluster is busy or away (429, 5xx, no answer in time, no connection), has no room on its disks, or does
    not say what became of a document, the writer waits and halves its bulks; they grow again once the cluster keeps up.
    A document larger than `max_bytes` is sent alone.

    With `require_alias` it refuses to write unless `name` is an alias (see `index.write_alias`): a write to an index
    that was deleted meanwhile would create it again, without our mapping.
    """

    def __init__(
        self,
        client: opensearchpy.OpenSearch,
        name: str,
        on_done: OnDone,
        backoff: Backoff | None = None,
        max_documents: int = MAX_DOCUMENTS,
        max_bytes: int = MAX_BYTES,
        *,
        require_alias: bool = True,
    ) -> None:
        self._client = client
        self._name = name
        self._require_alias = require_alias
        self._on_done = on_done
        self._backoff = backoff or Backoff()
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._failed: Counter[str] = Counter()
        self.limit = max_documents
        """Documents that the next request may hold."""

    def write(self, documents: Iterable[Document]) -> None:
        """Write all documents.

        Raises:
            IndexReadOnlyError: the index is blocked for writing, or the cluster's disks stayed full.
            ClusterError: the cluster stayed busy or away, or refused the whole request. Documents that were not
                reported may or may not be written; writing them again is safe.
        """
        waiting = deque(documents)
        while waiting:
            chunk = self._take(waiting)
            waiting.extendleft(reversed(self._send(chunk)))

    def _take(self, waiting: deque[Document]) -> list[Document]:
        chunk = [waiting.popleft()]
        size = chunk[0].size
        while waiting and len(chunk) < self.limit and size + waiting[0].size <= self._max_bytes:
            size += waiting[0].size
            chunk.append(waiting.popleft())
        return chunk

    def _send(self, chunk: Sequence[Document]) -> list[Document]:
        """Send one request and return what has to be sent again."""
        body = b"".join(_lines(document) for document in chunk)
        try:
            answer = self._client.bulk(body=body, index=self._name, require_alias=self._require_alias)
        except opensearchpy.OpenSearchException as error:
            return self._not_taken(chunk, error)
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or len(items) != len(chunk):
            return self._not_taken(chunk, opensearchpy.SerializationError("the answer does not match the bulk"))
        return self._sort_out(chunk, items)

    def _not_taken(self, chunk: Sequence[Document], error: Exception) -> list[Document]:
        if getattr(error, "status_code", None) == TOO_LARGE:
            if len(chunk) == 1:
                self._on_done(chunk[0], f"the document is too large for the cluster: {chunk[0].size:,} bytes")
                return []
            self.limit = max(1, len(chunk) // 2)
            return list(chunk)
        if not is_retriable(error):
            raise translate(error, address_of(self._client)) from error
        self._wait_with_smaller_bulks(len(chunk), describe(error), error)
        return list(chunk)

    def _sort_out(self, chunk: Sequence[Document], items: Sequence[Any]) -> list[Document]:
        """Report each document of an answered request, and return those that were turned away for now."""
        again: list[Document] = []
        turned_away: Exception | None = None
        for document, item in zip(chunk, items, strict=True):
            status, error = _outcome(document, item)
            failure = None if error is None else _as_exception(status, error)
            if failure is None or error is None:
                self._on_done(document, None)
            elif self._waits(document, failure):
                turned_away = failure
                again.append(document)
            elif error.get("type") in BLOCKS | MISSING_INDEX:
                raise translate(failure, address_of(self._client))
            elif status in CHANGED and document.guard is not None:
                self._on_done(document, CONFLICT)
            else:
                self._on_done(document, _reason(error))
        if len(again) < len(chunk):
            self._backoff.success()
        if turned_away is not None:
            cause = f"{describe(turned_away)}, {len(again)} of {len(chunk)} documents turned away"
            self._wait_with_smaller_bulks(len(chunk), cause, turned_away)
        else:
            self.limit = min(self._max_documents, self.limit * 2)
        return again

    def _waits(self, document: Document, failure: Exception) -> bool:
        """Whether a document that was turned away is sent again."""
        if getattr(failure, "status_code", None) != INTERNAL or is_full_disk(failure):
            return is_retriable(failure)
        self._failed[document.id] += 1
        return self._failed[document.id] < MAX_TRIES

    def _wait_with_smaller_bulks(self, sent: int, cause: str, error: Exception) -> None:
        self.limit = max(1, sent // 2)
        if not self._backoff.wait(cause):
            raise translate(error, address_of(self._client)) from error


def write_all(
    client: opensearchpy.OpenSearch,
    name: str,
    documents: Iterable[Document],
    backoff: Backoff,
    *,
    require_alias: bool = True,
) -> list[str]:
    """Write documents, see `BulkWriter`, make them searchable, and return the reasons of those that were refused."""
    refused: list[str] = []

    def note(_: Document, reason: str | None) -> None:
        if reason is not None:
            refused.append(reason)

    BulkWriter(client, name, note, backoff, require_alias=require_alias).write(documents)
    backoff.call(client, lambda: client.indices.refresh(index=name))
    return refused


def _lines(document: Document) -> bytes:
    action: dict[str, Any] = {"_id": document.id}
    if document.routing is not None:
        action["routing"] = document.routing
    if document.guard is not None:
        action["if_seq_no"], action["if_primary_term"] = document.guard
    elif document.action == "update":
        action["retry_on_conflict"] = 5
    line = orjson.dumps({document.action: action}) + b"\n"
    return line if document.action == "delete" else line + document.line + b"\n"


def _outcome(document: Document, item: Any) -> tuple[int, dict[str, Any] | None]:
    """Status and error of a document by its part of the answer, with `UNCLEAR` where that says nothing."""
    result = next(iter(item.values())) if isinstance(item, dict) and len(item) == 1 else None
    unclear: dict[str, Any] = {}
    if not isinstance(result, dict) or result.get("_id", document.id) != document.id:
        return UNCLEAR, unclear
    status, error = result.get("status"), result.get("error")
    if not isinstance(status, int):
        return UNCLEAR, unclear
    if error is None:
        # A document that is gone already needs no removal.
        written = 200 <= status < 300 or (document.action == "delete" and status == NOT_FOUND)
        return (status, None) if written else (status if status in RETRIABLE else UNCLEAR, unclear)
    if isinstance(error, str):
        error = {"type": "", "reason": error}
    return (status, error) if isinstance(error, dict) and error and status >= 400 else (UNCLEAR, unclear)


def _reason(error: dict[str, Any]) -> str:
    words = str(error.get("reason") or error.get("type"))
    cause = error.get("caused_by")
    # OpenSearch quotes the value of the field, which can be a whole page.
    details = f": {cause['reason']}" if isinstance(cause, dict) and cause.get("reason") else ""
    return f"OpenSearch refused the document: {words}{details}"[:500]


def _as_exception(status: int, error: dict[str, Any]) -> Exception:
    """One item's error as the exception that a whole request with it would have raised."""
    if status == UNCLEAR:
        failure: Exception = opensearchpy.SerializationError("the answer does not say what became of a document")
    else:
        body = {"error": {"root_cause": [error], **error}, "status": status}
        failure = opensearchpy.TransportError(status, str(error.get("type", "")), body)
    return failure
