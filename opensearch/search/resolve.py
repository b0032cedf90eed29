"""The options of a call as checked arguments: fields by the index's names, sort keys, boosts, cursors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from opensearchpy import OpenSearch

from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.index.attributes import keys_in_flat
from clipita.opensearch.search.boosts import TYPES, Boost, TypedBoost
from clipita.opensearch.search.clauses.texts import asks_for_numbers, sample
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.fusion import FUSIONS
from clipita.opensearch.search.options import MAX_WINDOW, PLAIN, SCORE, SearchArguments, SortKey


def names_in(given: Mapping[str, Any], config: SearchConfig) -> list[str]:
    """Every field name that a search uses."""
    highlight = given.get("highlight", ())
    return [
        *given.get("filters", {}),
        *given.get("facets", ()),
        *(name.partition("^")[0] for name in given.get("fields", config.fields)),
        *(name for name, _ in _sort_keys(given.get("sort", ())) if name != SCORE),
        *(highlight if not isinstance(highlight, bool) else ()),
        *((given["collapse"],) if "collapse" in given else ()),
        *(boost.field for boost in _boosts(given.get("boosts", config.boosts))),
    ]


def is_known(given: Mapping[str, Any], config: SearchConfig, names: FieldNames) -> bool:
    """Whether nothing has to be looked up in the index before `resolve`."""
    return all(names.has(name) for name in names_in(given, config)) and not _unseen(given, names)


def look_up(given: Mapping[str, Any], config: SearchConfig, names: FieldNames, client: OpenSearch, index: str) -> bool:
    """Look up what `resolve` must know of the index besides its mapping: rare attributes, values of texts to order.

    Returns:
        Whether the index has all fields that a search uses.
    """
    unknown = [name for name in names_in(given, config) if not names.has(name)]
    if unknown:
        names.learn(unknown, partial(keys_in_flat, client, index))
    if texts := _unseen(given, names):
        names.samples |= sample(client, index, texts)
    return all(names.has(name) for name in unknown)


def _unseen(given: Mapping[str, Any], names: FieldNames) -> list[str]:
    """The fields of text by whose order a search goes, as far as none of their values is known."""
    ordered = [name for name, _ in _sort_keys(given.get("sort", ()))]
    ordered += [name for name, value in given.get("filters", {}).items() if asks_for_numbers(value)]
    paths = [path for name in ordered if name != SCORE and (path := names.ordered(name)) is not None]
    return [path for path in dict.fromkeys(paths) if path not in names.samples]


def resolve(text: str, given: Mapping[str, Any], config: SearchConfig, names: FieldNames) -> SearchArguments:
    """Checked arguments, still without a vector; the options `given` come from `given_options`.

    Raises:
        UsageError: an unknown field, a field of the wrong kind, a number out of range.
    """
    settings = {name: value for name, value in vars(config).items() if name in PLAIN}
    settings |= {name: value for name, value in given.items() if name in PLAIN}
    # Until the query's vector is known.
    settings["weight"] = config.weight_known if settings["weight"] is None else settings["weight"]
    settings["members"] = given.get("members", "labelled" if "category" in given else "predicted")
    for name in ("members", "also"):
        if given.get(name) and "category" not in given:
            raise UsageError(f"{name} requires a category.", hint="Name one with `category`, or leave it out.")
    filters = {names.path(name, value): names.typed(name, value) for name, value in given.get("filters", {}).items()}
    facets = {name: names.exact(name) for name in given.get("facets", ())}
    native = settings["mode"] == "hybrid" and settings["fusion"] in FUSIONS and FUSIONS[settings["fusion"]].native
    # post_filter would change the scores of a native hybrid query, so its choices are filters like all others.
    choices = {} if native else {path: value for path, value in filters.items() if path in facets.values()}
    fields = names.searchable(settings["fields"])
    marked = given.get("highlight") or ()
    highlight = tuple(name.partition("^")[0] for name in fields) if marked is True else names.searchable(marked)
    keys = _sort_keys(given.get("sort", ()))
    sort = [(name if name == SCORE else names.own(name, "sort"), way) for name, way in keys]
    settings |= {
        "facets": facets,
        "filters": {path: value for path, value in filters.items() if path not in choices},
        "choices": choices,
        "fields": fields,
        "layout": names.layout,
        "sort": tuple(sort),
        "boosts": tuple(_typed(boost, names) for boost in _boosts(settings["boosts"])),
        "highlight": highlight,
        "collapse": names.own(given["collapse"], "collapse") if "collapse" in given else None,
    }
    if "cursor" in given and "page" in given:
        raise UsageError("Both a page and a cursor are given.", hint="Leave one out.")
    return SearchArguments(text=text, **settings)


def continued(arguments: SearchArguments, given: Mapping[str, Any]) -> SearchArguments:
    """The arguments at the place where a given cursor goes on; a UsageError for a cursor of another search.

    Scores of another index say nothing about the place in this one, the number of the page does.
    """
    if "cursor" not in given:
        return arguments
    cursor = Cursor.decode(given["cursor"])
    if not cursor.identity.startswith(arguments.identity):
        raise UsageError(
            "This cursor belongs to another search.",
            hint="Repeat query, filters, sort and weights as they were, or start at the first page.",
        )
    moved = cursor.identity != arguments.place and cursor.snapshot is None
    after = None if moved and cursor.page * arguments.size <= MAX_WINDOW else cursor.after
    return dataclasses.replace(arguments, after=after, page=cursor.page)


def _sort_keys(sort: str | Sequence[str]) -> list[SortKey]:
    keys: list[SortKey] = []
    for name in [sort] if isinstance(sort, str) else sort:
        bare = name.removeprefix("-")
        keys.append((bare, "desc" if bare == SCORE or name.startswith("-") else "asc"))
    return keys


def _boosts(boosts: Collection[Boost | str]) -> list[Boost]:
    return [Boost.parse(boost) if isinstance(boost, str) else boost for boost in boosts]


def _typed(boost: Boost, names: FieldNames) -> TypedBoost:
    path = names.own(boost.field, "boost")
    kind = names.types[path]
    if kind not in TYPES[boost.kind]:
        raise UsageError(
            f"The boost {boost.name} cannot read a field of type {kind}.",
            hint=f"It needs one of: {', '.join(sorted(TYPES[boost.kind]))}.",
        )
    return dataclasses.replace(boost, field=path), kind


def check_depth(arguments: SearchArguments) -> None:
    """A UsageError for a page behind the depth to which a native fusion ranks."""
    if arguments.native and arguments.page * arguments.size > arguments.depth:
        raise UsageError(
            f"Page {arguments.page} of size {arguments.size} ends beyond k = {arguments.depth}, the depth to which the "
            f"fusion {arguments.fusion} ranks.",
            hint="Raise k, which must stay the same on all pages, or use the fusion saturation.",
        )
