"""A compact table of ids: millions of them in a few megabytes; columns that are ids, and those that are not."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipita.catalogue.cell_values import integer_text
from clipita.catalogue.column_names import likely_column
from clipita.catalogue.fields import default_column, product_id
from clipita.catalogue.formats.rows import NumberedRow, Row, Source
from clipita.config import FieldsConfig
from clipita.errors import FieldMappingError, ProductError

FEWEST_ROWS = 4
"""Fewer rows with one id are duplicates, and no proof that the column is no id."""
LONGEST_ID = 64
"""Characters; a longer text is no id that a shop gives."""

_FIRST_SIZE = 1024
_FULLEST = 0.7


class IdTable:
    """Ids, each with its first number.

    A hash table in two flat arrays with 12 bytes per slot: a million ids take 25 MB, in a dict of strings 150 MB. Ids
    are stored as 64-bit digests; two of a million ids have the same one with a probability of 3e-8.
    """

    def __init__(self) -> None:
        self._keys = array("Q", bytes(8 * _FIRST_SIZE))
        self._numbers = array("I", bytes(4 * _FIRST_SIZE))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id_: str) -> bool:
        key = _key(id_)
        return self._keys[self._slot(key)] == key

    def setdefault(self, id_: str, number: int) -> int:
        """The first number of the id; `number`, from 0 to 2^32 - 1, if the id is new."""
        key = _key(id_)
        slot = self._slot(key)
        if self._keys[slot] == key:
            return self._numbers[slot]
        self._keys[slot] = key
        self._numbers[slot] = number
        self._count += 1
        if self._count > _FULLEST * len(self._keys):
            self._grow()
        return number

    def get(self, id_: str) -> int | None:
        """The number of the id; None if it is new."""
        key = _key(id_)
        slot = self._slot(key)
        return self._numbers[slot] if self._keys[slot] == key else None

    def put(self, id_: str, number: int) -> None:
        """Give the id another number."""
        self.setdefault(id_, number)
        self._numbers[self._slot(_key(id_))] = number

    def _slot(self, key: int) -> int:
        """Where a key is, or where it belongs (linear probing; 0 marks a free slot)."""
        keys = self._keys
        mask = len(keys) - 1
        slot = key & mask
        while (found := keys[slot]) and found != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._keys = array("Q", bytes(16 * len(keys)))
        self._numbers = array("I", bytes(8 * len(keys)))
        for key, number in zip(keys, numbers, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot] = key
                self._numbers[slot] = number


class IdColumn:
    """The values of the id column while a file is read: whether they are ids."""

    def __init__(self, file: Path, source: Source, fields: FieldsConfig) -> None:
        self._file = file
        self._source = source
        self._fields = fields
        self._ids = IdTable()
        self.rows = 0
        """Rows so far that have an id."""

    def add(self, number: int, row: Row) -> None:
        """Look at a row."""
        with suppress(ProductError):
            self._ids.setdefault(product_id(row, self._fields), number)
            self.rows += 1

    def check(self, products: int) -> None:
        """Refuse a column that cannot be the id of so many products.

        Raises:
            FieldMappingError: most of its values repeat.
        """
        if repeats(len(self._ids), products):
            columns, records = self._source.columns, self._source.records(self._source.binary_columns)
            raise repeating_id(self._file, self._fields, len(self._ids), self.rows, columns, records)


def repeats(distinct: int, products: int) -> bool:
    """Whether a column with so many distinct values cannot be the id of so many products: most of them repeat."""
    return products >= FEWEST_ROWS and distinct < products / 2


def repeating_id(
    file: Path, fields: FieldsConfig, distinct: int, rows: int, columns: Sequence[str], records: Iterable[NumberedRow]
) -> FieldMappingError:
    """The error of an id column that repeats, with the nearest column that is an id; reads `records` for that."""
    found = unique_columns(columns, records)
    near = likely_column("id", found, default_column("id")) or next(iter(found), None)
    rows_of_one = f'group = "{fields.group or fields.id}" and variants = "one" under [fields] in clipita.toml'
    if near is not None:
        hint = f'Did you mean {near!r}? Use --id-field "{near}", or id = "{near}" under [fields] in clipita.toml.'
        if distinct > 1:
            hint += f" If rows of one {fields.id} are variants of one product, set {rows_of_one}."
    else:
        hint = f"No column has another value in each row. If the rows are variants of one product, set {rows_of_one}."
    return FieldMappingError(
        f"{file}: {fields.id} is not an id: its {rows:,} rows have {distinct:,} different value"
        f"{'s' if distinct > 1 else ''} in it.",
        hint=hint,
    )


def unique_columns(columns: Sequence[str], records: Iterable[NumberedRow]) -> list[str]:
    """The columns with another short text or whole number, without blanks, in each row."""
    tables = {name: IdTable() for name in columns if name}
    for number, row in records:
        if isinstance(row, ProductError):
            continue
        for name in list(tables):
            value = _as_id(row.get(name))
            if value is None or tables[name].setdefault(value, number) != number:
                del tables[name]
        if not tables:
            break
    return list(tables)


def _as_id(value: Any) -> str | None:
    found = value.strip() if isinstance(value, str) else integer_text(value)
    return found if found and len(found) <= LONGEST_ID and " " not in found else None


def _key(id_: str) -> int:
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big") or 1
