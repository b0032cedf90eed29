"""Query clauses: BM25, k nearest neighbours with their filter, saturation fusion, and filters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.search.arguments import FilterValue, SearchArguments
from clipita.opensearch.search.boosts import boosted

MAX_WORDS = 256
MAX_CHARACTERS = 4_000
MAX_CLAUSES = 1_024
"""`indices.query.bool.max_clause_count` as shipped: words times fields must stay below."""

LEXICAL = "lexical"
VECTOR = "vector"
"""Names of the two halves among a hit's matched queries, whose scores are BM25 and the k-NN score."""

LEXICAL_SCRIPT = "params.weight * _score / (_score + params.pivot)"
VECTOR_SCRIPT = "params.weight * Math.max(0, _score - 1)"

# The analyzer makes a token of each character of scripts that are written without spaces, and of each emoji (Lucene's
# StandardTokenizer), so each counts as a word.
_WORD = re.compile(r"[^\W\u0e00-\U0010ffff]+|[©®\u0e00-\U0010ffff]")


def query_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The query of a mode, with filters both around it and inside the k-NN part, and boosts around all.

    Choices stand in the k-NN part only: around the query they would empty their own facets.
    """
    query = _mode_clause(arguments)
    filters = [*filter_clauses(arguments.filters), *(dict(clause) for clause in arguments.raw_filters)]
    if filters:
        query["bool"]["filter"] = filters
    return boosted(query, arguments.boosts) if arguments.boosts else query


def lexical_clause(arguments: SearchArguments) -> dict[str, Any]:
    """BM25 over the fields; over several, a product counts with its best field."""
    text, _ = shorten(arguments.text, len(arguments.fields))
    named = {"_name": LEXICAL} if arguments.explain else {}
    if len(arguments.fields) == 1 and "^" not in arguments.fields[0]:
        return {"match": {arguments.fields[0]: {"query": text, **named}}}
    return {"multi_match": {"query": text, "fields": list(arguments.fields), "type": "best_fields", **named}}


def vector_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The k nearest products of each shard among those that pass the filters and choices.

    For the facet of each choice come those that are nearest when that one choice is lifted. A product in several of
    these lists has one cosine, so the greatest of its scores is each of them.
    """
    if arguments.vector is None:
        raise UsageError(f"The mode {arguments.mode} needs the query's vector.", hint="Give a model, or use lexical.")
    vector = list(arguments.vector)
    always = [*filter_clauses(arguments.filters), *(dict(clause) for clause in arguments.raw_filters)]
    lists = [[*always, *filter_clauses(arguments.choices)]]
    if not arguments.native:
        lists += [[*always, *filter_clauses(lifted(arguments.choices, path))] for path in arguments.choices]
    variants = [_neighbours(vector, arguments.k, filters) for filters in lists]
    named = {"_name": VECTOR} if arguments.explain else {}
    if len(variants) == 1 and not named:
        return variants[0]
    return {"dis_max": {"queries": variants, **named}}


def lifted(choices: Mapping[str, Any], path: str) -> dict[str, Any]:
    """All choices but one field's."""
    return {other: value for other, value in choices.items() if other != path}


def shorten(text: str, fields: int = 1) -> tuple[str, bool]:
    """Cut a query to what the cluster's clause limit takes.

    Returns:
        The query, and whether something was cut off.
    """
    limit = max(1, min(MAX_WORDS, MAX_CLAUSES // (2 * max(1, fields))))
    end = min(len(text), MAX_CHARACTERS)
    for count, word in enumerate(_WORD.finditer(text, 0, end), start=1):
        if count > limit:
            end = word.start()
            break
    return text[:end].rstrip(), end < len(text.rstrip())


def _mode_clause(arguments: SearchArguments) -> dict[str, Any]:
    if arguments.mode == "lexical":
        return {"bool": {"must": [lexical_clause(arguments)]}}
    vector = vector_clause(arguments)
    if arguments.mode == "vector":
        # 1 + cosine would leave a factor little to move.
        return {"bool": {"must": [_scored(vector, VECTOR_SCRIPT, {"weight": 1.0}) if arguments.boosts else vector]}}
    lexical = lexical_clause(arguments)
    shares = [
        _scored(lexical, LEXICAL_SCRIPT, {"weight": 1.0 - arguments.weight, "pivot": float(arguments.pivot)}),
        _scored(vector, VECTOR_SCRIPT, {"weight": float(arguments.weight)}),
    ]
    return {"bool": {"should": shares, "minimum_should_match": 1}}


def _neighbours(vector: Sequence[float], k: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    neighbours: dict[str, Any] = {"vector": vector, "k": k}
    if filters:
        neighbours["filter"] = all_of(filters)
    return {"knn": {VECTOR_FIELD: neighbours}}


def _scored(query: dict[str, Any], source: str, params: dict[str, float]) -> dict[str, Any]:
    return {"script_score": {"query": query, "script": {"source": source, "params": params}}}


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
