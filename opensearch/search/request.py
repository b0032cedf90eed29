"""Search arguments as requests: bodies, facets, order, parameters. Nothing here talks to a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clipita.opensearch.index.attributes import FLAT_FIELD, key_of, values_of
from clipita.opensearch.index.mapping import NODES_FIELD, VECTOR_FIELD
from clipita.opensearch.search.boosts import factor_script
from clipita.opensearch.search.clauses.filters import all_filters, all_of, filter_clauses, lifted
from clipita.opensearch.search.clauses.query import (
    lexical_clause,
    member_clause,
    query_clause,
    vector_clause,
    words_clause,
)
from clipita.opensearch.search.options import SCORE, FilterValue, SearchArguments

LEAST_SCORE = 1e-30
GROUPS = "clipita:groups"
UNGROUPED = "clipita:ungrouped"
VALUES = "values"
FACET = "clipita:facet:"
BOOST = "clipita:boost:"
"""These two end with a number: no name of the shop's is part of another name."""
EXACT_GROUPS = 40_000
"""The largest precision_threshold of a cardinality aggregation: up to here the number of groups is almost exact."""


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
    filters = all_filters(arguments, arguments.choices)
    if arguments.labelled and not arguments.near:
        query: dict[str, Any] = {"bool": {"filter": [*filters, member_clause(arguments)]}}
    else:
        lexical, vector = _halves(arguments)
        if arguments.lexical is not None and not arguments.labelled:
            # The `hybrid` query takes a score of 0 for no match.
            lexical = {"function_score": {"query": lexical, "min_score": LEAST_SCORE}}
        query = {"bool": {"should": [lexical, vector], "minimum_should_match": 1, "filter": filters}}
    return {"size": 0, "track_total_hits": True, "query": query, **_facets(arguments)}


def also_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of a request for products from elsewhere that the model places in a category, best first."""
    elsewhere = dataclasses.replace(arguments, members="predicted", size=arguments.also, page=1, after=None, also=0)
    body = search_body(
        dataclasses.replace(elsewhere, mode="hybrid", fusion="saturation", facets={}, collapse=None, variants=0)
    )
    body["query"] = {
        "bool": {
            "must": [body["query"]],
            "filter": filter_clauses(arguments.choices),
            "must_not": [member_clause(arguments)],
        }
    }
    body.pop("post_filter", None)
    return body


def ranking_body(arguments: SearchArguments, depth: int) -> dict[str, Any]:
    """The body of a request for ids alone, `depth` of them, best first."""
    parts = (
        _native_parts(arguments)
        if arguments.native
        else {"query": query_clause(arguments), "sort": _order(arguments), "track_total_hits": False}
    )
    return {**parts, "size": depth, "_source": False}


def search_params(arguments: SearchArguments) -> dict[str, str]:
    """Parameters in a search's address.

    All pages of one search, and the same search asked again, go to the same copy of each shard: copies merge and
    refresh at times of their own, so that another copy may give other scores and another order.
    https://docs.opensearch.org/latest/search-plugins/searching-data/search-shard-routing/
    """
    explained = {"include_named_queries_score": "true"} if arguments.explain else {}
    return {"preference": arguments.identity, **explained}


def _parts(arguments: SearchArguments) -> dict[str, Any]:
    parts: dict[str, Any] = {"query": query_clause(arguments), "sort": _order(arguments)}
    if arguments.sort:
        parts["track_scores"] = True
    if arguments.choices:
        parts["post_filter"] = all_of(filter_clauses(arguments.choices))
    aggregations = {
        name: _under(_terms(path, arguments.facet_size), lifted(arguments.choices, path))
        for name, path in facet_paths(arguments).items()
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
            f"{BOOST}{number}": {"script": factor_script(boost, kind)}
            for number, (boost, kind) in enumerate(arguments.boosts)
        }
    return parts


def _native_parts(arguments: SearchArguments) -> dict[str, Any]:
    """The `hybrid` query; its filter reaches both halves, the choice of neighbours included."""
    filters = all_filters(arguments, arguments.choices)
    hybrid = {
        "pagination_depth": arguments.depth,
        "queries": _halves(arguments),
        **({"filter": all_of(filters)} if filters else {}),
    }
    parts = {
        "query": {"hybrid": hybrid},
        "search_pipeline": arguments.fused_by.pipeline(arguments.weight, arguments.rank_constant),
        **_facets(arguments),
    }
    return {**parts, "sort": _order(arguments)} if arguments.sort else parts


def _halves(arguments: SearchArguments) -> list[dict[str, Any]]:
    """The two lists of a native fusion; together they are the page."""
    words = lexical_clause(arguments)
    if arguments.labelled:
        # All labelled products, those without a word of the query last.
        words = {"bool": {"should": [words], "filter": [member_clause(arguments)]}}
    elif arguments.near and arguments.lexical is None:
        words = {"bool": {"should": [words], "filter": [words_clause(arguments)]}}
    return [words, vector_clause(arguments)]


def facet_paths(arguments: SearchArguments) -> dict[str, str]:
    """The name of each facet's aggregation, in the order of the facets, and the field that it counts.

    OpenSearch refuses `[`, `]` and `>` in an aggregation's name, which a field's name may have.
    """
    return {f"{FACET}{number}": path for number, path in enumerate(arguments.facets.values())}


def _facets(arguments: SearchArguments) -> dict[str, Any]:
    """Aggregations that count within all filters."""
    facets = {name: _terms(path, arguments.facet_size) for name, path in facet_paths(arguments).items()}
    return {"aggs": facets} if facets else {}


def _order(arguments: SearchArguments) -> list[dict[str, Any]]:
    # Equal keys fall back on the id, else a product could show on two pages and another on none. The score is no key
    # between a field and the id: its last bit may differ from one request to the next (a sum of floats has no fixed
    # order), which among products of one price would move the place where a cursor goes on. Documents that the shop
    # wrote since the last run have no id to sort by.
    keys: list[dict[str, Any]] = [
        {path: direction if path == SCORE else {"order": direction, "missing": "_last"}}
        for path, direction in arguments.sort
    ]
    last = [{arguments.layout.id: "asc"}] + ([] if arguments.native else [{"_seq_no": "asc"}])
    return [*(keys or [{SCORE: "desc"}]), *last]


def _terms(path: str, size: int) -> dict[str, Any]:
    if (key := key_of(path)) is not None:
        return {"terms": {"field": FLAT_FIELD, "include": values_of(key), "size": size}}
    return {"terms": {"field": path, "size": size}}


def _under(aggregation: dict[str, Any], choices: Mapping[str, FilterValue]) -> dict[str, Any]:
    """An aggregation that counts only what these choices leave."""
    if not choices:
        return aggregation
    return {"filter": all_of(filter_clauses(choices)), "aggs": {VALUES: aggregation}}


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
            "highlight_query": lexical_clause(arguments, arguments.text),
            "fields": {path: {"number_of_fragments": 0} for path in arguments.highlight},
        }
    return content


def _excluded(thumbnails: bool) -> list[str]:
    ours = ["clipita.*_hash", "clipita.fingerprint", "clipita.flat*", NODES_FIELD]
    return [VECTOR_FIELD, *(ours if thumbnails else ["clipita"])]
