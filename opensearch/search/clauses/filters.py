"""Filters as query clauses: those that are given, and what was understood of the query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.index.attributes import FLAT_FIELD, FLAT_NAMES_FIELD, key_of
from clipita.opensearch.search.options import FilterValue, SearchArguments

RANGE_KEYS = ("gt", "gte", "lt", "lte")


def filter_clauses(filters: Mapping[str, FilterValue]) -> list[dict[str, Any]]:
    """One clause per filter, all of which must hold; a UsageError for a malformed one."""
    return [filter_clause(path, value) for path, value in filters.items()]


def all_of(clauses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One clause that holds where all do."""
    return {"bool": {"filter": list(clauses)}}


def lifted(choices: Mapping[str, Any], path: str) -> dict[str, Any]:
    """All choices but one field's."""
    return {other: value for other, value in choices.items() if other != path}


def all_filters(arguments: SearchArguments, choices: Mapping[str, FilterValue] | None = None) -> list[dict[str, Any]]:
    """Every clause that must hold: filters, raw filters, and the choices that are given."""
    raw = (dict(clause) for clause in arguments.raw_filters)
    understood = (filter_clause(path, condition) for path, condition in understood_filters(arguments, strict=True))
    return [*filter_clauses(arguments.filters), *raw, *understood, *filter_clauses(choices or {})]


def understood_filters(arguments: SearchArguments, *, strict: bool) -> Iterator[tuple[str, FilterValue]]:
    """What the query says about each field, as filters: values of one field are alternatives."""
    values: dict[str, list[str]] = {}
    for part, path in arguments.understood:
        if part.strict is not strict:
            continue
        if isinstance(part.filter, Mapping):
            yield path, part.filter
        else:
            values.setdefault(path, []).extend(part.filter)
    yield from values.items()


def filter_clause(path: str, value: FilterValue) -> dict[str, Any]:
    """One filter as a clause; a UsageError for a malformed one."""
    key = key_of(path)
    if key is not None:
        return _flat(key, value)
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
        hint='Use a value, a list of values, {"gte": …, "lte": …}, {"exists": true} or {"match": "words"}.',
    )


def _flat(key: str, value: FilterValue) -> dict[str, Any]:
    """A filter on an attribute of the flat field."""
    if isinstance(value, Mapping) and set(value) == {"exists"} and isinstance(value["exists"], bool):
        has = {"term": {FLAT_NAMES_FIELD: key}}
        return has if value["exists"] else {"bool": {"must_not": [has]}}
    values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise UsageError(
            f"The filter on {key} is {value!r}, but few products have this attribute: it shares a field with others, "
            "as text.",
            hint='Use a value, a list of values or {"exists": true}.',
        )
    return {"terms": {FLAT_FIELD: [f"{key}={str(one).lower() if isinstance(one, bool) else one}" for one in values]}}


def _condition(path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if set(value) == {"exists"} and isinstance(value["exists"], bool):
        exists = {"exists": {"field": path}}
        return exists if value["exists"] else {"bool": {"must_not": [exists]}}
    if set(value) == {"match"} and isinstance(value["match"], str):
        return {"match": {path: {"query": value["match"], "operator": "and"}}}
    if value and set(value) <= set(RANGE_KEYS):
        return {"range": {path: dict(value)}}
    raise UsageError(
        f"The filter on {path} is {dict(value)!r}.",
        hint=f"Known keys: {', '.join(RANGE_KEYS)}; or exists or match, alone.",
    )
