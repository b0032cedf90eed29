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
from clipita.catalogue.fields import default_column, listed
from clipita.catalogue.reader import open_source

SAMPLED_ROWS = 200
ROLES = ("id", "image", "category_path", "title", "attributes")
"""In the order of guessing: a path of an image is not a category, and a category not a title."""


@dataclass(frozen=True)
class FieldsGuess:
    """Settings of [fields], and what a person should check.

    A role without a column has the empty name, except a missing id, which is left out.
    """

    fields: Mapping[str, Any]
    warnings: tuple[str, ...]


def guess_fields(file: Path) -> FieldsGuess:
    """Guess the field mapping of a file.

    Raises:
        CatalogueError: the file cannot be read.
    """
    source = open_source(file)
    rows = [row for _, row in islice(source.records(), SAMPLED_ROWS) if isinstance(row, Mapping)]
    free = {name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in source.columns}
    found: dict[str, list[str]] = {}
    # A name says more than values: all roles choose by names before any chooses by values.
    for role in ROLES:
        column = likely_column(role, list(free), default_column(role))
        if column is not None:
            del free[column]
            found[role] = [column]
    warnings: list[str] = []
    for role in [role for role in ROLES if role not in found]:
        found[role] = columns_by_values(role, free, len(rows))
        words = role.replace("_", " ")
        if found[role]:
            warnings.append(f"no column is named like the {words}; by its values it is {listed(found[role])}.")
        else:
            warnings.append(f"no column looks like the {words}; the columns are: {listed(source.columns)}.")
        for column in found[role]:
            del free[column]
    mapping: dict[str, Any] = {role: next(iter(found[role]), "") for role in ("id", "title", "category_path", "image")}
    mapping["attributes"] = found["attributes"]
    if not mapping["id"]:
        del mapping["id"]
    paths = [row.get(mapping["category_path"]) for row in rows]
    texts = [path for path in paths if isinstance(path, str) and not path.lstrip().startswith("[")]
    if separator := separator_of(texts):
        mapping["category_separator"] = separator
    return FieldsGuess(mapping, tuple(warnings))


SEPARATORS = (">", "»", "::", "|", "/", ";")
"""In the order of trying: a slash may be part of a name ("T-shirts/Tops")."""
FEWEST_VALUES = 4
"""Fewer values say nothing about how often a value repeats."""
LONGEST_ID = 64
LONGEST_ATTRIBUTE = 40

_IMAGE = re.compile(r"(?i)data:image/|.*\.(jpe?g|png|webp|gif|avif|bmp|tiff?)([?#].*)?$")


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
    fitting = [name for name, values in columns.items() if len(values) >= FEWEST_VALUES and fits(values)]
    if role == "title":
        # A description is text too; the title is the shorter one.
        fitting.sort(key=lambda name: mean(map(len, columns[name])))
    return fitting if role == "attributes" else fitting[:1]


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
