"""What a column is, judged by its values alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

SEPARATORS = (">", "»", "::", "|", "/", ";")
"""In the order in which they are tried: a slash may well belong to a name ("T-shirts/Tops")."""
FEWEST_VALUES = 4
"""Below these nothing is concluded from how often a value repeats."""
LONGEST_ID = 64
LONGEST_ATTRIBUTE = 40

_PICTURE = re.compile(r"(?i)data:image/|.*\.(jpe?g|png|webp|gif|avif|bmp|tiff?)([?#].*)?$")


def columns_by_values(role: str, columns: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
    """Columns whose values fit a role; several only for the attributes.

    Args:
        role: id, image, category_path, title or attributes.
        columns: names that are still free, with their values in some first rows; empty cells are left out.
        rows: how many rows these are.
    """
    filled = {name: values for name, values in columns.items() if len(values) >= FEWEST_VALUES}
    if role == "id":
        fitting = [name for name, values in filled.items() if len(values) == rows and _are_ids(values)]
    elif role == "image":
        fitting = [name for name, values in filled.items() if _most(map(_is_picture, values), values)]
    elif role == "category_path":
        fitting = [name for name, values in filled.items() if _are_paths(values)]
    elif role == "title":
        fitting = [name for name, values in filled.items() if _are_titles(values)]
        # A description is text as well; a title is the shorter of the two.
        fitting.sort(key=lambda name: mean(map(len, filled[name])))
    else:
        return [name for name, values in filled.items() if _are_attributes(values)]
    return fitting[:1]


def separator_of(names: Sequence[str]) -> str | None:
    """The separator that most of the texts hold, or None."""
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


def _is_picture(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "bytes" in value or "path" in value
    if isinstance(value, list):
        return bool(value) and _is_picture(value[0])
    return isinstance(value, bytes) or (isinstance(value, str) and _PICTURE.match(value) is not None)


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
    # A value that all products share tells none of them apart.
    return short and _repeat(values) and len(set(values)) > 1


def _repeat(values: Sequence[Any]) -> bool:
    return len(set(values)) <= len(values) / 2
