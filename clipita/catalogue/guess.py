"""A field mapping guessed from a catalogue's column names and first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clipita.catalogue.columns import likely_column
from clipita.catalogue.readers import open_source
from clipita.catalogue.source import Source
from clipita.config import FieldsConfig

SAMPLED_ROWS = 200
SEPARATORS = (">", "»", "::", "|", "/", ";")
"""In the order in which they are tried: a slash may well belong to a name ("T-shirts/Tops")."""


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
    free = list(source.columns)
    found: dict[str, Any] = {}
    remarks = []
    defaults = FieldsConfig()
    for role in ("id", "title", "category_path", "image", "attributes"):
        default = defaults.attributes[0] if role == "attributes" else getattr(defaults, role)
        column = likely_column(role, free, default)
        if column is not None:
            free.remove(column)
            found[role] = column
        else:
            remarks.append(
                f"no column looks like the {role.replace('_', ' ')}; the columns are: {_listed(source.columns)}."
            )
            if role != "id":
                found[role] = ""
    found["attributes"] = [found["attributes"]] if found["attributes"] else []
    separator = _separator(source, found["category_path"])
    return FieldsGuess(found | ({"category_separator": separator} if separator else {}), tuple(remarks))


def separator_of(names: Sequence[str]) -> str | None:
    """The separator that most of the texts hold, or None."""
    for separator in SEPARATORS:
        if names and sum(separator in name for name in names) > len(names) / 2:
            return f" {separator} " if sum(f" {separator} " in name for name in names) > len(names) / 2 else separator
    return None


def _separator(source: Source, column: str) -> str | None:
    if not column:
        return None
    rows = [row for _, row in islice(source.records(), SAMPLED_ROWS) if isinstance(row, Mapping)]
    texts = [row[column] for row in rows if isinstance(row.get(column), str)]
    return separator_of([text for text in texts if not text.lstrip().startswith("[")])


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:30]) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")
