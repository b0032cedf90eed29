"""What Parquet columns unpack to, read from the headers of their pages before anything is unpacked.

A few kilobytes of Parquet may stand for gigabytes: run lengths, dictionaries and compression each repeat one value any
number of times. Arrow allocates what a page's header says, so the headers are what counts, not the file's footer.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from clipita.errors import CatalogueError

MAX_PAGE = 64 * 2**20
"""Bytes of a page that compresses well; real ones have 1 MB, or hold values that hardly compress, such as images."""
MAX_RATIO = 20
MAX_VALUES = 2**21
"""Values of a list column in one row group, beside `VALUES_PER_BYTE` of its size in the file."""
VALUES_PER_BYTE = 4
LARGE = 256 * 2**20
"""Bytes of a row group that are read in batches of many rows, however often they repeat or well they compress."""
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DAMAGE = (AttributeError, IndexError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError)
Place = tuple[int, int]
"""Where a column of a row group lies in the file: its first byte, and how many bytes it has."""
_ENCODED_BY_DICTIONARY = (2, 8)


@dataclass(frozen=True)
class Plan:
    """How to read a row group: the leaf columns to keep as dictionaries, and whether to read it row by row."""

    dictionaries: frozenset[str] = frozenset()
    row_by_row: bool = False


@dataclass
class _Chunk:
    """A column of a row group: sizes in bytes."""

    packed: int = 0
    unpacked: int = 0
    largest: int = 0
    values: int = 0
    dictionary: int = 0
    from_dictionary: int = 0


def read_places(stream: BinaryIO) -> list[list[Place]]:
    """Where the columns of each row group lie, from the file's footer.

    pyarrow's own object for a column ends the whole process where its statistics do not fit the schema.

    Raises:
        CatalogueError: the footer is damaged.

    Source:
        https://parquet.apache.org/docs/file-format/metadata/
    """
    try:
        stream.seek(-8, io.SEEK_END)
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(-8 - length, io.SEEK_END)
        groups = _struct(io.BytesIO(stream.read(length))).get(4, [])
        return [[_place(column[3]) for column in group[1]] for group in groups]
    except _DAMAGE as error:
        raise CatalogueError("the footer is damaged") from error


def _place(column: Mapping[int, Any]) -> Place:
    data, dictionary = column[9], column.get(11) or 0
    return dictionary if 0 < dictionary < data else data, column[7]


def plan(stream: BinaryIO, schema: Any, places: Sequence[Place], columns: Collection[str]) -> Plan:
    """Check the pages of these columns in one row group.

    Args:
        stream: the file.
        schema: of Parquet, from pyarrow.
        places: of the row group's columns; see `read_places`.
        columns: the top-level columns that are to be read.

    Raises:
        CatalogueError: a column unpacks to far more than the file holds of it, or a header is damaged.
    """
    total = _Chunk()
    repeated: dict[str, int] = {}
    if len(places) != len(schema):
        raise CatalogueError("the footer is damaged")
    for number, place in enumerate(places):
        leaf = schema.column(number)
        if leaf.path.split(".")[0] not in columns:
            continue
        chunk = _chunk(stream, place, leaf.path)
        if leaf.max_repetition_level and chunk.values > MAX_VALUES + VALUES_PER_BYTE * chunk.packed:
            raise _unpacks(leaf.path, f"{chunk.values:,} values in one row group", chunk)
        if leaf.physical_type == "BYTE_ARRAY":
            repeated[leaf.path] = chunk.from_dictionary * chunk.dictionary
        total.packed += chunk.packed
        total.unpacked += chunk.unpacked
        total.largest += chunk.largest
    row_by_row = total.unpacked > LARGE + MAX_RATIO * total.packed
    if row_by_row and total.largest > LARGE:
        raise _unpacks(", ".join(columns), f"{total.largest:,} bytes at once", total)
    # Values that are kept once cannot be many times too large. It costs time, so it is not the rule.
    kept = {path for path, size in repeated.items() if size > LARGE / len(repeated)}
    return Plan(frozenset(kept if sum(repeated.values()) > LARGE else ()), row_by_row)


def _chunk(stream: BinaryIO, place: Place, path: str) -> _Chunk:
    found = _Chunk()
    offset, length = place
    end = offset + length
    while offset < end:
        stream.seek(offset)
        try:
            header = _struct(stream)
            kind, unpacked, packed = header[1], header[2], header[3]
            data: Mapping[int, Any] = header[{_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}.get(kind, 0)]
            values, encoding = data[1], data.get(4 if kind == _DATA_V2 else 2)
            start = stream.tell()
            damaged = min(unpacked, packed, values) < 0
        except _DAMAGE:
            damaged = True
        if damaged:
            raise CatalogueError(f"the header of a page of column {path!r} is damaged")
        found.packed += packed
        found.unpacked += unpacked
        found.largest = max(found.largest, unpacked)
        if unpacked > MAX_PAGE and unpacked > MAX_RATIO * packed:
            raise _unpacks(path, "a page", found)
        if kind == _DICTIONARY:
            found.dictionary = max(found.dictionary, unpacked)
        else:
            found.values += values
            found.from_dictionary += values if encoding in _ENCODED_BY_DICTIONARY else 0
        offset = start + packed
    return found


def _unpacks(path: str, what: str, chunk: _Chunk) -> CatalogueError:
    return CatalogueError(
        f"column {path!r} holds {what}, {chunk.unpacked:,} bytes unpacked from {chunk.packed:,}",
        hint="Nothing of it was read. Write the file without this column.",
    )


def _struct(raw: BinaryIO) -> dict[int, Any]:
    """A struct of Thrift's compact protocol as its fields by number; texts are left out."""
    fields: dict[int, Any] = {}
    number = 0
    for kind, delta in _fields(raw):
        number = number + delta if delta else _zigzag(raw)
        fields[number] = _value(raw, kind)
    return fields


def _fields(raw: BinaryIO) -> Iterator[tuple[int, int]]:
    while head := raw.read(1)[0]:
        yield head & 15, head >> 4


def _value(raw: BinaryIO, kind: int) -> Any:
    if kind in (1, 2):
        return kind == 1
    if kind == 3:
        return raw.read(1)[0]
    if kind in (4, 5, 6):
        return _zigzag(raw)
    if kind == 7:
        return raw.read(8)
    if kind in (9, 10):
        head = raw.read(1)[0]
        count = head >> 4 if head < 240 else _varint(raw)
        # In a list a boolean has a byte of its own.
        return [_value(raw, 3 if head & 15 in (1, 2) else head & 15) for _ in range(count)]
    if kind == 8:
        raw.seek(_varint(raw), io.SEEK_CUR)
        return None
    if kind == 12:
        return _struct(raw)
    raise ValueError(f"no struct of Parquet has a field of type {kind}")


def _zigzag(raw: BinaryIO) -> int:
    value = _varint(raw)
    return value >> 1 ^ -(value & 1)


def _varint(raw: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = raw.read(1)[0]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 or shift > 63:
            return value
