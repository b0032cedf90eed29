"""Guesses the field mapping of a catalogue from its column names and the values of its first rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import orjson

from clipita.catalogue import column_names
from clipita.catalogue.column_names import is_attribute, likely_columns
from clipita.catalogue.column_types import PRICES
from clipita.catalogue.fields import default_column, listed
from clipita.catalogue.formats.csv import DelimitedSource
from clipita.catalogue.guessing.groups import guess_group
from clipita.catalogue.guessing.paths import are_tags, guess_levels, guess_path, separator_of
from clipita.catalogue.image_cells import IMAGE_SUFFIX
from clipita.catalogue.product import path_text
from clipita.catalogue.reader import open_source

SAMPLED_ROWS = 500
ROLES = ("id", "image", "category_path", "title", "attributes")
"""In the order of guessing: a path of an image is not a category, and a category not a title."""
SHOWN = 3
"""Values in an explanation."""


@dataclass(frozen=True)
class FieldsGuess:
    """Settings of [fields], and what a person should check.

    A role without a column has the empty name, except a missing id, which is left out.

    Attributes:
        fields: setting to value.
        reasons: setting to why, with values that were seen.
        warnings: what needs a look.
    """

    fields: Mapping[str, Any]
    reasons: Mapping[str, str]
    warnings: tuple[str, ...]


def guess_fields(file: Path) -> FieldsGuess:
    """Guess the field mapping of a file.

    Raises:
        CatalogueError: the file cannot be read.
    """
    source = open_source(file)
    columns: tuple[str, ...] = ()
    if isinstance(source, DelimitedSource) and _is_row(source.columns):
        columns = tuple(f"column_{position}" for position in range(1, len(source.columns) + 1))
        source = open_source(file, columns)
    rows = [row for _, row in islice(source.records(), SAMPLED_ROWS) if isinstance(row, Mapping)]
    guess = _Guess(rows, list(source.columns))
    if columns:
        first = ", ".join(str(cell) for cell in rows[0].values())
        warning = f"the file has no header line: its first line is {first}. Name the columns in columns."
        guess.warnings.append(("", warning))
        guess.fields["columns"] = list(columns)
    guess.run()
    if columns:
        _rename(guess.fields, columns)
    return FieldsGuess(guess.fields, guess.reasons, tuple(note for _, note in guess.warnings))


class _Guess:
    """The columns of a file while roles are given to them."""

    def __init__(self, rows: list[Mapping[str, Any]], columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns
        self.free = {name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in columns}
        self.fields: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}
        self.warnings: list[tuple[str, str]] = []
        """Each with the role that it is about; empty for the file as a whole."""

    def run(self) -> None:
        found: dict[str, list[str]] = {}
        levels = guess_levels(self.rows, {name: values for name, values in self.free.items() if _are_texts(values)})
        # A name says more than values: all roles choose by names before any chooses by values.
        for role in ROLES:
            if role == "category_path" and levels:
                self._take_levels(levels)
                found[role] = []
                continue
            doubts: list[str] = []
            for column in likely_columns(role, list(self.free), default_column(role)):
                doubt = self._doubt(role, column)
                if doubt is None:
                    found[role] = [column]
                    self._take(role, column, "its name")
                    break
                doubts.append(doubt)
            else:
                self.warnings += [(role, doubt) for doubt in doubts if doubt]
        for role in [role for role in ROLES if role not in found]:
            found[role] = columns_by_values(role, self.free, len(self.rows))
            words = role.replace("_", " ")
            if found[role]:
                warning = f"no column is named like the {words}; by its values it is {listed(found[role])}."
            else:
                warning = f"no column looks like the {words}; the columns are: {listed(self.columns)}."
            self.warnings.append((role, warning))
            for column in found[role]:
                self._take(role, column, "its values")
        for role in ("id", "title", "category_path", "image"):
            self.fields[role] = next(iter(found[role]), "")
        self.fields["attributes"] = found["attributes"]
        group = guess_group(self.rows, self.columns, self.fields)
        self.fields |= group.settings
        self.reasons |= group.reasons
        if "id" in group.settings:
            self.warnings = [(role, note) for role, note in self.warnings if role != "id"]
            self.reasons["id"] = "the rows of one product share it"
        if not self.fields["id"]:
            del self.fields["id"]
        if column := self.fields["category_path"]:
            paths = guess_path([row.get(column) for row in self.rows])
            self.fields |= paths.settings
            self.reasons |= paths.reasons

    def _take_levels(self, levels: list[str]) -> None:
        self.fields["category_columns"] = levels
        first = next((row for row in self.rows if all(row.get(name) for name in levels)), {})
        path = path_text(str(first.get(name, "")) for name in levels)
        self.reasons["category_columns"] = f"each value of a column has one value of the column before: {path}"
        for name in levels:
            del self.free[name]

    def _take(self, role: str, column: str, why: str) -> None:
        shown = dict.fromkeys(_shown(value) for value in self.free[column])
        values = ", ".join(list(shown)[:SHOWN]) or "no value"
        self.reasons[role] = f"by {why}; {values}"
        del self.free[column]

    def _doubt(self, role: str, column: str) -> str | None:
        """What in the values of a column speaks against its name; None if nothing does."""
        values = self.free[column]
        if role == "id" and len(set(map(str, values))) < len(values):
            return f"{column} is no id: {_repeated(values)} stands in more than one row."
        if role == "category_path" and values and all(str(value).strip().isdigit() for value in values):
            return (
                f"{column} holds numbers of a taxonomy. If you have its file, set category_path to {column} and "
                "taxonomy to that file."
            )
        if role == "category_path" and (_are_html(values) or are_tags(values)):
            return ""
        return "" if role == "title" and _are_html(values) else None


FEWEST_VALUES = 4
"""Fewer values say nothing about how often a value repeats."""
LONGEST_ID = 64
LONGEST_ATTRIBUTE = 40

_IMAGE = re.compile(rf"(?i)data:image/|.*{IMAGE_SUFFIX}([?#].*)?$")
_HTML = re.compile(r"</?[a-zA-Z][^<>]*>")
_DATA = re.compile(r"://|\s[>»|]\s|^-?\d+([.,]\d+)?$|\.(jpe?g|png|webp)$", re.IGNORECASE)
"""What a column's name never is, but a cell often."""


def columns_by_values(role: str, columns: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
    """The columns whose values fit a role; more than one for attributes only.

    `columns` maps names to their values in the first `rows` rows, without empty cells.
    """
    fits = {
        "id": lambda values: len(values) == rows and _are_ids(values),
        "image": lambda values: _most(map(_is_image, values), values),
        "category_path": _are_paths,
        "title": _are_titles,
        "attributes": _are_attributes,
    }[role]
    fitting = [
        name
        for name, values in columns.items()
        if (
            len(values) >= FEWEST_VALUES
            and fits(values)
            and not (role == "category_path" and column_names.are_tags(name))
            # Prices that are text, as some are "call us", describe no product.
            and not (role == "attributes" and PRICES.search(name))
        )
        or (role == "attributes" and is_attribute(name) and values and _are_texts(values))
    ]
    if role == "title":
        # A description is text too; the title is the shorter one.
        fitting.sort(key=lambda name: mean(map(len, columns[name])))
    return fitting if role == "attributes" else fitting[:1]


def _is_row(header: Sequence[str]) -> bool:
    """Whether a header line looks like a product: no name says a role, and a cell is a path, a number or a file."""
    named = any(next(likely_columns(role, header, default_column(role)), None) for role in ROLES)
    return not named and any(_DATA.search(name) for name in header)


def _rename(fields: dict[str, Any], columns: Sequence[str]) -> None:
    """Call the columns of a file without a header line by their roles."""
    roles = {fields.get(role): default_column(role) for role in ("id", "title", "category_path", "image")}
    names = {column: roles.get(column) or column for column in columns}
    fields["columns"] = [names[column] for column in columns]
    for role in ("id", "title", "category_path", "image"):
        if fields.get(role):
            fields[role] = names[fields[role]]


def _most(marks: Iterable[bool], values: Sequence[Any]) -> bool:
    return sum(marks) > len(values) / 2


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and "://" not in value for value in values)


def _are_html(values: Sequence[Any]) -> bool:
    return _most((isinstance(value, str) and _HTML.search(value) is not None for value in values), values)


def _are_ids(values: Sequence[Any]) -> bool:
    plain = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
    short = plain and all(len(str(value)) <= LONGEST_ID and " " not in str(value) for value in values)
    return short and len(set(values)) == len(values)


def _is_image(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "bytes" in value or "path" in value
    if isinstance(value, list):
        return bool(value) and _is_image(value[0])
    return isinstance(value, bytes) or (isinstance(value, str) and _IMAGE.match(value) is not None)


def _are_paths(values: Sequence[Any]) -> bool:
    if all(isinstance(value, list) and all(isinstance(name, str) for name in value) for value in values):
        paths = list(map(tuple, values))
        return _repeat(paths) and len(set(paths)) > 1 and not are_tags(values)
    if not _are_texts(values) or _are_html(values) or are_tags(values):
        return False
    separator = separator_of(values)
    return separator is not None and (separator == " > " or _repeat(values))


def _are_titles(values: Sequence[Any]) -> bool:
    return _are_texts(values) and _most((" " in value for value in values), values) and not _repeat(values)


def _are_attributes(values: Sequence[Any]) -> bool:
    if all(isinstance(value, Mapping) for value in values):
        return True
    short = _are_texts(values) and mean(map(len, values)) <= LONGEST_ATTRIBUTE
    plain = short and not all(re.fullmatch(r"[\d.,\s-]+", value) for value in values) and not _are_html(values)
    # A value that all products share distinguishes none.
    return plain and _repeat(values) and len(set(values)) > 1


def _repeat(values: Sequence[Any]) -> bool:
    return len(set(values)) <= len(values) / 2


def _repeated(values: Sequence[Any]) -> str:
    seen: set[str] = set()
    return next(text for value in values if (text := str(value)) in seen or seen.add(text))  # type: ignore[func-returns-value]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else _json(value)
    return repr(text[:60] + ("…" if len(text) > 60 else ""))


def _json(value: Any) -> str:
    return orjson.dumps(value, default=lambda other: f"<{type(other).__name__}>").decode()
