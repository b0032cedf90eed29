"""The two slow stages of an ingest run, encoding and writing, each with a bounded queue before it."""

from __future__ import annotations

import dataclasses
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from clipita.catalogue.product import Product
from clipita.errors import ImageError, ProductError
from clipita.opensearch.cluster.bulk import CONFLICT, MAX_BYTES, BulkWriter, Document
from clipita.opensearch.ingest.context import RunContext
from clipita.opensearch.ingest.documents import BrokenImages, Draft, Item, Layout, Vector, make_thumbnail
from clipita.opensearch.ingest.outcomes import Outcome
from clipita.runtime import ProductEncoder, ProductInput, best_batch_size
from clipita.runtime.stream import CANDIDATES

AHEAD = 4
"""Batches of the encoder that are decoded ahead."""
MAX_THREADS = 8
POLL_SECONDS = 0.2
CHUNK = 16
"""Products per task of the decoding pool: handing over a small image costs a good part of decoding it."""
LINGER_SECONDS = 1.0
"""A batch that a slow source does not fill is encoded after this time."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A product before its encoding.

    Attributes:
        given: the encoder's input, or why the product has none.
        thumbnail: a JPEG in base64, if wanted.
        broken_images: those that cannot be used; the input is then made of the rest.
    """

    given: ProductInput | ProductError
    thumbnail: str | None = None
    broken_images: BrokenImages = ()


Waiting = tuple[Item, Draft, "Future[list[Prepared]]", int]
T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - a signal between threads, not an error
    """The run is over; threads that wait for room in a queue give up."""


class WriteStage:
    """Collects documents into bulks and writes them in its own threads; safe to use from several threads.

    Each method raises a ClusterError once a bulk has failed for good. `conflicts` are the products whose documents
    another writer changed meanwhile.
    """

    def __init__(self, context: RunContext) -> None:
        config = context.config
        self._ledger = context.ledger
        self._clock = context.clock
        self._layout = Layout(context.target.way, context.bundle.fingerprint, context.target.id_field)
        self._max_documents = config.bulk_documents
        self._parallel = config.bulk_threads
        self._writers: queue.SimpleQueue[BulkWriter] = queue.SimpleQueue()
        for _ in range(self._parallel):
            writer = BulkWriter(
                context.client, context.write_alias, self._done, context.backoff(), config.bulk_documents
            )
            self._writers.put(writer)
        self._threads = ThreadPoolExecutor(self._parallel, "bulk")
        self._lock = threading.Lock()
        self._expected: dict[str, tuple[Item, str | None, Outcome, str | None]] = {}
        self._buffer: list[Document] = []
        self._buffered = 0
        self._under_way: deque[Future[None]] = deque()
        self._broken = False
        self.conflicts: list[Item] = []

    def put(self, item: Item, draft: Draft, vector: Vector | None, thumbnail: str | None, outcome: Outcome) -> None:
        """Queue a document with its vector, [dim] of unit length; waits while too many bulks are in progress.

        Once the document is written, `outcome` is counted, and a warning where an image cannot be used.
        """
        self._queue(item, draft, self._layout.encoded(item, draft, vector, thumbnail), outcome)

    def put_without_vector(self, item: Item, draft: Draft, problem: str) -> None:
        """Leave a product out, unless its images alone are the reason; a document of the shop belongs into its copy."""
        if draft.is_broken:
            self.put(item, draft.with_vector_of(""), None, None, Outcome.WRITTEN)
            return
        document = self._layout.without_vector(item, draft)
        if document is None:
            self._ledger.leave_out(item.rejection(problem))
        else:
            self._queue(item, draft, document, Outcome.REJECTED, problem)

    def _queue(
        self, item: Item, draft: Draft, document: Document, outcome: Outcome, problem: str | None = None
    ) -> None:
        with self._lock:
            self._expected[document.id] = (item, draft.problem, outcome, problem)
            self._buffer.append(document)
            self._buffered += document.size
            if len(self._buffer) >= self._max_documents or self._buffered >= MAX_BYTES:
                self._submit()

    def flush(self) -> None:
        """Write what is queued and wait for it."""
        with self._lock:
            if self._buffer:
                self._submit()
            while self._under_way:
                self._under_way.popleft().result()

    def close(self, flush: bool) -> None:
        """End the threads; what is queued is written first, or dropped."""
        try:
            if flush:
                self.flush()
        finally:
            self._broken = True
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        with self._clock.spent("write"):
            while len(self._under_way) > self._parallel:
                self._under_way.popleft().result()
        documents, self._buffer, self._buffered = self._buffer, [], 0
        self._under_way.append(self._threads.submit(self._write, documents))

    def _write(self, documents: list[Document]) -> None:
        # After one bulk failed for good, the next would wait just as long for the same cluster.
        if self._broken:
            return
        writer = self._writers.get()
        try:
            writer.write(documents)
        except BaseException:
            self._broken = True
            raise
        finally:
            self._writers.put(writer)

    def _done(self, document: Document, refusal: str | None) -> None:
        item, image_problem, outcome, problem = self._expected.pop(document.id)
        if refusal == CONFLICT:
            self.conflicts.append(item)
        elif refusal is not None:
            self._ledger.leave_out(item.rejection(refusal), Outcome.FAILED)
        elif problem is not None:
            self._ledger.leave_out(item.rejection(problem))
        else:
            if image_problem is not None:
                self._ledger.warn(item.rejection(image_problem))
            self._ledger.count(outcome)


class BatchStage(ABC, Generic[T]):
    """Collects products into batches for an encoder and passes finished documents to the writer.

    One thread calls `put_all` and `end`, which raise `Stopped` once the run is over; another one calls `step`.
    """

    def __init__(self, context: RunContext, write: WriteStage) -> None:
        self._config = context.config
        self._clock = context.clock
        self._write = write
        self._batch_size = self._config.batch_size or CANDIDATES[-1]
        self._queue: queue.Queue[T | None] = queue.Queue(AHEAD * self._batch_size)
        self._stop = threading.Event()
        self._ended = False
        self.encoded = 0

    def begin(self) -> None:
        """Products will be put (again)."""
        self._ended = False

    @abstractmethod
    def put_all(self, products: Sequence[tuple[Item, Draft]]) -> None:
        """Queue products; waits while the queue is full."""

    def end(self) -> None:
        """Nothing more will be put."""
        self._enqueue(None)

    def stop(self) -> None:
        """Wake a thread that waits in `put_all`."""
        self._stop.set()

    @abstractmethod
    def step(self) -> bool:
        """Process one batch; False when everything was encoded."""

    def _next_batch(self) -> list[T]:
        batch: list[T] = []
        deadline = time.monotonic() + LINGER_SECONDS
        with self._clock.spent("read"):
            while len(batch) < self._batch_size and not self._ended:
                try:
                    entry = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                if entry is None:
                    self._ended = True
                else:
                    batch.append(entry)
        return batch

    def _encoded(self, item: Item, draft: Draft, vector: Vector, thumbnail: str | None) -> None:
        self.encoded += 1
        if draft.is_broken:
            draft = draft.with_vector_of(draft.text_hash)
        self._write.put(item, draft, vector, thumbnail, Outcome.WRITTEN)

    def _enqueue(self, entry: T | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return
        raise Stopped


class EncodeStage(BatchStage[Waiting]):
    """An encoder in this process; images are decoded ahead of it, in a pool."""

    def __init__(
        self, context: RunContext, write: WriteStage, encoder: ProductEncoder, pool: ThreadPoolExecutor
    ) -> None:
        super().__init__(context, write)
        self._encoder = encoder
        self._pool = pool
        self._measured = self._config.batch_size > 0

    def put_all(self, products: Sequence[tuple[Item, Draft]]) -> None:
        """Queue products and begin to decode their images; waits while the queue is full."""
        for start in range(0, len(products), CHUNK):
            part = products[start : start + CHUNK]
            future = self._pool.submit(
                lambda products: [prepare(self._encoder, product, self._config.thumbnails) for product in products],
                [draft.product for _, draft in part],
            )
            for number, (item, draft) in enumerate(part):
                self._enqueue((item, draft, future, number))

    def step(self) -> bool:
        """Encode one batch; False when everything was encoded."""
        batch = self._next_batch()
        if not batch:
            # Nothing came for a while: finished documents need not wait for a full bulk.
            self._write.flush()
            return not self._ended
        ready: list[tuple[Item, Draft, ProductInput, str | None]] = []
        with self._clock.spent("decode"):
            for item, draft, future, number in batch:
                prepared = future.result()[number]
                if prepared.broken_images:
                    draft = draft.without_images(prepared.broken_images)
                if isinstance(prepared.given, ProductError):
                    self._write.put_without_vector(item, draft, prepared.given.message)
                else:
                    ready.append((item, draft, prepared.given, prepared.thumbnail))
        with self._clock.spent("encode"):
            inputs = [made for _, _, made, _ in ready]
            # Fewer would be encoded sooner than measured.
            if not self._measured and len(inputs) == self._batch_size:
                self._batch_size, _ = best_batch_size(self._encoder, inputs)
                self._measured = True
            vectors = self._encoder.encode(inputs)
        for (item, draft, _, thumbnail), vector in zip(ready, vectors, strict=True):
            self._encoded(item, draft, vector, thumbnail)
        return not self._ended


def decoding_pool() -> ThreadPoolExecutor:
    """Threads that read and decode images: one more than there are cores, up to `MAX_THREADS`."""
    return ThreadPoolExecutor(min(MAX_THREADS, (os.cpu_count() or 1) + 1), "decode")


def prepare(encoder: ProductEncoder, product: Product, thumbnails: bool) -> Prepared:
    """The encoder's input and, if wanted, the thumbnail; without the images that cannot be used."""
    try:
        given = encoder.prepare(product)
        usable = product.without_images(dict(given.broken_images))
        return Prepared(given, make_thumbnail(usable) if thumbnails else None, given.broken_images)
    except ImageError as error:
        rest = prepare(encoder, dataclasses.replace(product, images=()), thumbnails=False)
        every = tuple((place, error.message) for place in range(len(product.images)))
        return dataclasses.replace(rest, broken_images=every)
    except ProductError as error:
        return Prepared(error)
