"""Search arguments as requests: clauses, filters, facets, order, parameters. Nothing here talks to a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD
from clipita.opensearch.search.boosts import boosted, factor_script
from clipita.opensearch.search.options import SCORE, FilterValue, SearchArguments

MAX_WORDS = 256
MAX_CHARACTERS = 4_000
MAX_CLAUSES = 1_024
"""`indices.query.bool.max_clause_count` by default: words times fields must stay below."""

LEXICAL = "lexical"
VECTOR = "vector"
"""Names of the two halves among a hit's matched queries, whose scores are BM25 and the k-NN score."""

LEXICAL_SCRIPT = "params.weight * _score / (_score + params.pivot)"
VECTOR_SCRIPT = "params.weight * Math.max(0, _score - 1)"
RANGE_KEYS = ("gt", "gte", "lt", "lte")

GROUPS = "clipita:groups"
UNGROUPED = "clipita:ungrouped"
VALUES = "values"
BOOST = "clipita:boost:"
EXACT_GROUPS = 40_000
"""The largest precision_threshold of a cardinality aggregation: up to here the number of groups is almost exact."""

# The analyzer makes a token of each character of scripts that are written without spaces, and of each emoji (Lucene's
# StandardTokenizer), so each counts as a word.
_WORD = re.compile(r"[^\W\u0e00-\U0010ffff]+|[©®\u0e00-\U0010ffff]")


def search_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of one `_search` request; a UsageError for a malformed filter or a missing vector."""
    body: dict[str, Any] = {"size": arguments.size, "track_total_hits": True, **_content(arguments)}
    body |= _native_parts(arguments) if arguments.native else _parts(arguments)
    if arguments.after is not None:
        body["search_after"] = list(arguments.after)
    else:
        body["from"] = (arguments.page - 1) * arguments.size
    if arguments.min_score is not None:
        body["min_score"] = float(arguments.min_score)
    return body


def union_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of a request for total and facets of a native fusion: the union of both halves, exactly.

    The `hybrid` query itself counts too few on large results (OpenSearch 3.5 and 3.6, recorded).
    """
    halves = [lexical_clause(arguments), vector_clause(arguments)]
    query = {"bool": {"should": halves, "minimum_should_match": 1, "filter": _filters(arguments, arguments.choices)}}
    return {"size": 0, "track_total_hits": True, "query": query, **_facets(arguments)}


def ranking_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of a request for ids alone, k of them, best first."""
    parts = (
        _native_parts(arguments)
        if arguments.native
        else {"query": query_clause(arguments), "sort": _order(arguments), "track_total_hits": False}
    )
    return {**parts, "size": arguments.k, "_source": False}


def search_params(arguments: SearchArguments) -> dict[str, str]:
    """Parameters in a search's address.

    All pages of one search, and the same search asked again, go to the same copy of each shard: copies merge and
    refresh at times of their own, so that another copy may give other scores and another order.
    https://docs.opensearch.org/latest/search-plugins/searching-data/search-shard-routing/
    """
    explained = {"include_named_queries_score": "true"} if arguments.explain else {}
    return {"preference": arguments.identity, **explained}


def query_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The query of a mode, with filters both around it and inside the k-NN part, and boosts around all.

    Choices stand in the k-NN part only: around the query they would empty their own facets.
    """
    query = _mode_clause(arguments)
    if filters := _filters(arguments):
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
    lists = [_filters(arguments, arguments.choices)]
    if not arguments.native:
        lists += [_filters(arguments, _lifted(arguments.choices, path)) for path in arguments.choices]
    near = {"vector": list(arguments.vector), "k": arguments.k}
    variants = [{"knn": {VECTOR_FIELD: near | ({"filter": _all_of(filters)} if filters else {})}} for filters in lists]
    named = {"_name": VECTOR} if arguments.explain else {}
    return variants[0] if len(variants) == 1 and not named else {"dis_max": {"queries": variants, **named}}


def filter_clauses(filters: Mapping[str, FilterValue]) -> list[dict[str, Any]]:
    """One clause per filter, all of which must hold; a UsageError for a malformed one."""
    return [_filter_clause(path, value) for path, value in filters.items()]


def _all_of(clauses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One clause that holds where all do."""
    return {"bool": {"filter": list(clauses)}}


def shorten(text: str, fields: int = 1) -> tuple[str, bool]:
    """Cut a query to the cluster's clause limit; also returns whether something was cut off."""
    limit = max(1, min(MAX_WORDS, MAX_CLAUSES // (2 * max(1, fields))))
    end = min(len(text), MAX_CHARACTERS)
    for count, word in enumerate(_WORD.finditer(text, 0, end), start=1):
        if count > limit:
            end = word.start()
            break
    return text[:end].rstrip(), end < len(text.rstrip())


def _filters(arguments: SearchArguments, choices: Mapping[str, FilterValue] | None = None) -> list[dict[str, Any]]:
    """Every clause that must hold: filters, raw filters, and the choices that are given."""
    raw = (dict(clause) for clause in arguments.raw_filters)
    return [*filter_clauses(arguments.filters), *raw, *filter_clauses(choices or {})]


def _filter_clause(path: str, value: FilterValue) -> dict[str, Any]:
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


def _lifted(choices: Mapping[str, Any], path: str) -> dict[str, Any]:
    """All choices but one field's."""
    return {other: value for other, value in choices.items() if other != path}


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


def _scored(query: dict[str, Any], source: str, params: dict[str, float]) -> dict[str, Any]:
    return {"script_score": {"query": query, "script": {"source": source, "params": params}}}


def _parts(arguments: SearchArguments) -> dict[str, Any]:
    parts: dict[str, Any] = {"query": query_clause(arguments), "sort": _order(arguments)}
    if arguments.sort:
        parts["track_scores"] = True
    if arguments.choices:
        parts["post_filter"] = _all_of(filter_clauses(arguments.choices))
    aggregations = {
        name: _under(_terms(path, arguments.facet_size), _lifted(arguments.choices, path))
        for name, path in arguments.facets.items()
    }
    if arguments.collapse is not None:
        parts["collapse"] = _collapse(arguments)
        groups = {"cardinality": {"field": arguments.collapse, "precision_threshold": EXACT_GROUPS}}
        aggregations[GROUPS] = _under(groups, arguments.choices)
        aggregations[UNGROUPED] = _under({"missing": {"field": arguments.collapse}}, arguments.choices)
    if aggregations:
        parts["aggs"] = aggregations
    if arguments.explain and arguments.boosts:
        parts["script_fields"] = {
            BOOST + boost.name: {"script": factor_script(boost, kind)} for boost, kind in arguments.boosts
        }
    return parts


def _native_parts(arguments: SearchArguments) -> dict[str, Any]:
    """The `hybrid` query; its filter reaches both halves, the choice of neighbours included."""
    halves = [lexical_clause(arguments), vector_clause(arguments)]
    filters = _filters(arguments, arguments.choices)
    hybrid = {"pagination_depth": arguments.k, "queries": halves, **({"filter": _all_of(filters)} if filters else {})}
    parts = {
        "query": {"hybrid": hybrid},
        "search_pipeline": arguments.fused_by.pipeline(arguments.weight, arguments.rank_constant),
        **_facets(arguments),
    }
    return {**parts, "sort": _order(arguments)} if arguments.sort else parts


def _facets(arguments: SearchArguments) -> dict[str, Any]:
    """Aggregations that count within all filters."""
    facets = {name: _terms(path, arguments.facet_size) for name, path in arguments.facets.items()}
    return {"aggs": facets} if facets else {}


def _order(arguments: SearchArguments) -> list[dict[str, Any]]:
    # Equal keys fall back on the id, else a product could show on two pages and another on none. The score is no key
    # between a field and the id: its last bit may differ from one request to the next (a sum of floats has no fixed
    # order), which among products of one price would move the place where a cursor goes on.
    keys: list[dict[str, Any]] = [
        {path: direction if path == SCORE else {"order": direction, "missing": "_last"}}
        for path, direction in arguments.sort
    ]
    return [*(keys or [{SCORE: "desc"}]), {ID_FIELD: "asc"}]


def _terms(path: str, size: int) -> dict[str, Any]:
    return {"terms": {"field": path, "size": size}}


def _under(aggregation: dict[str, Any], choices: Mapping[str, FilterValue]) -> dict[str, Any]:
    """An aggregation that counts only what these choices leave."""
    if not choices:
        return aggregation
    return {"filter": _all_of(filter_clauses(choices)), "aggs": {VALUES: aggregation}}


def _collapse(arguments: SearchArguments) -> dict[str, Any]:
    collapse: dict[str, Any] = {"field": arguments.collapse}
    if arguments.variants:
        collapse["inner_hits"] = {
            "name": "variants",
            "size": arguments.variants,
            "sort": _order(arguments),
            "_source": {"excludes": _excluded(arguments.thumbnails)},
        }
    return collapse


def _content(arguments: SearchArguments) -> dict[str, Any]:
    """The part of a body that says what a hit holds."""
    content: dict[str, Any] = {"_source": {"excludes": _excluded(arguments.thumbnails)}}
    if arguments.highlight:
        # The fragments are HTML: the cluster escapes everything except the <em> around a word.
        content["highlight"] = {
            "encoder": "html",
            "highlight_query": lexical_clause(arguments),
            "fields": {path: {"number_of_fragments": 0} for path in arguments.highlight},
        }
    return content


def _excluded(thumbnails: bool) -> list[str]:
    return [VECTOR_FIELD, *(["clipita.*_hash", "clipita.fingerprint"] if thumbnails else ["clipita"])]
