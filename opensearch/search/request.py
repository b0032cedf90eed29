"""Search arguments to request bodies; nothing here talks to a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD
from clipita.opensearch.search.arguments import MAX_WINDOW, SCORE, FilterValue, SearchArguments
from clipita.opensearch.search.boosts import factor_script
from clipita.opensearch.search.clauses import all_of, filter_clauses, lexical_clause, lifted, query_clause
from clipita.opensearch.search.fusion import fusion_pipeline, hybrid_clause

THUMBNAIL_FIELD = "clipita.thumbnail"
GROUPS = "clipita:groups"
UNGROUPED = "clipita:ungrouped"
VALUES = "values"
BOOST = "clipita:boost:"
EXACT_GROUPS = 40_000
"""The largest precision_threshold of a cardinality aggregation: up to here the number of groups is almost exact."""


def search_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of one `_search` request.

    Raises:
        UsageError: the filters are off, or the mode needs a vector and none is given.
    """
    body: dict[str, Any] = {"size": arguments.size, "track_total_hits": True, **content_of(arguments)}
    if arguments.native:
        body |= _native_parts(arguments)
    else:
        body |= _parts(arguments)
    if arguments.after is not None:
        body["search_after"] = list(arguments.after)
    else:
        body["from"] = (arguments.page - 1) * arguments.size
    if arguments.min_score is not None:
        body["min_score"] = float(arguments.min_score)
    return body


def content_of(arguments: SearchArguments) -> dict[str, Any]:
    """The part of a body that says what a hit holds."""
    content: dict[str, Any] = {"_source": {"excludes": _excluded(arguments.thumbnails)}}
    if arguments.highlight:
        content["highlight"] = _highlight(arguments)
    return content


def facets_of(arguments: SearchArguments) -> dict[str, Any]:
    """Aggregations that count within all filters."""
    return {name: _terms(path, arguments.facet_size) for name, path in arguments.facets.items()}


def check_depth(depth: int) -> None:
    """Refuse a ranking that no search gives.

    Raises:
        UsageError: the depth lies outside 1 to 10,000.
    """
    if not 1 <= depth <= MAX_WINDOW:
        raise UsageError(f"A ranking's depth is {depth}.", hint=f"Use 1 to {MAX_WINDOW:,}.")


def ranking_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of a request for ids alone, k of them, best first."""
    parts = (
        _native_parts(arguments)
        if arguments.native
        else {"query": query_clause(arguments), "sort": _order(arguments), "track_total_hits": False}
    )
    return {**parts, "size": arguments.k, "_source": False}


def _parts(arguments: SearchArguments) -> dict[str, Any]:
    parts: dict[str, Any] = {"query": query_clause(arguments), "sort": _order(arguments)}
    if arguments.sort:
        parts["track_scores"] = True
    if arguments.choices:
        parts["post_filter"] = all_of(filter_clauses(arguments.choices))
    aggregations = {
        name: _under(_terms(path, arguments.facet_size), lifted(arguments.choices, path))
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
    parts: dict[str, Any] = {
        "query": hybrid_clause(arguments),
        "search_pipeline": fusion_pipeline(arguments.fusion, arguments.weight, arguments.rank_constant),
    }
    if arguments.sort:
        parts["sort"] = _order(arguments)
    if arguments.facets:
        parts["aggs"] = facets_of(arguments)
    return parts


_BY_SCORE: list[dict[str, Any]] = [{SCORE: "desc"}]


def _order(arguments: SearchArguments) -> list[dict[str, Any]]:
    # Equal keys fall back on the id, else a product could show on two pages and another on none. The score is no key
    # between a field and the id: its last bit may differ from one request to the next (a sum of floats has no fixed
    # order), which among products of one price would move the place where a cursor goes on.
    keys: list[dict[str, Any]] = [
        {path: direction if path == SCORE else {"order": direction, "missing": "_last"}}
        for path, direction in arguments.sort
    ]
    return [*(keys or _BY_SCORE), {ID_FIELD: "asc"}]


def _terms(path: str, size: int) -> dict[str, Any]:
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


def _highlight(arguments: SearchArguments) -> dict[str, Any]:
    # The fragments are HTML: all but the <em> around a word is escaped by the cluster.
    return {
        "encoder": "html",
        "highlight_query": lexical_clause(arguments),
        "fields": {path: {"number_of_fragments": 0} for path in arguments.highlight},
    }


def _excluded(thumbnails: bool) -> list[str]:
    return [VECTOR_FIELD, *(["clipita.*_hash", "clipita.fingerprint"] if thumbnails else ["clipita"])]
