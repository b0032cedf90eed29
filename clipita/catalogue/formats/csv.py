"""CSV files as rows, as spreadsheets and shop systems write them, plain or compressed."""

from __future__ import annotations

import csv
import functools
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from clipita.catalogue.formats.rows import MAX_LINE, NumberedRow, StoredRow, check_unique, numbered_lines
from clipita.errors import CatalogueError, ProductError

MAX_RECORD_LINES = 10_000
DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""The line that Excel reads before the header."""
_BLANK = " \t\r\n\ufeff\u00a0"
"""Some exports write a byte order mark behind an empty line."""
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class _Lines:
    """Lines that are read again from the middle of a record, where its first line spoils it.

    A quote without an end would make one record of all lines that follow. So a record has at most `MAX_RECORD_LINES`
    lines and `MAX_LINE` bytes.

    Attributes:
        first: number of the record's first line, from 1.
        record: its lines so far.
    """

    def __init__(self, lines: Iterator[str], first: int = 1) -> None:
        self._lines = lines
        self._again: list[str] = []
        self._size = 0
        self.first = first
        self.record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.record) >= MAX_RECORD_LINES or self._size > MAX_LINE:
            raise csv.Error("the record does not end")
        line = self._again.pop() if self._again else next(self._lines)
        self.record.append(line)
        self._size += len(line)
        return line

    def begin(self) -> None:
        """The next line begins a record."""
        self.first += len(self.record)
        self.record, self._size = [], 0

    @property
    def opened(self) -> int:
        """The line on which the last quoted cell of the record begins."""
        opened, inside = self.first, False
        for number, line in enumerate(self.record, start=self.first):
            # Two quotes are one in the text, or an empty cell.
            for _ in range(line.replace('""', "").count('"')):
                inside = not inside
                opened = number if inside else opened
        return opened

    def rewind(self, is_record: Callable[[str], bool]) -> int:
        """Give the lines again from the first that is a record by itself; returns the number of the one before it."""
        left_out = next((at for at, line in enumerate(self.record) if at and is_record(line)), len(self.record))
        self._again += self.record[left_out:][::-1]
        del self.record[left_out:]
        return self.first + left_out - 1


class DelimitedSource:
    """Rows of a CSV file with a header line. Cells are texts; empty cells are None.

    Blank lines before the header are passed over.

    Args:
        file: its path.
        columns: names of the columns of a file without a header line.

    Attributes:
        delimiter: as a line `sep=;` says, a tab for `.tsv`, else the one of `DELIMITERS` that splits the header most.

    Raises:
        CatalogueError: no usable header, or two columns of one name.
    """

    binary_columns: frozenset[str] = frozenset()
    copied_as = ""

    def __init__(self, file: Path, columns: Sequence[str] = ()) -> None:
        # A cell may hold an image as a data: URI; the csv module's limit is global and 128 KB by default.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
        self._file = file
        self._skipped, self._given = 0, bool(columns)
        found = self._preamble()
        tsv = ".tsv" in (suffix.lower() for suffix in file.suffixes)
        self.delimiter = found or ("\t" if tsv else max(DELIMITERS, key=self._columns_by))
        header = self._header(self.delimiter)
        if columns and len(columns) != len(header):
            raise CatalogueError(
                f"{file} has {len(header)} columns, not {len(columns)}.", hint="Name each of them: columns in [fields]."
            )
        self.columns = self._named(list(columns) or header)

    @functools.cached_property
    def rows(self) -> int:
        """Records below the header, unreadable ones included; reads the file once."""
        return sum(1 for _ in self._cells())

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes in CSV
        """All records in order, with the number of the line on which they begin.

        Raises:
            CatalogueError: the file breaks off (a truncated .gz) or a line is longer than 50 MB.
        """
        for line, cells in self._cells():
            if isinstance(cells, ProductError):
                yield line, cells
            else:
                yield line, {name: cell or None for name, cell in zip(self.columns, cells, strict=True)}

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
        if not self._given:
            writer.writerow(self.columns)
        return writer.writerow

    def _cells(self) -> Iterator[tuple[int, list[str] | ProductError]]:
        lines = _Lines(self._text_lines(), self._skipped + 1)
        reader = self._reader(lines)
        if not self._given:
            next(reader, None)
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = str(error)
                if len(lines.record) > 1:
                    opened = lines.opened
                    last = lines.rewind(self._is_record)
                    reader = self._reader(lines)
                    problem = f"a quote that opens on line {opened} has no proper end; left out up to line {last}"
                yield lines.first, ProductError(f"the record is not valid CSV: {problem}")
                continue
            if cells:
                yield lines.first, self._checked(cells)

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.delimiter, strict=True)

    def _is_record(self, line: str) -> bool:
        """Whether a line is by itself a record with all columns."""
        try:
            return len(next(self._reader([line]), [])) == len(self.columns)
        except csv.Error:
            return False

    def _checked(self, cells: list[str]) -> list[str] | ProductError:
        if len(cells) != len(self.columns):
            return ProductError(f"the record has a wrong number of cells: {len(cells)} for {len(self.columns)} columns")
        if any(not cell.isascii() and _NOT_UTF8.search(cell) for cell in cells):
            return ProductError("the record is not UTF-8: convert the file with iconv -t UTF-8")
        return cells

    def _preamble(self) -> str | None:
        """Count the lines before the header; gives the delimiter that one of them names."""
        for line in self._text_lines():
            named = _SEPARATOR.fullmatch(line.strip())
            if not named and line.strip(_BLANK):
                return None
            self._skipped += 1
            if named:
                return named[1]
        return None

    def _text_lines(self) -> Iterator[str]:
        for number, line in itertools.islice(numbered_lines(self._file), self._skipped, None):
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
        try:
            return next(csv.reader(_Lines(self._text_lines()), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise CatalogueError(f"{self._file} has no readable header line: {error}.") from error

    def _named(self, header: list[str]) -> list[str]:
        names = [name.strip(_BLANK) or f"column_{position}" for position, name in enumerate(header, start=1)]
        check_unique(names, self._file)
        if any(_NOT_UTF8.search(name) for name in names):
            raise CatalogueError(f"{self._file} is not UTF-8.", hint="Convert it with iconv -t UTF-8.")
        return names
