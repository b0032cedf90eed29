"""The two slow stages of an ingest run, encoding and writing, each with a bounded queue before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from clipita.catalogue.product import Product
from clipita.catalogue.rejection import Rejection
from clipita.config import IngestConfig
from clipita.errors import ProductError
from clipita.opensearch.bulk import MAX_BYTES, BulkWriter, Document, OnDone
from clipita.opensearch.content import Draft, document_line, make_thumbnail
from clipita.opensearch.outcomes import Ledger, Outcome
from clipita.runtime import ProductEncoder, ProductInput

AHEAD = 4
"""Batches of the encoder that are decoded ahead."""
BULKS_UNDER_WAY = 2


@dataclass(frozen=True, slots=True)
class Item:
    """A product and where it stands."""

    product: Product = field(repr=False)
    file: str
    row: int

    def rejection(self, reason: str) -> Rejection:
        """Why it is left out."""
        return Rejection(self.file, self.row, self.product.id, reason)


class WriteStage:
    """Collects documents into bulks and writes them in a thread of its own.

    Args:
        make_writer: gives the writer, which reports every document to the function it gets.
        ledger: gets each document's outcome.
        max_documents: documents that are collected before they are handed to the writer.
    """

    def __init__(self, make_writer: Callable[[OnDone], BulkWriter], ledger: Ledger, max_documents: int) -> None:
        self._max_documents = max_documents
        self._buffered = 0
        self._ledger = ledger
        self._writer = make_writer(self._done)
        self._thread = ThreadPoolExecutor(1, "bulk")
        self._expected: dict[str, tuple[Item, Outcome]] = {}
        self._buffer: list[Document] = []
        self._under_way: deque[Future[None]] = deque()
        self._broken = False

    def put(self, item: Item, document: Document, outcome: Outcome) -> None:
        """Queue a document; waits while too much is under way.

        Args:
            item: where it comes from.
            document: what to write.
            outcome: what to count once it is written.

        Raises:
            ClusterError: an earlier bulk failed for good.
        """
        self._expected[document.id] = (item, outcome)
        self._buffer.append(document)
        self._buffered += document.size
        if len(self._buffer) >= self._max_documents or self._buffered >= MAX_BYTES:
            self._submit()

    def flush(self) -> None:
        """Write what is queued and wait for it.

        Raises:
            ClusterError: a bulk failed for good.
        """
        if self._buffer:
            self._submit()
        while self._under_way:
            self._under_way.popleft().result()

    def close(self, flush: bool) -> None:
        """End the thread; what is queued is written first, or dropped."""
        try:
            if flush:
                self.flush()
        finally:
            self._broken = True
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        while len(self._under_way) >= BULKS_UNDER_WAY:
            self._under_way.popleft().result()
        documents, self._buffer, self._buffered = self._buffer, [], 0
        self._under_way.append(self._thread.submit(self._write, documents))

    def _write(self, documents: list[Document]) -> None:
        # After one bulk failed for good the next would wait for the same cluster just as long.
        if self._broken:
            return
        try:
            self._writer.write(documents)
        except BaseException:
            self._broken = True
            raise

    def _done(self, document: Document, refusal: str | None) -> None:
        item, outcome = self._expected.pop(document.id)
        if refusal is None:
            self._ledger.count(outcome)
        else:
            self._ledger.leave_out(item.rejection(refusal), Outcome.FAILED)


class EncodeStage:
    """Decodes pictures in a pool, ahead of the encoder, and hands finished documents to the writer.

    Args:
        encoder: the model.
        pool: threads for decoding.
        write: the next stage.
        ledger: gets what cannot be encoded.
        config: batch size and thumbnails.
    """

    def __init__(
        self, encoder: ProductEncoder, pool: ThreadPoolExecutor, write: WriteStage, ledger: Ledger, config: IngestConfig
    ) -> None:
        self._encoder = encoder
        self._pool = pool
        self._write = write
        self._ledger = ledger
        self._config = config
        self._queue: deque[tuple[Item, Draft, Future[tuple[ProductInput, str | None]]]] = deque()
        self.encoded = 0

    @property
    def full(self) -> bool:
        """Whether to encode before putting more."""
        return len(self._queue) >= AHEAD * self._config.batch_size

    def put(self, item: Item, draft: Draft) -> None:
        """Queue a product; its picture begins to be decoded."""
        self._queue.append((item, draft, self._pool.submit(self._prepare, draft.product)))

    def step(self) -> bool:
        """Encode one batch.

        Returns:
            False when the queue was empty.
        """
        if not self._queue:
            return False
        ready: list[tuple[Item, Draft, ProductInput, str | None]] = []
        while self._queue and len(ready) < self._config.batch_size:
            item, draft, future = self._queue.popleft()
            try:
                ready.append((item, draft, *future.result()))
            except ProductError as error:
                self._ledger.leave_out(item.rejection(error.message))
        vectors = self._encoder.encode([prepared for _, _, prepared, _ in ready])
        self.encoded += len(ready)
        fingerprint = self._encoder.bundle.fingerprint
        for (item, draft, _, thumbnail), vector in zip(ready, vectors, strict=True):
            line = document_line(draft, vector, fingerprint, thumbnail)
            self._write.put(item, Document(item.product.id, line), Outcome.WRITTEN)
        return True

    def _prepare(self, product: Product) -> tuple[ProductInput, str | None]:
        prepared = self._encoder.prepare(product)
        return prepared, make_thumbnail(product) if self._config.thumbnails else None
