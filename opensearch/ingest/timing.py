"""How the stages of a run fare: what each has done, how long it took, and which one holds the others up."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import UsageError

STAGES = ("read", "decode", "encode", "write")


@dataclass(frozen=True)
class StageTimes:
    """Seconds of the encoding thread, by what it did.

    Attributes:
        read: waited for products to be read and compared.
        decode: waited for pictures to be fetched and decoded.
        encode: encoded.
        write: waited for room among the bulks.
    """

    read: float = 0.0
    decode: float = 0.0
    encode: float = 0.0
    write: float = 0.0

    @property
    def limit(self) -> str:
        """The stage that took most of the encoding thread's time, and so sets the pace of the run."""
        return max(STAGES, key=lambda stage: float(getattr(self, stage)))


class Clock:
    """Adds up what the encoding thread spends its time on; may be read by any thread."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def spent(self, stage: str) -> Iterator[None]:
        """Count the body's time for a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            with self._lock:
                self._seconds[stage] += seconds

    @property
    def times(self) -> StageTimes:
        """What was counted so far."""
        with self._lock:
            return StageTimes(**{stage: self._seconds[stage] for stage in STAGES})


class Rate:
    """Products a second over the last few seconds."""

    def __init__(self, window: float = 10.0) -> None:
        self._window = window
        self._points: deque[tuple[float, int]] = deque()

    def add(self, done: int) -> None:
        """So many are done by now."""
        now = time.monotonic()
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[0][0] > self._window:
            self._points.popleft()

    @property
    def value(self) -> float:
        """Products a second; 0 before anything is known."""
        if len(self._points) < 2:
            return 0.0
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / (end - start) if end > start else 0.0


def write_textfile(file: Path, alias: str, values: Mapping[str, float], outcomes: Mapping[str, int]) -> None:
    """Write metrics for the textfile collector of Prometheus' node exporter, in one step.

    https://github.com/prometheus/node_exporter#textfile-collector

    Args:
        file: ends in .prom for the collector to find it.
        alias: becomes a label.
        values: gauge name, without prefix, to value.
        outcomes: products by outcome.

    Raises:
        UsageError: the file cannot be written.
    """
    label = alias.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "# HELP clipita_ingest_products Products of the last run by outcome.",
        "# TYPE clipita_ingest_products gauge",
    ]
    lines += [
        f'clipita_ingest_products{{index="{label}",outcome="{outcome}"}} {count}' for outcome, count in outcomes.items()
    ]
    for name, value in values.items():
        lines += [f"# TYPE clipita_ingest_{name} gauge", f'clipita_ingest_{name}{{index="{label}"}} {value}']
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise UsageError(
            f"The metrics file {file} cannot be written: {error.strerror}.", hint="Name another with --metrics-file."
        ) from error
