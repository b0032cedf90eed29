"""A call's options to checked arguments: defaults, the shop's own field names, cursors. Nothing here is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.search import client_fusion
from clipita.opensearch.search.arguments import SCORE, FilterValue, Fusion, Mode, SearchArguments, SortKey
from clipita.opensearch.search.boosts import TYPES, Boost, TypedBoost
from clipita.opensearch.search.clauses import shorten
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.fields import FieldNames


class SearchOptions(TypedDict, total=False):
    """What may be said about one search; what is left out, or None, has the configuration's value.

    Field names are the shop's own: an attribute goes by its name.

    Attributes:
        category: of the index's category tree, by path (a sequence, or `A > B > C`) or name: its stored vector is
            used and no model is needed. Its name is the query unless one is given.
        mode: lexical (BM25), vector (the model) or hybrid (both, fused).
        fusion: saturation (any cluster), or min_max or rrf (clusters with neural-search).
        filters: field to a value, a list of values, {"gte": …, "lt": …} or {"exists": true}. A filter on a field that
            is also a facet narrows everything but that facet.
        raw_filters: OpenSearch query clauses that must hold too, such as geo_distance.
        facets: fields to count values of.
        facet_size: values a facet.
        sort: a field, `-field` for descending, or several; `_score` is relevance.
        size: hits a page.
        page: 1-based.
        cursor: `page.cursor` of the page before; takes the place of `page` and goes beyond 10,000 hits.
        snapshot: how long the cluster keeps the index's present state for the next page, such as "2m": pages that
            follow by cursor do not see products that are written meanwhile.
        collapse: a field of which each value is shown once, by its best product.
        variants: with collapse, how many products of the group come along.
        highlight: True, or text fields, in which matching words are marked.
        boosts: business signals, as `Boost` or as its text.
        min_score: hits below are left out.
        explain: say what each hit's score is made of.
        fields: text fields that BM25 searches, each with an optional boost (`title^3`).
        weight: share of the vector, 0 to 1.
        pivot: the BM25 score that counts one half.
        k: nearest products that a shard contributes; at least `size`, and the same on every page.
        rank_constant: of the fusion rrf.
        thumbnails: whether hits carry their thumbnail.
    """

    category: str | Sequence[str] | None
    mode: Mode | None
    fusion: Fusion | None
    filters: Mapping[str, FilterValue] | None
    raw_filters: Sequence[Mapping[str, Any]] | None
    facets: Sequence[str] | None
    facet_size: int | None
    sort: str | Sequence[str] | None
    size: int | None
    page: int | None
    cursor: str | None
    snapshot: str | None
    collapse: str | None
    variants: int | None
    highlight: bool | Sequence[str] | None
    boosts: Sequence[Boost | str] | None
    min_score: float | None
    explain: bool | None
    fields: Sequence[str] | None
    weight: float | None
    pivot: float | None
    k: int | None
    rank_constant: int | None
    thumbnails: bool | None


_PLAIN = (
    "mode", "fusion", "raw_filters", "facet_size", "size", "page", "variants", "min_score", "explain", "weight",
    "pivot", "k", "rank_constant", "thumbnails",
)  # fmt: skip


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something.

    Raises:
        UsageError: there is no option of a name.
    """
    known = SearchOptions.__annotations__
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise UsageError(f"A search has no option {name!r}.", hint=hint)
    return {name: value for name, value in options.items() if value is not None}


def names_in(given: Mapping[str, Any], config: SearchConfig) -> list[str]:
    """Every field name that a search uses."""
    highlight = given.get("highlight", ())
    collapse = given.get("collapse")
    return [
        *given.get("filters", {}),
        *given.get("facets", ()),
        *(name.partition("^")[0] for name in given.get("fields", config.fields)),
        *(name for name, _ in _sort_keys(given.get("sort", ())) if name != SCORE),
        *(highlight if not isinstance(highlight, bool) else ()),
        *((collapse,) if collapse is not None else ()),
        *(boost.field for boost in _boosts(given.get("boosts", config.boosts))),
    ]


def plan(text: str, given: Mapping[str, Any], config: SearchConfig, names: FieldNames) -> SearchArguments:
    """Checked arguments, still without a vector.

    Args:
        text: the query.
        given: from `given_options`.
        config: the defaults.
        names: the index's fields.

    Raises:
        UsageError: an unknown field, a field of the wrong kind, a number out of range, a cursor of another search.
    """
    settings: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    for name in ("mode", "fusion", "weight", "pivot", "k", "size"):
        settings.setdefault(name, getattr(config, name))
    facets = {name: names.exact(name) for name in given.get("facets", ())}
    filters = _filters(given.get("filters", {}), names)
    if settings["mode"] == "hybrid" and settings["fusion"] != "saturation":
        # post_filter would change the scores of a hybrid query, so its choices are filters like all others.
        choices: dict[str, FilterValue] = {}
    else:
        choices = {path: value for path, value in filters.items() if path in facets.values()}
    fields = names.searchable(given.get("fields", config.fields))
    settings |= {
        "facets": facets,
        "filters": {path: value for path, value in filters.items() if path not in choices},
        "choices": choices,
        "fields": fields,
        "layout": names.layout,
        "sort": tuple((_sortable(name, names), way) for name, way in _sort_keys(given.get("sort", ()))),
        "boosts": tuple(_typed(boost, names) for boost in _boosts(given.get("boosts", config.boosts))),
        "highlight": _highlighted(given.get("highlight", False), fields, names),
        "collapse": names.exact(given["collapse"]) if "collapse" in given else None,
    }
    arguments = SearchArguments(text=text, **settings)
    return _continued(arguments, settings, given["cursor"], given) if "cursor" in given else arguments


def remarks_on(arguments: SearchArguments) -> tuple[str, ...]:
    """What was done to the request, in sentences."""
    if arguments.mode == "vector":
        return ()
    text, cut = shorten(arguments.text, len(arguments.fields))
    remarks = (f"The query is long: only its first {len(text)} characters were matched by words.",) if cut else ()
    return (*remarks, client_fusion.remark(arguments)) if arguments.by_client else remarks


def _continued(
    arguments: SearchArguments, settings: Mapping[str, Any], word: str, given: Mapping[str, Any]
) -> SearchArguments:
    cursor = Cursor.decode(word)
    if "page" in given:
        raise UsageError("Both a page and a cursor are given.", hint="Leave one out.")
    if cursor.identity != arguments.identity:
        raise UsageError(
            "This cursor belongs to another search.",
            hint="Repeat query, filters, sort and weights as they were, or start at the first page.",
        )
    return SearchArguments(text=arguments.text, **{**settings, "after": cursor.after, "page": cursor.page})


def _filters(filters: Mapping[str, FilterValue], names: FieldNames) -> dict[str, FilterValue]:
    return {names.exact(name): names.typed(name, value) for name, value in filters.items()}


def _sort_keys(sort: str | Sequence[str]) -> list[SortKey]:
    keys: list[SortKey] = []
    for name in [sort] if isinstance(sort, str) else sort:
        bare = name.removeprefix("-")
        if bare == SCORE:
            keys.append((SCORE, "desc"))
        else:
            keys.append((bare, "desc" if name.startswith("-") else "asc"))
    return keys


def _sortable(name: str, names: FieldNames) -> str:
    return name if name == SCORE else names.exact(name)


def _boosts(boosts: Iterable[Boost | str]) -> list[Boost]:
    return [Boost.parse(boost) if isinstance(boost, str) else boost for boost in boosts]


def _typed(boost: Boost, names: FieldNames) -> TypedBoost:
    path = names.exact(boost.field)
    kind = names.types[path]
    if kind not in TYPES[boost.kind]:
        raise UsageError(
            f"The boost {boost.name} cannot read a field of type {kind}.",
            hint=f"It needs one of: {', '.join(sorted(TYPES[boost.kind]))}.",
        )
    return Boost(boost.kind, path, boost.weight, boost.half, boost.half_life, boost.low, boost.high), kind


def _highlighted(highlight: bool | Sequence[str], fields: Sequence[str], names: FieldNames) -> tuple[str, ...]:
    if highlight is True:
        return tuple(name.partition("^")[0] for name in fields)
    return names.searchable(highlight or ())
