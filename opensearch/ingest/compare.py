"""What the index has already: which products are unchanged, which need their document anew, which a vector."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from opensearchpy import OpenSearch

from clipita.config import IngestConfig
from clipita.errors import ProductError
from clipita.opensearch.cluster.reads import get_documents
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.ingest.documents import Draft, Item, Layout, is_url, kept_source, make_draft, make_thumbnail
from clipita.opensearch.ingest.outcomes import Ledger, Outcome
from clipita.opensearch.ingest.stages import CHUNK, BatchStage, WriteStage

Drafting = Sequence[tuple[Sequence[Item], "Future[list[Draft | ProductError]]"]]
"""Products of which drafts are being made, by task."""
HASHES = "clipita.content_hash,clipita.document_hash"


class Comparison:
    """Sends each product on the shortest way that is right.

    Args:
        client: connected.
        name: the index, or an alias of it alone.
        fingerprint: of the model.
        config: thumbnails.
        layout: makes documents.
        pool: threads in which pictures are read and hashed.
        fetch: threads that wait for pictures by URL.
        pictures: whether the model looks at pictures.
        encode: gets products without a valid vector.
        write: gets documents whose vector is valid.
        ledger: gets all others.
        backoff: how to wait for a busy cluster.
        empty: the index is known to hold nothing, so that there is nothing to compare with.
    """

    def __init__(
        self,
        client: OpenSearch,
        name: str,
        fingerprint: str,
        config: IngestConfig,
        *,
        layout: Layout,
        pool: ThreadPoolExecutor,
        fetch: ThreadPoolExecutor,
        pictures: bool,
        encode: BatchStage[Any],
        write: WriteStage,
        ledger: Ledger,
        backoff: Backoff,
        empty: bool,
    ) -> None:
        self._client = client
        self._name = name
        self._fingerprint = fingerprint
        self._config = config
        self._layout = layout
        self._pool = pool
        self._fetch = fetch
        self._pictures = pictures
        self._encode = encode
        self._write = write
        self._ledger = ledger
        self._backoff = backoff
        self.empty = empty

    def begin(self, batch: Sequence[Item]) -> Drafting:
        """Begin to read, fetch and hash a batch of products; `take` waits for it."""
        tasks: list[tuple[Sequence[Item], Future[list[Draft | ProductError]]]] = []
        for remote, group in itertools.groupby(batch, lambda item: self._pictures and is_url(item.product)):
            items = list(group)
            # What is fetched waits for its server, so each has a thread of its own.
            pool, together = (self._fetch, 1) if remote else (self._pool, CHUNK)
            for start in range(0, len(items), together):
                part = items[start : start + together]
                tasks.append((part, pool.submit(self._draft_all, part)))
        return tasks

    def take(self, batch: Drafting) -> None:
        """Compare a batch of products and send each on."""
        drafted = self._drafts(batch)
        stored = {} if self.empty else self._marked([item for item, _ in drafted])
        fresh: list[tuple[Item, Draft]] = []
        refreshed: list[tuple[Item, Draft]] = []
        unfetched: list[tuple[Item, Draft]] = []
        for item, draft in drafted:
            marks = stored.get(item.product.id, {}).get("clipita", {})
            same_content = marks.get("content_hash") == draft.content_hash
            if item.problem is not None:
                self._copy(item, draft, item.problem)
            elif draft.problem is not None:
                unfetched.append((item, draft))
            elif same_content and (self._layout.way == "in place" or marks.get("document_hash") == draft.document_hash):
                self._ledger.count(Outcome.UNCHANGED)
            elif same_content:
                refreshed.append((item, draft))
            else:
                fresh.append((item, draft))
        self._encode.put_all(fresh)
        self._refresh(refreshed)
        self._keep(unfetched)

    def _marked(self, items: Sequence[Item]) -> dict[str, dict[str, Any]]:
        """Stored hashes; a document that was read from this very index has brought them along."""
        if self._layout.way == "in place" and all(item.stored is not None for item in items):
            return {item.product.id: item.stored.source for item in items if item.stored is not None}
        return self._stored(items, HASHES)

    def _drafts(self, batch: Drafting) -> list[tuple[Item, Draft]]:
        usable: list[tuple[Item, Draft]] = []
        for items, future in batch:
            for item, draft in zip(items, future.result(), strict=True):
                if isinstance(draft, ProductError):
                    self._ledger.leave_out(item.rejection(draft.message))
                else:
                    usable.append((item, draft))
        return usable

    def _draft_all(self, items: Sequence[Item]) -> list[Draft | ProductError]:
        return [self._draft(item) for item in items]

    def _draft(self, item: Item) -> Draft | ProductError:
        stored = None if item.stored is None else item.stored.source
        if item.problem is not None:
            if stored is None:
                return ProductError(item.problem)
            return Draft(item.product, kept_source(stored, item.product.id), "", "")
        try:
            return make_draft(item.product, self._fingerprint, self._config.thumbnails, stored, self._pictures)
        except ProductError as error:
            return error

    def _copy(self, item: Item, draft: Draft, problem: str) -> None:
        document = self._layout.without_vector(item, draft)
        if document is None:
            self._ledger.leave_out(item.rejection(problem))
        else:
            self._write.put(item, document, Outcome.REJECTED, problem)

    def _refresh(self, changed: Sequence[tuple[Item, Draft]]) -> None:
        """Write documents whose vector is still right, with that vector."""
        stored = self._stored([item for item, _ in changed], f"{VECTOR_FIELD},clipita")
        for item, draft in changed:
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            # Another writer may have changed the product between the two requests.
            if VECTOR_FIELD not in source or marks.get("content_hash") != draft.content_hash:
                self._encode.put_all([(item, draft)])
                continue
            try:
                thumbnail = self._thumbnail(draft, marks)
            except ProductError as error:
                self._copy(item, draft, error.message)
                continue
            document = self._layout.encoded(item, draft, source[VECTOR_FIELD], thumbnail)
            self._write.put(item, document, Outcome.UPDATED)

    def _keep(self, unfetched: Sequence[tuple[Item, Draft]]) -> None:
        """Products whose picture could not be fetched: a vector that is there stays until it can be."""
        whole = self._layout.way == "whole"
        items = [item for item, _ in unfetched] if whole and not self.empty else []
        stored = self._stored(items, f"{VECTOR_FIELD},clipita")
        for item, draft in unfetched:
            problem = draft.problem or ""
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            if VECTOR_FIELD not in source or marks.get("fingerprint") != self._fingerprint:
                self._copy(item, draft, problem)
                continue
            # The hash of what the vector was made of, and none of the document: the next run looks again.
            kept = dataclasses.replace(draft, content_hash=marks.get("content_hash", ""), document_hash="")
            document = self._layout.encoded(item, kept, source[VECTOR_FIELD], marks.get("thumbnail"))
            self._write.put(item, document, Outcome.REJECTED, problem)

    def _thumbnail(self, draft: Draft, marks: Mapping[str, Any]) -> str | None:
        """The stored thumbnail where the content is the same; made only when an earlier run made none."""
        if not self._config.thumbnails:
            return None
        return marks.get("thumbnail") or make_thumbnail(draft.product)

    def _stored(self, items: Sequence[Item], fields: str) -> dict[str, dict[str, Any]]:
        """Fields of the documents that are there, by id; the index's present state, refreshed or not."""
        docs = [_address(item) for item in items]
        found = get_documents(self._client, self._name, docs, self._backoff, _source_includes=fields)
        return {document["_id"]: document["_source"] for document in found if document["found"]}


def _address(item: Item) -> dict[str, str]:
    address = {"_id": item.product.id}
    return address if item.routing is None else {**address, "routing": item.routing}
