"""Per-stage timing of a run."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
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
