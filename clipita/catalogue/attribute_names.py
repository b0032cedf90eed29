"""The names of a catalogue's attributes and how many rows have each, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from clipita.catalogue.cell_values import clean, pairs
from clipita.errors import ProductError

MOST_NAMES = 20_000
"""Names that are kept: a hostile catalogue has a new one in each row."""
MAX_MAPPED = 1_000
"""Attributes with a field of their own in an index: its mapping is in the memory of every node, and each update of it
goes to all of them."""


class AttributeCount:
    """Counts names; the rarest are forgotten where there are more than twice `MOST_NAMES`.

    Attributes:
        counts: name to the rows that have it.
        complete: whether none was forgotten.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.complete = True

    def add(self, names: Mapping[str, Any] | set[str]) -> None:
        """Count the names of one row."""
        self.counts.update(dict.fromkeys(names, 1))
        if len(self.counts) > 2 * MOST_NAMES:
            self.counts = Counter(dict(self.counts.most_common(MOST_NAMES)))
            self.complete = False


def names_in(row: Mapping[str, Any], columns: Sequence[str]) -> set[str]:
    """The names of a row's attributes that have a value; see `fields.row_to_product`."""
    found: set[str] = set()
    for column in columns:
        value = row.get(column)
        if value is None or value == "":
            continue
        with suppress(ProductError):
            cells = pairs(value, column)
            found.update([column] if cells is None else (name for name, part in cells if part not in (None, "")))
    return {name for name in (clean(name).strip() for name in found) if name}
