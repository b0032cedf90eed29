"""The type of each column that goes to the index as it is: one for all rows, as the index has one for a field."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from clipita.catalogue.numbers import NOTHING, Amount, decimals_of, read_amount

Kind = Literal["number", "text", "boolean", "object"]

MOST = 0.9
"""The share of a column's values that must be numbers for the others to be left out; half of them for prices."""
PRICES = re.compile(r"price|cost|amount|msrp|preis|prix|prezzo|precio|cena|prijs", re.IGNORECASE)
"""Names of columns with prices."""
MAX_COLUMNS = 1_200
MAX_INNER = 500
"""Fields of columns in an index, and of one column's objects; see `attribute_names.MAX_MAPPED`."""
SHOWN = 40
"""Characters of a value in a report."""
CURRENCY, HIGHEST = "_currency", "_max"
"""What stands behind a column's name for the currency of its numbers, and for the upper end of a range."""


@dataclass
class _Seen:
    """What one column holds so far.

    Attributes:
        kinds: of the values: number, boolean, object, written (a text that is a number) and text.
        marks: how often a text shows which mark its decimals have.
        money: values with a currency.
        ranges: values that are ranges of numbers without a currency.
        broken: numbers that are not whole.
        words: the first text that is no number.
        names: inside objects, `MAX_INNER` and one more at most.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    money: int = 0
    ranges: int = 0
    broken: int = 0
    words: str = ""
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class ColumnType:
    """What a column holds.

    Attributes:
        kind: of its values.
        decimal: the mark before decimals in its texts.
        others: values that are left out, as they are of another kind.
        whole: whether all its numbers are whole.
        why_text: of prices and the like that stay text, why they do.
        rows: how many have a value.
        names: inside its objects, counted to `MAX_INNER` and one more.
    """

    kind: Kind
    decimal: str = "."
    others: int = 0
    whole: bool = True
    why_text: str = ""
    rows: int = field(default=0, compare=False)
    names: int = field(default=0, compare=False)


class Survey:
    """Looks at all values of columns, one row after the other.

    Args:
        texts: whether plain digits in a text may be a number, as in CSV, where everything is text.
    """

    def __init__(self, *, texts: bool) -> None:
        self._texts = texts
        self._columns: dict[str, _Seen] = {}

    def add(self, row: Mapping[str, Any], columns: Iterable[str]) -> None:
        """Look at some columns of a row."""
        for name in columns:
            value = row.get(name)
            if value is not None and value != "":
                self._add(self._columns.setdefault(name, _Seen()), value)

    def types(self) -> dict[str, ColumnType]:
        """The type of each column that has values."""
        return {
            name: replace(self._type(name, seen), rows=seen.kinds.total(), names=min(len(seen.names), MAX_INNER + 1))
            for name, seen in self._columns.items()
        }

    def _add(self, seen: _Seen, value: Any) -> None:
        kind = kind_of(value)
        if kind != "text" or isinstance(value, list | tuple):
            seen.kinds[kind] += 1
            seen.broken += isinstance(value, float)
            if kind == "object" and len(seen.names) <= MAX_INNER:
                seen.names.update(itertools.islice(_names(value), MAX_INNER + 1))
            return
        text = str(value)
        if text.strip().lower() in NOTHING:
            return
        amount = read_amount(text) or read_amount(text, ",")
        if amount is None:
            seen.kinds["text"] += 1
            seen.words = seen.words or text.strip()[:SHOWN]
            return
        seen.kinds["written"] += 1
        seen.money += bool(amount.currency)
        seen.broken += isinstance(amount.value, float)
        seen.ranges += amount.most is not None and not amount.currency
        if (mark := decimals_of(text)) is not None:
            seen.marks[mark] += 1

    def _type(self, name: str, seen: _Seen) -> ColumnType:
        kinds = seen.kinds
        total = kinds.total()
        price = bool(seen.money) or PRICES.search(name) is not None
        written = kinds["written"] if self._texts or price or kinds["number"] else 0
        numbers = kinds["number"] + written - (0 if price else seen.ranges)
        if numbers and (numbers >= MOST * total or (price and 2 * numbers > total)):
            decimal = "," if seen.marks[","] > seen.marks["."] else "."
            return ColumnType("number", decimal, total - numbers, not seen.broken)
        if kinds["object"] > total - kinds["object"]:
            return ColumnType("object", others=total - kinds["object"])
        if kinds["boolean"] == total and total:
            return ColumnType("boolean")
        why = ""
        if numbers and (price or (seen.broken and 2 * numbers >= total)):
            why = f"{total - numbers:,} of {total:,} values are no numbers, such as {seen.words!r}"
        return ColumnType("text", others=kinds["object"], why_text=why)


def unsearched(types: Mapping[str, ColumnType]) -> list[str]:
    """The columns that an index only keeps, as fields for all would be more than it can have.

    These are objects with more than `MAX_INNER` names, and of the others those that the fewest rows have.
    """
    found, room = [], MAX_COLUMNS
    for name in sorted(types, key=lambda name: -types[name].rows):
        names = types[name].names
        room -= 0 if names > MAX_INNER else max(1, names)
        if names > MAX_INNER or room < 0:
            found.append(name)
    return found


def typed(row: Mapping[str, Any], types: Mapping[str, ColumnType], columns: Collection[str]) -> dict[str, Any]:
    """A row with the values of its columns as their types say.

    A value of another kind is left out; a text takes any plain value. A number that was written with a currency leaves
    it in a further column, `price_currency`, and the upper end of a range in `price_max`, unless the file has such a
    column.
    """
    found = dict(row)
    for name, column in types.items():
        value = row.get(name)
        if value is None:
            continue
        if column.kind == "number":
            if isinstance(value, list | tuple):
                numbers = (_number(_amount(item, column.decimal), column) for item in value)
                found[name] = [number for number in numbers if number is not None] or None
                continue
            amount = _amount(value, column.decimal)
            found[name] = _number(amount, column)
            if amount is not None and amount.currency and name + CURRENCY not in columns:
                found[name + CURRENCY] = amount.currency
            if amount is not None and amount.most is not None and name + HIGHEST not in columns:
                found[name + HIGHEST] = amount.most
        elif column.kind != kind_of(value):
            found[name] = _as_text(value) if column.kind == "text" and kind_of(value) != "object" else None
    return found


def kind_of(value: Any) -> str:
    """number, boolean, object or text; of a list, that of its first value."""
    if isinstance(value, list | tuple):
        return next((kind_of(item) for item in value if item is not None), "text")
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return "object" if isinstance(value, Mapping) else "text"


def _names(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values inside objects."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _names(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _names(item, path)
    else:
        yield path


def _amount(value: Any, decimal: str) -> Amount | None:
    if isinstance(value, str):
        return read_amount(value, decimal)
    plain = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Amount(value) if plain else None


def _number(amount: Amount | None, column: ColumnType) -> Any:
    if amount is None or column.whole:
        return None if amount is None else amount.value
    try:
        return float(amount.value)
    except OverflowError:
        return None


def _as_text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value if item is not None]
    return str(value).lower() if isinstance(value, bool) else str(value)
