"""A source that comes in bit by bit: batches that do not wait to be full, and products that come again."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from clipita.opensearch.items import Item

LINGER_SECONDS = 0.5
POLL_SECONDS = 0.05
MOST_RECENT = 100_000


class _End:
    """Closes the queue, with what ended the reading."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def batches_in_time(items: Iterator[Item], size: int, ended: threading.Event) -> Iterator[list[Item]]:
    """Batches of at most `size` items, each of them handed on after half a second however few there are.

    Args:
        items: read in a thread of its own, which blocks while nothing comes.
        size: of a batch.
        ended: nobody wants more.

    Raises:
        BaseException: what reading raised.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(2 * size)
    # A daemon: it may be blocked in reading standard input when the run is interrupted.
    threading.Thread(target=_pump, args=(items, waiting), name="stream", daemon=True).start()
    while not ended.is_set():
        batch: list[Item] = []
        deadline = time.monotonic() + LINGER_SECONDS
        while len(batch) < size:
            try:
                entry = waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(entry, _End):
                if batch:
                    yield batch
                if entry.error is not None:
                    raise entry.error
                return
            batch.append(entry)
        if batch:
            yield batch


def _pump(items: Iterator[Item], waiting: queue.Queue[Item | _End]) -> None:
    try:
        for item in items:
            waiting.put(item)
    except BaseException as error:  # noqa: BLE001 - raised again where the batches are taken
        waiting.put(_End(error))
    else:
        waiting.put(_End(None))


class Repeats:
    """Keeps two versions of one product from being under way at once, of which the older might win.

    Args:
        settled: whether everything that was sent on has its outcome.
        ended: nobody wants more.
    """

    def __init__(self, settled: Callable[[], bool], ended: threading.Event) -> None:
        self._settled = settled
        self._ended = ended
        self._recent: set[str] = set()

    def parts(self, batch: list[Item]) -> Iterator[list[Item]]:
        """The batch in parts, each of which may be sent on as soon as it is given."""
        part: list[Item] = []
        for item in batch:
            if item.product.id in self._recent or len(self._recent) >= MOST_RECENT:
                if part:
                    yield part
                part = []
                self._wait()
            self._recent.add(item.product.id)
            part.append(item)
        if part:
            yield part

    def _wait(self) -> None:
        while not self._settled() and not self._ended.wait(POLL_SECONDS):
            pass
        self._recent.clear()
