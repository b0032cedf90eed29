"""A search request as the options of ProductSearch: from a query string, or from JSON. The table is `SEARCH`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clipita.errors import RequestError
from clipita.opensearch.search.options import SEARCH
from clipita.option_table import Option, nearest

MOST = {"size": 1_000, "facet_size": 1_000}
MAX_LISTED = 100
"""Facets, sort keys or filters in a request."""
MAX_VALUES = 1_000
CONDITIONS = ("gt", "gte", "lt", "lte", "exists", "match")

_QUERY = Option("Any words, or a category's name. May be left out where `category` is given.", name="query", hint=str)
OPTIONS: Mapping[str, Option] = {"query": _QUERY} | {
    name: dataclasses.replace(entry, hint=Sequence[str]) if name == "boosts" else entry
    for name, entry in SEARCH.items()
    if not entry.inside
}
"""The options of a request by their names in JSON."""
PARAMETERS: Mapping[str, Option] = {
    "q" if name == "query" else entry.one or name: entry for name, entry in OPTIONS.items() if name != "filters"
}
"""The same by their names in a query string, where a list is a repeated parameter."""
_EXISTS = Option("Whether the field has a value.", name="exists", hint=bool)
# A field's name may have brackets of its own: filter[Width [mm]][lte].
_FILTER = re.compile(r"filter\[((?:(?!\]\[).)+?)\](?:\[([^\[\]]*)\])?", re.DOTALL)


def from_query_string(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Options of a GET request; a RequestError for an unknown, repeated or wrongly typed parameter.

    Filters are written `filter[brand]=Nike` (repeated: any of them) and `filter[price][lte]=80`.
    """
    given: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    for name, text in pairs:
        if found := _FILTER.fullmatch(name):
            _add_filter(filters, found[1], found[2], text)
            continue
        entry = _known(name, PARAMETERS, "filter[brand]")
        if entry.one:
            given.setdefault(entry.name, []).append(text)
        elif entry.name in given:
            raise _refused(f"The parameter {name} is given twice.")
        else:
            given[entry.name] = _converted(entry, name, text, lax=True)
    if given.get("highlight") in (["true"], ["false"]):
        given["highlight"] = given["highlight"] == ["true"]
    return _bounded({**given, "filters": filters} if filters else given)


def from_json(content: Any) -> dict[str, Any]:
    """Options of a POST request under the names of ProductSearch; a RequestError for an unknown key or a wrong type."""
    if not isinstance(content, Mapping):
        raise _refused("The request is not a JSON object.", 'Send for instance {"query": "running shoes"}.')
    given = {}
    for name, value in content.items():
        entry = _known(name, OPTIONS, "filters")
        if value is not None:
            given[name] = _filters(value) if name == "filters" else _converted(entry, name, value)
    return _bounded(given)


def _converted(entry: Option, name: str, value: Any, *, lax: bool = False) -> Any:
    try:
        return entry.convert(value, lax=lax)
    except ValueError:
        raise _refused(f"{name} is {_shown(value)}.", f"Expected: {entry.expected}.") from None


def _bounded(given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name in MOST and value > MOST[name]:
            raise _refused(f"{name} is {value:,}.", f"Use at most {MOST[name]:,}.")
        if isinstance(value, list | dict) and len(value) > MAX_LISTED:
            raise _refused(f"{len(value):,} {name} are given.", f"Use at most {MAX_LISTED}.")
    return given


def _known(name: str, known: Mapping[str, Option], filters: str) -> Option:
    if name in known:
        return known[name]
    raise _refused(f"There is no parameter {_shown(name)}.", nearest(name, [*known, filters]))


def _add_filter(filters: dict[str, Any], field: str, condition: str | None, text: str) -> None:
    if condition and condition not in CONDITIONS:
        raise _refused(f"A filter has no condition {_shown(condition)}.", f"Known: {', '.join(CONDITIONS)}.")
    present = filters.setdefault(field, {} if condition else [])
    if isinstance(present, dict) != bool(condition):
        raise _refused(f"{field} has both a value and a condition.", "Use either.")
    if isinstance(present, list):
        present.append(text)
        if len(present) > MAX_VALUES:
            raise _refused(f"The filter on {field} has over {MAX_VALUES:,} values.")
    elif condition == "exists":
        present[condition] = _converted(_EXISTS, f"filter[{field}][exists]", text, lax=True)
    else:
        present[condition] = text


def _filters(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused(f"filters is {_shown(value)}.", 'Write {"brand": ["Nike"], "price": {"lte": 80}}.')
    for field, wanted in value.items():
        parts = list(wanted.values()) if isinstance(wanted, dict) else wanted if isinstance(wanted, list) else [wanted]
        if len(parts) > MAX_VALUES:
            raise _refused(f"The filter on {field} has over {MAX_VALUES:,} values.")
        if not all(isinstance(part, str | int | float) for part in parts):
            raise _refused(f"The filter on {field} is {_shown(wanted)}.", "Use texts, numbers, true or false.")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _refused(message: str, hint: str | None = None) -> RequestError:
    return RequestError(message, status=400, hint=hint)
