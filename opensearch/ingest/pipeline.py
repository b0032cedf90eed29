"""The stages of one run and the threads they use.

::

    thread "front":  rows ─> drafts ─> stored hashes (mget) ─┬─ same ────────────────────────> unchanged
                             (pool)                          ├─ other fields, stored vector ─┐
                                                             └─ new or other content         │
                                                                 │ (decode in the pool)      │
    this thread:                                                 └─> encode ─────────────────┴─> bulk (threads)

Every queue is bounded, so the slowest stage sets the pace and memory does not grow with the catalogue.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clipita.catalogue.product import Rejection
from clipita.opensearch.ingest.compare import Comparison, Drafting
from clipita.opensearch.ingest.context import RunContext
from clipita.opensearch.ingest.documents import Item
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import Outcome
from clipita.opensearch.ingest.ray.stage import RayEncoders, RayStage
from clipita.opensearch.ingest.sources import CatalogueSource, Repeats, batches_in_time
from clipita.opensearch.ingest.stages import BatchStage, EncodeStage, Stopped, WriteStage, decoding_pool
from clipita.runtime import ProductEncoder

LOOKUP = 256
"""Products per comparison with the index."""
MAX_ROUNDS = 20
"""How often a product that keeps changing is read again."""


class Pipeline:
    """Processes all products of a source; a context manager that ends its threads."""

    def __init__(self, context: RunContext, encoder: ProductEncoder | RayEncoders, *, empty: bool) -> None:
        self._context = context
        self._ledger = context.ledger
        self._ended = threading.Event()
        self._pool = decoding_pool()
        self._fetch = ThreadPoolExecutor(context.config.fetch_threads, "fetch")
        self._write = WriteStage(context)
        self._encode: BatchStage[Any] = (
            RayStage(context, self._write, encoder)
            if isinstance(encoder, RayEncoders)
            else EncodeStage(context, self._write, encoder, self._pool)
        )
        self._compare = Comparison(
            context, self._encode, self._write, self._pool, self._fetch, context.backoff(self._ended), empty
        )
        self._front_error: BaseException | None = None
        self._front: threading.Thread | None = None

    @property
    def encoded(self) -> int:
        """Vectors made."""
        return self._encode.encoded

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._ended.set()
        self._encode.stop()
        self._fetch.shutdown(wait=False, cancel_futures=True)
        if self._front is not None:
            self._front.join()
        for pool in (self._fetch, self._pool):
            pool.shutdown(wait=True, cancel_futures=True)
        # After Ctrl-C what is encoded is still written; after an error of the cluster there is nowhere to write it.
        self._write.close(flush=kind is None or issubclass(kind, KeyboardInterrupt))

    def run(self, source: CatalogueSource | IndexSource, on_step: Callable[[], None]) -> None:
        """Process all products of a source, then again those that changed meanwhile.

        Raises:
            ClusterError: the cluster refused a request, or stayed busy or away for too long.
            IndexLockedError: another run took over.
            CatalogueError: the source broke off.
        """
        # Images of the next batch are fetched while one is encoded; a stream's next batch may be long in coming.
        self._go_through(self._batches(source), on_step, ahead=source.total is not None)
        for _ in range(MAX_ROUNDS):
            conflicts, self._write.conflicts = self._write.conflicts, []
            if not conflicts:
                return
            self._go_through(_chunks(source.again([(item.product.id, item.routing) for item in conflicts])), on_step)
        for item in self._write.conflicts:
            reason = "the document changes all the time: another writer changed it before each of our tries"
            self._ledger.leave_out(item.rejection(reason), Outcome.FAILED)

    def run_late(self, items: Iterator[Item], on_step: Callable[[], None]) -> None:
        """Process products again that changed after they were counted."""
        self._compare.empty = False
        self._ledger.begin_late()
        self._go_through(_chunks(self._seen(items)), on_step)

    def _go_through(self, batches: Iterator[list[Item]], on_step: Callable[[], None], ahead: bool = True) -> None:
        self._encode.begin()
        self._front = threading.Thread(target=self._feed, args=(batches, ahead), name="front", daemon=True)
        self._front.start()
        while self._encode.step():
            self._context.lock.check()
            on_step()
        self._front.join()
        if self._front_error is not None:
            raise self._front_error
        self._write.flush()
        on_step()

    def _batches(self, source: CatalogueSource | IndexSource) -> Iterator[list[Item]]:
        """All products, compared as they come where the source is a stream."""

        def reject(rejection: Rejection) -> None:
            self._ledger.see()
            self._ledger.leave_out(rejection)

        items = source.items(reject)
        if source.total is not None:
            yield from _chunks(self._seen(items))
            return
        repeats = Repeats(lambda: self._ledger.done == self._ledger.seen, self._ended)
        for batch in batches_in_time(items, LOOKUP, self._ended):
            for part in repeats.parts(batch):
                yield list(self._seen(iter(part)))

    def _feed(self, batches: Iterator[list[Item]], ahead: bool) -> None:
        begun: deque[Drafting] = deque()
        try:
            for batch in batches:
                begun.append(self._compare.begin(batch))
                while len(begun) > ahead:
                    self._compare.take(begun.popleft())
            while begun:
                self._compare.take(begun.popleft())
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for this one
            self._front_error = error
        try:
            self._encode.end()
        except Stopped:
            return

    def _seen(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            self._ledger.see()
            yield item


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(itertools.islice(items, LOOKUP)):
        yield batch
