"""Per-stage timing and throughput of a run."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STAGES = ("read", "decode", "encode", "write")


@dataclass(frozen=True)
class StageTimes:
    """Seconds of the encoding thread by stage.

    Attributes:
        read: waiting for products to be read and compared.
        decode: waiting for images to be fetched and decoded.
        encode: encoding.
        write: waiting for a free bulk.
    """

    read: float = 0.0
    decode: float = 0.0
    encode: float = 0.0
    write: float = 0.0

    @property
    def limit(self) -> str:
        """The stage that took most of the encoding thread's time, which sets the pace of the run."""
        return max(STAGES, key=lambda stage: float(getattr(self, stage)))


class Clock:
    """Adds up the encoding thread's time per stage; may be read by any thread."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def spent(self, stage: str) -> Iterator[None]:
        """Add the body's time to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            with self._lock:
                self._seconds[stage] += seconds

    @property
    def times(self) -> StageTimes:
        """The seconds so far."""
        with self._lock:
            return StageTimes(**{stage: self._seconds[stage] for stage in STAGES})


class Rate:
    """Products per second over the last few seconds."""

    def __init__(self, window: float = 10.0) -> None:
        self._window = window
        self._points: deque[tuple[float, int]] = deque()

    def add(self, done: int) -> None:
        """Note how many products are done by now."""
        now = time.monotonic()
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[0][0] > self._window:
            self._points.popleft()

    @property
    def value(self) -> float:
        """Products per second; 0 before anything is known."""
        if len(self._points) < 2:
            return 0.0
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / (end - start) if end > start else 0.0
