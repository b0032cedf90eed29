"""The count of products by outcome: each ends in exactly one, and the sum is checked."""

from __future__ import annotations

import dataclasses
import enum
import errno
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from clipita.catalogue.product import Rejection
from clipita.errors import UsageError
from clipita.files import json_bytes
from clipita.opensearch.ingest.timing import StageTimes


class Outcome(enum.StrEnum):
    """The result for one product.

    - written: new or with other content, encoded and written.
    - updated: written with the stored vector, as only other fields changed.
    - unchanged: already in the index.
    - rejected: unusable as it is in the catalogue.
    - failed: the cluster refused its document.
    """

    WRITTEN = "written"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True)
class IngestReport:
    """What a run did.

    Attributes:
        alias: the name that searches use.
        index: the index behind it that was written.
        fingerprint: of the model.
        counts: products by outcome.
        reasons: products left out, by kind of reason.
        encoded: vectors made.
        seconds: from the first row to the last refresh.
        finished: whether all products were processed.
        replaced: the index that was behind the alias before and is kept, or None.
        pruned: products removed because they left the catalogue.
        late: products of the shop's index that were copied again, as they changed during the copy.
        image_reasons: products in the index with an image that could not be used, by kind of reason. They have the
            vector that they had, or one of all else, and the next run tries the image again.
        times: time of the encoding thread by stage.
    """

    alias: str
    index: str
    fingerprint: str
    counts: dict[Outcome, int]
    reasons: dict[str, int]
    encoded: int
    seconds: float
    finished: bool
    replaced: str | None = None
    pruned: int = 0
    late: int = 0
    image_reasons: dict[str, int] = field(default_factory=dict)
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def products(self) -> int:
        """Products with an outcome."""
        return sum(self.counts.values())

    @property
    def left_out(self) -> int:
        """Products that are not in the index as the catalogue has them."""
        return self.counts[Outcome.REJECTED] + self.counts[Outcome.FAILED]

    @property
    def image_warnings(self) -> int:
        """Products in the index with an image that could not be used."""
        return sum(self.image_reasons.values())

    @property
    def rate(self) -> float:
        """Products per second."""
        return self.products / self.seconds if self.seconds else 0.0


class Ledger:
    """Counts outcomes, and writes a line per product that is not in the index, or is there without an image.

    The former are in `rejected.jsonl` (`file`), the latter in `image-warnings.jsonl` (`warnings`).
    A line has `file`, `row`, `id` and `reason`, in the former also `outcome` (rejected or failed). Earlier files are
    replaced, and removed where there is no such product. Safe to use from several threads.

    Raises:
        UsageError: a file cannot be written.
    """

    def __init__(self, file: Path, warnings: Path) -> None:
        self.file = file
        self.warnings = warnings
        self.seen = 0
        self._late: Counter[Outcome] | None = None
        self._late_seen = 0
        self._counts: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._warned: Counter[str] = Counter()
        self._lock = threading.Lock()
        with ExitStack() as opened:
            self._stream = opened.enter_context(_open(file, "rejected products", "--rejected"))
            self._warning_stream = opened.enter_context(_open(warnings, "image warnings", "--image-warnings"))
            self._opened = opened.pop_all()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._opened.close()
        except OSError as problem:
            # What is still to be flushed cannot be written either; the first error says so.
            if error is None:
                raise _unwritable(self.file, "rejected products", "--rejected", problem) from problem
        # Never a device such as /dev/null.
        if not self.left_out and self.file.is_file():
            self.file.unlink(missing_ok=True)
        if not self.image_reasons and self.warnings.is_file():
            self.warnings.unlink(missing_ok=True)

    def see(self) -> None:
        """Count a row of the catalogue."""
        with self._lock:
            if self._late is None:
                self.seen += 1
            else:
                self._late_seen += 1

    def count(self, outcome: Outcome) -> None:
        """Count a product that is in the index."""
        with self._lock:
            (self._counts if self._late is None else self._late)[outcome] += 1

    def begin_late(self) -> None:
        """From here on products come again, because they changed after they were counted."""
        with self._lock:
            self._late = self._late or Counter()

    def leave_out(self, rejection: Rejection, outcome: Outcome = Outcome.REJECTED) -> None:
        """Count a product that is not in the index as the catalogue has it, and write the reason at once.

        Raises:
            UsageError: the file cannot be written, for instance because the disk is full.
        """
        line = json_bytes(dataclasses.asdict(rejection) | {"outcome": outcome.value})
        with self._lock:
            (self._counts if self._late is None else self._late)[outcome] += 1
            self._reasons[rejection.kind] += 1
            try:
                self._stream.write(line + b"\n")
                self._stream.flush()
            except OSError as error:
                raise _unwritable(self.file, "rejected products", "--rejected", error) from error

    def warn(self, rejection: Rejection) -> None:
        """Note a product, counted by `count`, that is in the index without an image, and write the reason at once."""
        with self._lock:
            self._warned[rejection.kind] += 1
            try:
                self._warning_stream.write(rejection.to_json_line())
                self._warning_stream.flush()
            except OSError as error:
                raise _unwritable(self.warnings, "image warnings", "--image-warnings", error) from error

    @property
    def counts(self) -> dict[Outcome, int]:
        """Products by outcome, all five outcomes present."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in Outcome}

    @property
    def late(self) -> int:
        """Products that came again."""
        return self._late_seen

    @property
    def done(self) -> int:
        """Products that reached an outcome."""
        return sum(self.counts.values())

    @property
    def left_out(self) -> int:
        """Products that are not in the index as the catalogue has them."""
        counts = self.counts
        return counts[Outcome.REJECTED] + counts[Outcome.FAILED]

    @property
    def reasons(self) -> dict[str, int]:
        """Products left out by kind of reason, the most frequent first."""
        with self._lock:
            return dict(self._reasons.most_common())

    @property
    def image_reasons(self) -> dict[str, int]:
        """Products in the index without an image by kind of reason, the most frequent first."""
        with self._lock:
            return dict(self._warned.most_common())

    def check(self) -> None:
        """Check that each row has exactly one outcome; a RuntimeError is a defect of this program."""
        late = sum((self._late or {}).values())
        if self.done != self.seen or late != self._late_seen:
            raise RuntimeError(f"{self.seen} products were read, but {self.done} have an outcome: {self.counts}")


def _open(file: Path, what: str, flag: str) -> IO[Any]:
    try:
        return file.open("wb")
    except OSError as error:
        raise _unwritable(file, what, flag, error) from error


def _unwritable(file: Path, what: str, flag: str, error: OSError) -> UsageError:
    hint = f"Name another with {flag}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = f"Free some disk space, or name another with {flag}; the same command goes on where this one stopped."
    return UsageError(f"The file for {what} {file} cannot be written: {error.strerror}.", hint=hint)
