"""Files as numbered rows of named cells, and text files as lines, plain or compressed."""

from __future__ import annotations

import functools
import gzip
import io
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from clipita.catalogue.formats.encoding import UTF_8, as_utf_8, encoding_of
from clipita.errors import CatalogueError, ProductError

Row = Mapping[str, Any]
NumberedRow = tuple[int, Row | ProductError]
"""The row's number from 1 (the line of a text file), and its cells or what makes them unreadable."""
StoredRow = tuple[int, Any, Any]
"""The row's number, one of its cells or the error that makes it unreadable, and the row in the file's own form."""


class Source(Protocol):
    """One catalogue file.

    Attributes:
        columns: names of the columns, in the file's order.
        binary_columns: those among them that hold raw bytes.
        rows: how many rows there are, unreadable ones included; None for a stream.
    """

    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102 - described above

    @property
    def binary_columns(self) -> Collection[str]: ...  # noqa: D102

    @property
    def rows(self) -> int | None: ...  # noqa: D102

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """All rows in order, without those `binary_columns` that are in `leave_out`.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says where.
        """
        ...


class FileSource(Source, Protocol):
    """A source that can be read repeatedly, and copied row by row.

    Attributes:
        copied_as: the end of a copy's name if a copy has another format; else empty.
    """

    @property
    def copied_as(self) -> str: ...  # noqa: D102 - described above

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All rows in order, unchanged, each with its cell of `column`.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says where.
        """
        ...

    def sink(self, file: Path, stack: ExitStack) -> Callable[[Any], object]:
        """Open another file of this format, which `stack` closes, for rows as `stored` gives them."""
        ...


def check_unique(columns: Sequence[str], file: Path) -> None:
    """Refuse a file with two columns of one name.

    Raises:
        CatalogueError: with these names.
    """
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise CatalogueError(f"{file} has more than one column named {', '.join(sorted(twice))}.")


MAX_LINE = 50 * 2**20
"""Bytes. A line holds one product, which takes some megabytes with its image in base64."""

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def is_html(start: bytes) -> bool:
    """Whether a file that begins so is an HTML page, as servers send in place of a feed."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def html_page(file: Path) -> CatalogueError:
    """The error for it."""
    return CatalogueError(f"{file} is an HTML page, not a catalogue.", hint="Open it: a server may have sent an error.")


def numbered_lines(file: Path, limit: int = MAX_LINE) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers, from 1, line ends included; None in place of a line longer than `limit` bytes.

    UTF-16 and Windows-1252 become UTF-8, see `encoding_of`.

    Raises:
        CatalogueError: the file cannot be opened, or breaks off (a truncated .gz); with the line's number.
    """
    with opened(file) as stream:
        yield from stream_lines(stream, file, limit)


def stream_lines(stream: BinaryIO, file: Path, limit: int = MAX_LINE) -> Iterator[tuple[int, bytes | None]]:
    """The same of an open stream, such as standard input; `file` is its name in errors.

    Raises:
        CatalogueError: as in `numbered_lines`.
    """
    number = 0
    try:
        while line := stream.readline(limit + 1):
            number += 1
            if number == 1:
                line = _without_bom(line, file)
            if len(line) <= limit:
                yield number, line
                continue
            while (piece := stream.readline(2**20)) and not piece.endswith(b"\n"):
                pass
            yield number, None
    except (EOFError, OSError, zlib.error) as error:
        raise CatalogueError(
            f"{file} cannot be read beyond line {number}: {error}.",
            hint="The file is damaged or was not copied to its end; copy it again.",
        ) from error


def opened(file: Path) -> BinaryIO:
    """The bytes of a text file in UTF-8, decompressed; an OSError, EOFError or zlib.error comes while they are read."""
    status = file.stat()
    return as_utf_8(unpacked(file), _encoding(file, status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=16)
def _encoding(file: Path, size: int, modified: int) -> str:  # noqa: ARG001 - a changed file is read again
    with unpacked(file) as stream:
        try:
            return encoding_of(stream)
        except (EOFError, OSError, zlib.error):
            # Reading the lines tells where the file breaks off.
            return UTF_8


def unpacked(file: Path) -> BinaryIO:
    """The bytes of a file, decompressed; errors as of `opened`."""
    if file.suffix.lower() == ".gz":
        # Without a further buffer around it, which would swallow the good lines before a truncation.
        return cast(BinaryIO, gzip.GzipFile(file, "rb"))
    if file.suffix.lower() == ".zst":
        # Python itself reads zstd only from 3.14 on.
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(file), compression="zstd")))
    return file.open("rb", buffering=2**18)


def _without_bom(line: bytes, file: Path) -> bytes:
    if line.startswith(_UTF16_BOMS):
        # Of a stream; a file is recoded.
        raise CatalogueError(f"{file} is encoded as UTF-16.", hint="Convert it with iconv -f UTF-16 -t UTF-8.")
    return line.removeprefix(_UTF8_BOM)
