"""CSV files as rows: comma, semicolon or tab, plain or gzipped."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.catalogue.rows import MAX_LINE, NumberedRow, StoredRow, numbered_lines
from clipita.errors import CatalogueError, ProductError

DELIMITERS = (",", ";", "\t")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")

Convert = Callable[[str], Any]


@dataclass(frozen=True)
class _Survey:
    rows: int
    converts: dict[str, Convert]


class DelimitedSource:
    """Rows of a CSV file with a header line. Empty cells are None.

    A column that holds only whole numbers, or only numbers, gives numbers, so that a price can be filtered by range;
    numbers with a leading zero (codes, telephone numbers) keep a column text.

    Attributes:
        delimiter: a tab for `.tsv`, else the one among comma, semicolon and tab that splits the header most.

    Raises:
        CatalogueError: no usable header, or two columns of one name.
    """

    binary_columns: frozenset[str] = frozenset()

    def __init__(self, file: Path) -> None:
        # A cell may hold an image as a data: URI; the csv module's limit is global and 128 KB by default.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
        self._file = file
        tsv = ".tsv" in (suffix.lower() for suffix in file.suffixes)
        self.delimiter = "\t" if tsv else max(DELIMITERS, key=self._columns_by)
        self.columns = self._named(self._header(self.delimiter))

    @property
    def rows(self) -> int:
        """Records below the header, unreadable ones included; reads the file once."""
        return self._survey.rows

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """All records in order, with the number of the line on which they begin.

        Raises:
            CatalogueError: the file breaks off (a truncated .gz) or a line is longer than 50 MB.
        """
        converts = self._survey.converts
        for line, cells in self._cells():
            if isinstance(cells, ProductError):
                yield line, cells
                continue
            named = zip(self.columns, cells, strict=True)
            row = {name: _converted(cell, converts.get(name)) for name, cell in named if name not in leave_out}
            yield line, row

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All records as lists of their cells' texts, see `FileSource.stored`; CSV that cannot be read is None."""
        position = self.columns.index(column)
        for line, cells in self._cells():
            if isinstance(cells, ProductError):
                yield line, cells, None
            else:
                yield line, cells[position], cells

    def sink(self, file: Path, stack: ExitStack) -> Callable[[list[str]], object]:
        """See `FileSource.sink`; compressed files become plain."""
        stream = stack.enter_context(file.open("w", encoding="utf-8", newline="", errors="surrogateescape"))
        writer = csv.writer(stream, delimiter=self.delimiter)
        writer.writerow(self.columns)
        return writer.writerow

    @functools.cached_property
    def _survey(self) -> _Survey:
        rows = 0
        patterns: dict[str, re.Pattern[str]] = dict.fromkeys(self.columns, _INTEGER)
        filled: set[str] = set()
        for _, cells in self._cells():
            rows += 1
            if isinstance(cells, ProductError):
                continue
            for name, cell in zip(self.columns, cells, strict=True):
                if cell and name in patterns:
                    filled.add(name)
                    _narrow(patterns, name, cell)
        numbers = {name: pattern for name, pattern in patterns.items() if name in filled}
        return _Survey(rows, {name: int if pattern is _INTEGER else float for name, pattern in numbers.items()})

    def _cells(self) -> Iterator[tuple[int, list[str] | ProductError]]:
        reader = csv.reader(self._text_lines(), delimiter=self.delimiter, strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, ProductError(f"the record is not valid CSV: {error}")
                continue
            if cells:
                yield line, self._checked(cells)

    def _checked(self, cells: list[str]) -> list[str] | ProductError:
        if len(cells) != len(self.columns):
            return ProductError(f"the record has a wrong number of cells: {len(cells)} for {len(self.columns)} columns")
        if any(not cell.isascii() and _NOT_UTF8.search(cell) for cell in cells):
            return ProductError("the record is not UTF-8: convert the file with iconv -t UTF-8")
        return cells

    def _text_lines(self) -> Iterator[str]:
        for number, line in numbered_lines(self._file):
            if line is None:
                raise CatalogueError(f"{self._file}, line {number}, is longer than {MAX_LINE // 2**20} MB.")
            yield line.decode("utf-8", errors="surrogateescape")

    def _columns_by(self, delimiter: str) -> int:
        """How many columns a delimiter gives; 0 where the header is not CSV with it, as quoted names show."""
        try:
            return len(self._header(delimiter))
        except CatalogueError:
            return 0

    def _header(self, delimiter: str) -> list[str]:
        reader = csv.reader(self._text_lines(), delimiter=delimiter, strict=True)
        try:
            return next(reader, [])
        except csv.Error as error:
            raise CatalogueError(f"{self._file} has no readable header line: {error}.") from error

    def _named(self, header: list[str]) -> list[str]:
        names = [name.strip() or f"column_{position}" for position, name in enumerate(header, start=1)]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise CatalogueError(f"{self._file} has more than one column named {', '.join(sorted(twice))}.")
        if any(_NOT_UTF8.search(name) for name in names):
            raise CatalogueError(f"{self._file} is not UTF-8.", hint="Convert it with iconv -t UTF-8.")
        return names


def _converted(cell: str, convert: Convert | None) -> Any:
    if cell == "":
        return None
    return cell if convert is None else convert(cell)


def _narrow(patterns: dict[str, re.Pattern[str]], name: str, cell: str) -> None:
    """Keep the narrowest pattern that fits every cell so far; drop the column once none does."""
    if patterns[name].fullmatch(cell):
        return
    if _NUMBER.fullmatch(cell):
        patterns[name] = _NUMBER
    else:
        del patterns[name]
