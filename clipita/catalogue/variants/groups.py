"""Which rows of a catalogue are one product."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipita.catalogue.cell_values import text
from clipita.catalogue.fields import product_id
from clipita.catalogue.formats.rows import NumberedRow, Row
from clipita.catalogue.ids import IdTable
from clipita.catalogue.numbers import NOTHING
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, FieldMappingError, ProductError

GROUP_FIELD = "group"
"""The field of documents that has the group's id, to collapse by."""
MOST_OPEN = 100_000
"""Rows held in memory while other rows of their groups are still to come."""
MOST_ROWS = 5_000
"""Rows of one group; Shopify allows 2,048 variants."""
_NOTHING = NOTHING | {"no_selection"}
_LISTED = re.compile(r"(?:^|[|,])\s*sku=([^,|]+)")
"""Magento's configurable_variations: sku=A-S,size=S|sku=A-M,size=M."""


class Groups:
    """The group of each row, by one column in any of three forms.

    - Its rows share a value (Shopify's Handle, item_group_id, a picture).
    - Variants name the product that they belong to (WooCommerce's Parent, as a SKU or as `id:12`), whose own cell is
      blank: a row without a value heads the group whose value is its id or its SKU.
    - A product lists the SKUs of its variants (Magento's configurable_variations).

    A row in none of these is a group of its own, which has the row's id.

    Args:
        columns: of the file.
    """

    def __init__(self, fields: FieldsConfig, columns: Sequence[str]) -> None:
        self._fields = fields
        self._names = [name for name in columns if name.strip().lower() == "sku" and name != fields.id]
        self._values = IdTable()
        self._listed = IdTable()
        self._heads: list[str] = []
        self._last = IdTable()

    @property
    def count(self) -> int:
        """How many groups there are at most, by the rows added; a row that heads none counts by all of its names."""
        return len(self._last)

    def add(self, number: int, row: Row) -> None:
        """Learn of a row. Each must be added before the second and third form are known."""
        cell, own = self._cell(row), self._own_names(row)
        if cell and (variants := _LISTED.findall(cell)):
            head = own[0] if own else cell
            self._heads.append(head)
            self._last.put(head, number)
            for variant in variants:
                self._listed.setdefault(variant.strip(), len(self._heads) - 1)
        elif cell:
            self._values.setdefault(cell, number)
            self._last.put(cell, number)
        else:
            # Of its names at most one is a group's; which one is known when all rows are.
            for name in own:
                self._last.put(name, number)
                if (head_number := self._listed.get(name)) is not None:
                    self._last.put(self._heads[head_number], number)

    def of(self, row: Row) -> str | None:
        """The id of the row's group; None where neither the group nor an id is given."""
        cell, own = self._cell(row), self._own_names(row)
        if cell and not _LISTED.search(cell):
            return cell
        if not cell:
            for name in own:
                if (head := self._listed.get(name)) is not None:
                    return self._heads[head]
                if name in self._values:
                    return name
        return own[0] if own else cell

    def is_head(self, row: Row) -> bool:
        """Whether the row stands for its group, and is no variant of it: other rows name it, or it lists them."""
        cell = self._cell(row)
        if cell:
            return _LISTED.search(cell) is not None
        return any(name in self._values for name in self._own_names(row))

    def gathered(self, records: Iterator[NumberedRow], file: Path) -> Iterator[list[NumberedRow]]:
        """The rows of each group together, once its last row is read; all rows must have been added before.

        Raises:
            CatalogueError: the rows of too many groups lie too far apart.
            FieldMappingError: a group has too many rows to be a product.
        """
        waiting: dict[str, list[NumberedRow]] = {}
        held = 0
        for number, row in records:
            key = None if isinstance(row, ProductError) else self.of(row)
            if key is None:
                yield [(number, row)]
                continue
            rows = waiting.setdefault(key, [])
            rows.append((number, row))
            held += 1
            self._check_size(key, len(rows), file)
            if number >= (self._last.get(key) or 0):
                held -= len(rows)
                yield waiting.pop(key)
            elif held > MOST_OPEN:
                raise CatalogueError(
                    f"{file}, row {number}: the rows of {len(waiting):,} products lie too far apart.",
                    hint=f'Sort the file by {self._fields.group}, or keep rows as products with variants = "rows".',
                )
        yield from waiting.values()

    def consecutive(self, records: Iterator[NumberedRow], file: Path) -> Iterator[list[NumberedRow]]:
        """The rows of each group together, where they follow each other, as in a stream, which is read once.

        Raises:
            FieldMappingError: a group has too many rows to be a product.
        """
        for key, rows in itertools.groupby(records, lambda record: self._of_record(record[1])):
            if key is None:
                yield from ([row] for row in rows)
                continue
            found = list(itertools.islice(rows, MOST_ROWS + 1))
            self._check_size(key, len(found), file)
            yield found

    def _check_size(self, key: str, size: int, file: Path) -> None:
        if size > MOST_ROWS:
            raise FieldMappingError(
                f"{file} has more than {MOST_ROWS:,} rows whose group, by {self._fields.group}, is {key[:60]!r}.",
                hint='Name the column that only rows of one product share, or set variants = "rows" under [fields].',
            )

    def _of_record(self, row: Row | ProductError) -> str | None:
        return None if isinstance(row, ProductError) else self.of(row)

    def _own_names(self, row: Row) -> list[str]:
        names = []
        with suppress(ProductError):
            names.append(product_id(row, self._fields))
        for column in self._names:
            value = row.get(column)
            if isinstance(value, str | int) and (name := str(value).strip()) and name not in names:
                names.append(name)
        return names

    def _cell(self, row: Row) -> str | None:
        return group_of(row.get(self._fields.group))


def group_of(value: Any) -> str | None:
    """A cell of the column of groups as text; of a picture its path, or else its hash. None where it is blank."""
    if isinstance(value, list | tuple):
        return next(filter(None, (_group_of_one(item) for item in value)), None)
    return _group_of_one(value)


def _group_of_one(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("path") or value.get("bytes")
    if isinstance(value, bytes):
        return hashlib.blake2b(value, digest_size=16).hexdigest() if value else None
    try:
        found = text(value, GROUP_FIELD) or ""
    except ProductError:
        return None
    found = found.removeprefix("id:").strip()
    return None if found.lower() in _NOTHING else found
