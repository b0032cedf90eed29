"""A field mapping guessed from a catalogue's column names, and where they say nothing, from its first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clipita.catalogue.columns import likely_column
from clipita.catalogue.guess_values import columns_by_values, separator_of
from clipita.catalogue.readers import open_source
from clipita.catalogue.source import Source
from clipita.config import FieldsConfig

SAMPLED_ROWS = 200
ROLES = ("id", "image", "category_path", "title", "attributes")
"""In the order in which their values are told apart: a picture's path is no category, a category no title."""


@dataclass(frozen=True)
class FieldsGuess:
    """What was guessed.

    Attributes:
        fields: settings of [fields] with their values; a role whose column was not found has the empty name, and the
            id is left out.
        remarks: what a person should look at.
    """

    fields: Mapping[str, Any]
    remarks: tuple[str, ...]


def guess_fields(file: Path) -> FieldsGuess:
    """Guess which column is what.

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
    """Role to the column that is named like it; takes these out of `free`."""
    defaults = FieldsConfig()
    found = {}
    for role in ROLES:
        default = defaults.attributes[0] if role == "attributes" else getattr(defaults, role)
        column = likely_column(role, list(free), default)
        if column is not None:
            del free[column]
            found[role] = column
    return found


def _by_values(role: str, free: dict[str, list[Any]], rows: int, source: Source, remarks: list[str]) -> list[str]:
    """The columns whose values fit the role; takes these out of `free`, and says what was seen."""
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
