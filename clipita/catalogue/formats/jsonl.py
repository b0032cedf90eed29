"""JSON Lines files and streams as rows: one object per line, plain or compressed."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from clipita.catalogue.formats.rows import MAX_LINE, NumberedRow, StoredRow, numbered_lines, stream_lines
from clipita.errors import CatalogueError, ProductError

SURVEYED_LINES = 1000
"""Lines whose keys become the file's columns; objects need not all have every key."""


class JsonLinesSource:
    """Rows of a JSON Lines file; blank lines do not count.

    Raises:
        CatalogueError: no object among the first lines.
    """

    binary_columns: frozenset[str] = frozenset()
    copied_as = ""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.columns = self._survey()

    @functools.cached_property
    def rows(self) -> int:
        """Lines that are not blank; reads the file once."""
        return sum(1 for _ in self._lines())

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes in JSON
        """All objects in order, with their line numbers.

        Raises:
            CatalogueError: the file breaks off (a truncated .gz).
        """
        return ((number, _parsed(line)) for number, line in self._lines())

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All lines as text with one line end, see `FileSource.stored`."""
        for number, line in self._lines():
            row = _parsed(line)
            text = (line or b"").decode("utf-8", errors="surrogateescape").rstrip("\r\n") + "\n"
            yield number, row if isinstance(row, ProductError) else row.get(column), text

    def sink(self, file: Path, stack: ExitStack) -> Callable[[str], object]:
        """See `FileSource.sink`; compressed files become plain."""
        return stack.enter_context(file.open("w", encoding="utf-8", newline="", errors="surrogateescape")).write

    def _lines(self) -> Iterator[tuple[int, bytes | None]]:
        return _filled(numbered_lines(self._file))

    def _survey(self) -> list[str]:
        columns: dict[str, None] = {}
        objects = 0
        first_error = ""
        for number, line in itertools.islice(self._lines(), SURVEYED_LINES):
            row = _parsed(line)
            if isinstance(row, dict):
                objects += 1
                columns.update(dict.fromkeys(row))
            else:
                first_error = first_error or f"line {number}, {row.message}"
        if first_error and not objects:
            raise CatalogueError(f"{self._file} is not JSON Lines: no object in its first lines ({first_error}).")
        return list(columns)


class JsonLinesStream:
    """Rows of a stream that can be read once, such as standard input; its columns are those of the first object.

    Raises:
        CatalogueError: the stream is empty, or does not begin with an object.
    """

    binary_columns: frozenset[str] = frozenset()
    rows: int | None = None

    def __init__(self, stream: BinaryIO, name: Path) -> None:
        lines = _filled(stream_lines(stream, name))
        first = next(lines, None)
        if first is None:
            raise CatalogueError(f"{name} holds no product.", hint="Give at least one line.")
        row = _parsed(first[1])
        if isinstance(row, ProductError):
            raise CatalogueError(f"{name} is not JSON Lines: line {first[0]}, {row.message}.")
        self.columns = list(row)
        self._lines = itertools.chain([first], lines)

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes in JSON
        """All objects as they come, with their line numbers.

        Raises:
            CatalogueError: the stream breaks off.
        """
        return ((number, _parsed(line)) for number, line in self._lines)


def _filled(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[tuple[int, bytes | None]]:
    return ((number, line) for number, line in lines if line is None or line.strip())


def _parsed(line: bytes | None) -> dict[str, Any] | ProductError:
    if line is None:
        return ProductError(f"the line is too long: more than {MAX_LINE // 2**20} MB")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = _parsed_leniently(line)
    if isinstance(value, ProductError | dict):
        return value
    return ProductError(f"the line is not a JSON object: it holds a {type(value).__name__}")


def _parsed_leniently(line: bytes) -> Any:
    """Python's parser accepts what many exporters write and RFC 8259 forbids: NaN, Infinity, lone surrogates."""
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return ProductError(f"the line is not UTF-8: {error.reason} at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return ProductError(f"the line is not valid JSON: {error}")
