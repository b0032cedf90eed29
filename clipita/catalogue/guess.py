"""Guesses the field mapping of a catalogue from its column names and the values of its first rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from clipita.catalogue.column_names import likely_column
from clipita.catalogue.fields import default_column
from clipita.catalogue.reader import open_source
from clipita.catalogue.rows import Source

SAMPLED_ROWS = 200
ROLES = ("id", "image", "category_path", "title", "attributes")
"""In the order of guessing: a path of an image is not a category, and a category not a title."""


@dataclass(frozen=True)
class FieldsGuess:
    """A guessed field mapping.

    Attributes:
        fields: settings of [fields]; a role without a column has the empty name, and a missing id is left out.
        remarks: what a person should check.
    """

    fields: Mapping[str, Any]
    remarks: tuple[str, ...]


def guess_fields(file: Path) -> FieldsGuess:
    """Guess the field mapping of a file.

    Raises:
        CatalogueError: the file cannot be read.
    """
    source = open_source(file)
    rows = [row for _, row in islice(source.records(), SAMPLED_ROWS) if isinstance(row, Mapping)]
    free = {name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in source.columns}
    named = _by_name(free)
    remarks: list[str] = []
    found = {
        role: [named[role]] if role in named else _by_values(role, free, len(rows), source, remarks) for role in ROLES
    }
    mapping: dict[str, Any] = {"id": found["id"][0]} if found["id"] else {}
    mapping |= {role: found[role][0] if found[role] else "" for role in ("title", "category_path", "image")}
    mapping["attributes"] = found["attributes"]
    separator = _separator(rows, mapping["category_path"])
    return FieldsGuess(mapping | ({"category_separator": separator} if separator else {}), tuple(remarks))


def _by_name(free: dict[str, list[Any]]) -> dict[str, str]:
    """Role to the column with its name; removes these from `free`."""
    found = {}
    for role in ROLES:
        column = likely_column(role, list(free), default_column(role))
        if column is not None:
            del free[column]
            found[role] = column
    return found


def _by_values(role: str, free: dict[str, list[Any]], rows: int, source: Source, remarks: list[str]) -> list[str]:
    """The columns whose values fit the role; removes these from `free` and adds a remark."""
    columns = columns_by_values(role, free, rows)
    words = role.replace("_", " ")
    if columns:
        remarks.append(f"no column is named like the {words}; by its values it is {_listed(columns)}.")
    else:
        remarks.append(f"no column looks like the {words}; the columns are: {_listed(source.columns)}.")
    for column in columns:
        del free[column]
    return columns


def _separator(rows: Sequence[Mapping[str, Any]], column: str) -> str | None:
    texts = [row[column] for row in rows if column and isinstance(row.get(column), str)]
    return separator_of([text for text in texts if not text.lstrip().startswith("[")])


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:30]) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")


SEPARATORS = (">", "»", "::", "|", "/", ";")
"""In the order of trying: a slash may be part of a name ("T-shirts/Tops")."""
FEWEST_VALUES = 4
"""Fewer values say nothing about how often a value repeats."""
LONGEST_ID = 64
LONGEST_ATTRIBUTE = 40

_IMAGE = re.compile(r"(?i)data:image/|.*\.(jpe?g|png|webp|gif|avif|bmp|tiff?)([?#].*)?$")


def columns_by_values(role: str, columns: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
    """The columns whose values fit a role; more than one for attributes only.

    Args:
        role: id, image, category_path, title or attributes.
        columns: names that are still free, with their values in the first rows, empty cells left out.
        rows: number of these rows.
    """
    filled = {name: values for name, values in columns.items() if len(values) >= FEWEST_VALUES}
    if role == "id":
        fitting = [name for name, values in filled.items() if len(values) == rows and _are_ids(values)]
    elif role == "image":
        fitting = [name for name, values in filled.items() if _most(map(_is_image, values), values)]
    elif role == "category_path":
        fitting = [name for name, values in filled.items() if _are_paths(values)]
    elif role == "title":
        fitting = [name for name, values in filled.items() if _are_titles(values)]
        # A description is text too; the title is the shorter one.
        fitting.sort(key=lambda name: mean(map(len, filled[name])))
    else:
        return [name for name, values in filled.items() if _are_attributes(values)]
    return fitting[:1]


def separator_of(names: Sequence[str]) -> str | None:
    """The separator that most of the texts contain, or None."""
    for separator in SEPARATORS:
        if names and sum(separator in name for name in names) > len(names) / 2:
            return f" {separator} " if sum(f" {separator} " in name for name in names) > len(names) / 2 else separator
    return None


def _most(marks: Iterable[bool], values: Sequence[Any]) -> bool:
    return sum(marks) > len(values) / 2


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and "://" not in value for value in values)


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
        return _repeat(list(map(tuple, values)))
    return _are_texts(values) and separator_of(values) is not None and _repeat(values)


def _are_titles(values: Sequence[Any]) -> bool:
    return _are_texts(values) and _most((" " in value for value in values), values) and not _repeat(values)


def _are_attributes(values: Sequence[Any]) -> bool:
    if all(isinstance(value, Mapping) for value in values):
        return True
    short = _are_texts(values) and mean(map(len, values)) <= LONGEST_ATTRIBUTE
    # A value that all products share distinguishes none.
    return short and _repeat(values) and len(set(values)) > 1


def _repeat(values: Sequence[Any]) -> bool:
    return len(set(values)) <= len(values) / 2
