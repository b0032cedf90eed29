"""What JSON documents and XML feeds share: their products are objects, and a copy of them is JSON Lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import orjson

from clipita.catalogue.formats.jsonl import SURVEYED_LINES
from clipita.catalogue.formats.rows import NumberedRow, StoredRow
from clipita.errors import ProductError


class ObjectSource(ABC):
    """Rows of a file that holds an object per product; its columns are the keys of the first objects."""

    binary_columns: frozenset[str] = frozenset()
    copied_as = ".jsonl"

    def __init__(self, file: Path) -> None:
        self._file = file
        rows = (row for _, row in islice(self.records(), SURVEYED_LINES) if not isinstance(row, ProductError))
        self.columns = list(dict.fromkeys(name for row in rows for name in row))

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many products there are, unreadable ones included."""

    @abstractmethod
    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """See `Source.records`."""

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All products as lines of JSON, see `FileSource.stored`."""
        for number, row in self.records():
            if isinstance(row, ProductError):
                yield number, row, "null\n"
            else:
                yield number, row.get(column), orjson.dumps(row).decode() + "\n"

    def sink(self, file: Path, stack: ExitStack) -> Callable[[str], object]:
        """See `FileSource.sink`."""
        return stack.enter_context(file.open("w", encoding="utf-8", newline="")).write
