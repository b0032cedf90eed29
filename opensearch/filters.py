"""Filters as a shop writes them to query clauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.arguments import FilterValue

RANGE_KEYS = ("gt", "gte", "lt", "lte")


def filter_clauses(filters: Mapping[str, FilterValue]) -> list[dict[str, Any]]:
    """One clause a filter; all must hold.

    Raises:
        UsageError: an empty list, an unknown key, or a value that is none of the known kinds.
    """
    return [_clause(path, value) for path, value in filters.items()]


def all_of(clauses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One clause that holds where all do."""
    return {"bool": {"filter": list(clauses)}}


def _clause(path: str, value: FilterValue) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return _condition(path, value)
    if isinstance(value, (str, int, float)):
        return {"term": {path: value}}
    if isinstance(value, (Sequence, set, frozenset)):
        if not value:
            raise UsageError(
                f"The filter on {path} is an empty list, which no product can match.", hint="Leave it out."
            )
        return {"terms": {path: list(value)}}
    raise UsageError(
        f"The filter on {path} is {value!r}.",
        hint='Use a value, a list of values, {"gte": …, "lte": …} or {"exists": true}.',
    )


def _condition(path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if set(value) == {"exists"} and isinstance(value["exists"], bool):
        exists = {"exists": {"field": path}}
        return exists if value["exists"] else {"bool": {"must_not": [exists]}}
    if value and set(value) <= set(RANGE_KEYS):
        return {"range": {path: dict(value)}}
    raise UsageError(
        f"The filter on {path} is {dict(value)!r}.", hint=f"Known keys: {', '.join(RANGE_KEYS)}; or exists, alone."
    )
