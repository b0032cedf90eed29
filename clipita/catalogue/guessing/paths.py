"""Guesses how a catalogue writes category paths: separators, several columns, tags that are no paths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from clipita.catalogue.column_names import words_in

SEPARATORS = (">>", ">", "»", "::", "|", "/", ";")
"""Between names, in the order of trying: a slash may be part of a name ("T-shirts/Tops")."""
BETWEEN_PATHS = (";", "|", ",")
"""Between the paths of one cell; a comma may be part of a name."""
LEVEL_WORDS = {"category", "categories", "cat", "type", "department", "group", "section", "family"}
FEWEST_ROWS = 8
"""Fewer rows do not show which column is below which."""
MOST = 0.95
"""The share of rows whose deeper value has the parent that it has most often."""


@dataclass
class Guess:
    """Some settings of [fields], and why."""

    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def separator_of(names: Sequence[str]) -> str | None:
    """The separator that most of the texts contain, or None."""
    for separator in SEPARATORS:
        if names and sum(separator in name for name in names) > len(names) / 2:
            return f" {separator} " if sum(f" {separator} " in name for name in names) > len(names) / 2 else separator
    return None


def guess_path(cells: Sequence[Any]) -> Guess:
    """The separators of a column of paths."""
    guess = Guess()
    texts = list(_texts(cells))
    separator = separator_of(texts)
    between = _between_paths(texts, separator)
    if separator is not None and separator.strip() != between:
        guess.settings["category_separator"] = separator
        guess.reasons["category_separator"] = f"in most of the paths: {_example(texts, separator)}"
    if between is not None:
        guess.settings["path_separator"] = between
        guess.reasons["path_separator"] = f"between several paths: {_example(texts, between)}"
    return guess


def guess_levels(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """The columns that are the levels of a tree, the root's first; empty unless there are two or more.

    Each is named like a category, and each value of a deeper one has the same value above it in nearly all rows.
    """
    named = [name for name, values in columns.items() if _is_level(name) and len(values) >= FEWEST_ROWS]
    if len(named) < 2 or any(separator_of(list(columns[name])) in (" > ", ">") for name in named):
        return []
    sizes = {name: len(set(columns[name])) for name in named}
    # As many values at most as rows by two: a column in which hardly any value repeats is a title.
    named = sorted((name for name in named if sizes[name] <= len(columns[name]) / 2), key=lambda name: sizes[name])
    levels: list[str] = []
    for name in named:
        if not levels or (set(columns[name]) != set(columns[levels[-1]]) and _is_below(rows, levels[-1], name)):
            levels.append(name)
    return levels if len(levels) > 1 else []


def are_tags(values: Sequence[Any]) -> bool:
    """Whether lists of names are tags, not paths: names stand in any order, where in a tree each has its level."""
    lists = [value for value in map(_as_list, values) if value]
    if any(isinstance(name, list) for names in lists for name in names):
        # Several paths.
        return False
    if not lists or len(lists) < len(values) / 2 or max(map(len, lists)) < 2:
        return False
    places: dict[str, set[int]] = defaultdict(set)
    for names in lists:
        for place, name in enumerate(names):
            places[str(name).strip().lower()].add(place)
    moved = sum(len(found) > 1 for found in places.values())
    return moved > len(places) / 4


def _is_level(name: str) -> bool:
    words = words_in(name)
    return bool(words & LEVEL_WORDS) or "category" in name.lower()


def _is_below(rows: Sequence[Mapping[str, Any]], upper: str, lower: str) -> bool:
    parents: dict[Any, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    pairs = 0
    for row in rows:
        if row.get(upper) and row.get(lower):
            parents[row[lower]][row[upper]] += 1
            pairs += 1
    return pairs > 0 and sum(max(counts.values()) for counts in parents.values()) >= MOST * pairs


def _between_paths(texts: Sequence[str], separator: str | None) -> str | None:
    """What stands between paths.

    A semicolon or a bar is enough where it is not between names. A comma is part of a name unless both sides of it are
    paths, or a side without the separator of names is the beginning of another cell.
    """
    inner = (separator or "").strip()
    begins = {text.split(inner)[0].strip() for text in texts} if inner else {text.strip() for text in texts}
    for mark in (mark for mark in BETWEEN_PATHS if mark != inner):
        for pieces in (text.split(mark) for text in texts if mark in text):
            paths = sum(bool(inner) and inner in piece for piece in pieces)
            roots = sum(piece.strip() in begins for piece in pieces if not inner or inner not in piece)
            if mark != "," or paths > 1 or (roots and paths + roots == len(pieces)):
                return mark
    return None


def _texts(cells: Sequence[Any]) -> Iterator[str]:
    """Paths that are texts, those inside lists of one text included."""
    for cell in cells:
        names = _as_list(cell)
        if names is None:
            if isinstance(cell, str):
                yield cell
        elif all(isinstance(name, str) and separator_of([name]) for name in names):
            yield from names


def _as_list(cell: Any) -> list[Any] | None:
    if isinstance(cell, list | tuple):
        return list(cell)
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        with suppress(orjson.JSONDecodeError):
            found = orjson.loads(cell)
            return found if isinstance(found, list) else None
    return None


def _example(texts: Sequence[str], mark: str) -> str:
    return repr(next(text for text in texts if mark in text)[:80])
