"""THE table of search options, and the checked arguments of one search. Nothing here is sent.

Each search option is described once: the call's keyword, the command's flag, the HTTP parameter, the OpenAPI schema and
the reference are made from this description. Options with configurable defaults are fields of `SearchConfig`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from clipita.config import FieldsConfig, SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.search.boosts import TYPES, Boost, TypedBoost
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.fusion import FUSIONS, Fusion
from clipita.option_table import Option, nearest, options

if TYPE_CHECKING:
    from clipita.opensearch.search.fields import FieldNames

Mode = Literal["lexical", "vector", "hybrid"]
FilterValue = str | int | float | bool | Sequence[Any] | Mapping[str, Any]
SortKey = tuple[str, Literal["asc", "desc"]]

SCORE = "_score"
MAX_WINDOW = 10_000
"""`index.max_result_window` and the k-NN plugin's largest k, both by default."""
MAX_VARIANTS = 100
"""`index.max_inner_result_window` by default."""

_CONFIGURED = options(SearchConfig)


class SearchOptions(TypedDict, total=False):
    """Options of one search; one that is left out, or None, has the configured value.

    Field names are the shop's own: an attribute goes by its name.
    """

    category: Annotated[
        str | Sequence[str] | None,
        Option(
            "A category of the index's tree, by path (A > B > C) or name: its stored vector is used and no model is "
            "needed. Its name is the query unless one is given."
        ),
    ]
    mode: Annotated[Mode | None, _CONFIGURED["mode"]]
    fusion: Annotated[str | None, dataclasses.replace(_CONFIGURED["fusion"], choices=tuple(FUSIONS))]
    filters: Annotated[
        Mapping[str, FilterValue] | None,
        Option(
            'Field to a value, a list of values, {"gte": …, "lt": …} or {"exists": true}. A filter on a field that is '
            "also a facet narrows everything but that facet.",
            one="filter",
        ),
    ]
    raw_filters: Annotated[
        Sequence[Mapping[str, Any]] | None,
        Option("OpenSearch query clauses that must hold too, such as geo_distance.", inside=True),
    ]
    facets: Annotated[Sequence[str] | None, Option("Count the values of this field.", one="facet")]
    facet_size: Annotated[int | None, Option("Values per facet.", 10, ge=1)]
    sort: Annotated[
        str | Sequence[str] | None,
        Option("Order by a field (price), downwards (-price), or by relevance (_score).", one="sort"),
    ]
    size: Annotated[int | None, _CONFIGURED["size"]]
    page: Annotated[int | None, Option("Page, from 1.", 1, ge=1)]
    cursor: Annotated[
        str | None,
        Option("`cursor` of the page before; takes the place of `page` and goes beyond 10,000 hits."),
    ]
    snapshot: Annotated[
        str | None,
        Option(
            'How long the cluster keeps the index\'s present state for the next page, such as "2m": pages that follow '
            "by cursor do not see products that are written meanwhile.",
            inside=True,
        ),
    ]
    collapse: Annotated[str | None, Option("Show each value of this field once, by its best product.")]
    variants: Annotated[
        int | None, Option("With collapse, products of the group that come along.", 0, ge=0, le=MAX_VARIANTS)
    ]
    highlight: Annotated[
        bool | Sequence[str] | None,
        Option("`true`, or text fields, in which matching words are marked.", one="highlight"),
    ]
    boosts: Annotated[Sequence[Boost | str] | None, _CONFIGURED["boosts"]]
    min_score: Annotated[float | None, Option("Leave out hits below this score.", ge=0)]
    explain: Annotated[bool | None, Option("Say what each score is made of.", False)]
    fields: Annotated[Sequence[str] | None, _CONFIGURED["fields"]]
    weight: Annotated[float | None, _CONFIGURED["weight"]]
    pivot: Annotated[float | None, _CONFIGURED["pivot"]]
    k: Annotated[int | None, _CONFIGURED["k"]]
    rank_constant: Annotated[int | None, Option("Constant of the fusion rrf.", 60, ge=1, le=10_000)]
    thumbnails: Annotated[bool | None, Option("Send each product's small JPEG, in base64.", False)]


_HINTS = typing.get_type_hints(SearchOptions, include_extras=True)
SEARCH: Mapping[str, Option] = {
    name: dataclasses.replace(facts, name=name, hint=hint)
    for name, (hint, facts) in ((name, typing.get_args(annotated)) for name, annotated in _HINTS.items())
}
"""The table, by name."""


@dataclass(frozen=True)
class SearchArguments:
    """What one search asks for, with every field name as the index's mapping has it; options as in `SearchOptions`.

    Attributes:
        text: the query, or the category's name.
        vector: its unit vector, [dim]; required by the modes vector and hybrid.
        choices: filters on fields that are facets too. They narrow the hits and all facets but their own, so that a
            chosen brand leaves the other brands in sight.
        facets: name in the answer to field.
        after: sort values of the hit that the page follows, in place of a page number; see `cursor`.
        boosts: each with the type of its field.
        layout: where title, image and category path are in a product's document.
    """

    text: str
    vector: Sequence[float] | None = field(default=None, repr=False)
    mode: Mode = "hybrid"
    fusion: str = "saturation"
    filters: Mapping[str, FilterValue] = field(default_factory=dict)
    choices: Mapping[str, FilterValue] = field(default_factory=dict)
    raw_filters: Sequence[Mapping[str, Any]] = ()
    facets: Mapping[str, str] = field(default_factory=dict)
    facet_size: int = 10
    sort: Sequence[SortKey] = ()
    size: int = SearchConfig.size
    page: int = 1
    after: Sequence[Any] | None = None
    k: int = SearchConfig.k
    weight: float = SearchConfig.weight
    pivot: float = SearchConfig.pivot
    rank_constant: int = 60
    fields: Sequence[str] = SearchConfig.fields
    boosts: Sequence[TypedBoost] = ()
    min_score: float | None = None
    collapse: str | None = None
    variants: int = 0
    highlight: Sequence[str] = ()
    explain: bool = False
    thumbnails: bool = False
    layout: FieldsConfig = field(default_factory=FieldsConfig)

    def __post_init__(self) -> None:
        _check_query(self)
        _check_bounds(self)
        _check_page(self)
        if self.native:
            _check_native(self)

    @property
    def fused_by(self) -> Fusion:
        """The fusion as an object."""
        return FUSIONS[self.fusion]

    @property
    def native(self) -> bool:
        """Whether neural-search fuses two ranked lists."""
        return self.mode == "hybrid" and self.fused_by.native

    @cached_property
    def identity(self) -> str:
        """16 hex digits that two searches share when one can go on where the other stopped."""
        kept = [(entry.name, getattr(self, entry.name)) for entry in dataclasses.fields(self)]
        # Filters that find the same products have the same form.
        kept = [
            (name, sorted((path, _canonical(one)) for path, one in value.items()))
            if name in ("filters", "choices")
            else (name, value)
            for name, value in kept
            if name not in _OF_ONE_PAGE
        ]
        return hashlib.blake2b(repr(kept).encode(), digest_size=8).hexdigest()


_PLAIN = frozenset(entry.name for entry in dataclasses.fields(SearchArguments)) & SEARCH.keys()
_BOUNDS: list[tuple[str, float, float, float]] = [
    (
        name,
        -math.inf if entry.ge is None else entry.ge,
        -math.inf if entry.gt is None else entry.gt,
        math.inf if entry.le is None else entry.le,
    )
    for name, entry in SEARCH.items()
    if {int, float} & set(entry.types)
]
"""Name of each number, the least that it may be, what it must exceed, and the most."""
_OF_ONE_PAGE = {"vector", "page", "size", "after", "facets", "facet_size"}
_OF_ONE_PAGE |= {"variants", "highlight", "explain", "thumbnails", "layout"}


def given_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not None; a UsageError where an option of that name does not exist."""
    for name in given:
        if name not in SEARCH:
            raise UsageError(f"A search has no option {name!r}.", hint=nearest(name, SEARCH))
    return {name: value for name, value in given.items() if value is not None}


def _check_bounds(arguments: SearchArguments) -> None:
    for name, least, above, most in _BOUNDS:
        value = getattr(arguments, name)
        if value is not None and not (least <= value <= most and above < value < math.inf):
            raise UsageError(f"{name} is {value}.", hint=f"Expected: {SEARCH[name].expected}.")


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


def resolve(text: str, given: Mapping[str, Any], config: SearchConfig, names: FieldNames) -> SearchArguments:
    """Checked arguments, still without a vector; the options `given` come from `given_options`.

    Raises:
        UsageError: an unknown field, a field of the wrong kind, a number out of range, a cursor of another search.
    """
    settings = vars(config) | {name: value for name, value in given.items() if name in _PLAIN}
    filters = {names.exact(name): names.typed(name, value) for name, value in given.get("filters", {}).items()}
    facets = {name: names.exact(name) for name in given.get("facets", ())}
    native = settings["mode"] == "hybrid" and settings["fusion"] in FUSIONS and FUSIONS[settings["fusion"]].native
    # post_filter would change the scores of a native hybrid query, so its choices are filters like all others.
    choices = {} if native else {path: value for path, value in filters.items() if path in facets.values()}
    fields = names.searchable(settings["fields"])
    marked = given.get("highlight") or ()
    highlight = tuple(name.partition("^")[0] for name in fields) if marked is True else names.searchable(marked)
    sort = [(name if name == SCORE else names.exact(name), way) for name, way in _sort_keys(given.get("sort", ()))]
    settings |= {
        "facets": facets,
        "filters": {path: value for path, value in filters.items() if path not in choices},
        "choices": choices,
        "fields": fields,
        "layout": names.layout,
        "sort": tuple(sort),
        "boosts": tuple(_typed(boost, names) for boost in _boosts(settings["boosts"])),
        "highlight": highlight,
        "collapse": names.exact(given["collapse"]) if "collapse" in given else None,
    }
    arguments = SearchArguments(text=text, **settings)
    if "cursor" not in given:
        return arguments
    cursor = Cursor.decode(given["cursor"])
    if "page" in given:
        raise UsageError("Both a page and a cursor are given.", hint="Leave one out.")
    if cursor.identity != arguments.identity:
        raise UsageError(
            "This cursor belongs to another search.",
            hint="Repeat query, filters, sort and weights as they were, or start at the first page.",
        )
    return dataclasses.replace(arguments, after=cursor.after, page=cursor.page)


def _sort_keys(sort: str | Sequence[str]) -> list[SortKey]:
    keys: list[SortKey] = []
    for name in [sort] if isinstance(sort, str) else sort:
        bare = name.removeprefix("-")
        keys.append((bare, "desc" if bare == SCORE or name.startswith("-") else "asc"))
    return keys


def _boosts(boosts: Collection[Boost | str]) -> list[Boost]:
    return [Boost.parse(boost) if isinstance(boost, str) else boost for boost in boosts]


def _typed(boost: Boost, names: FieldNames) -> TypedBoost:
    path = names.exact(boost.field)
    kind = names.types[path]
    if kind not in TYPES[boost.kind]:
        raise UsageError(
            f"The boost {boost.name} cannot read a field of type {kind}.",
            hint=f"It needs one of: {', '.join(sorted(TYPES[boost.kind]))}.",
        )
    return dataclasses.replace(boost, field=path), kind


def _canonical(value: FilterValue) -> str:
    if isinstance(value, Mapping):
        return repr(sorted(value.items()))
    values = value if isinstance(value, Collection) and not isinstance(value, str) else [value]
    return repr(sorted({repr(one) for one in values}))


def _check_query(arguments: SearchArguments) -> None:
    if not arguments.text.strip():
        raise UsageError("The query is empty.", hint="Give a category name or a few words.")
    try:
        arguments.text.encode()
    except UnicodeEncodeError:
        raise UsageError("The query is not valid Unicode: it holds half a character.", hint="Send UTF-8.") from None
    for name in ("mode", "fusion"):
        value, choices = getattr(arguments, name), SEARCH[name].choices
        if value not in choices:
            raise UsageError(f"There is no {name} {value!r}.", hint=f"Expected: {SEARCH[name].expected}.")
    if not arguments.fields:
        raise UsageError("There is no field to search in.", hint='Set search.fields, for instance to ["title"].')
    if arguments.variants and arguments.collapse is None:
        raise UsageError("variants requires collapse.", hint="Name the field to collapse by.")


def _check_page(arguments: SearchArguments) -> None:
    last = arguments.size if arguments.after is not None else arguments.page * arguments.size
    if last > MAX_WINDOW:
        raise UsageError(
            f"Page {arguments.page} of size {arguments.size} ends at hit {last:,}; OpenSearch pages by number through "
            f"the first {MAX_WINDOW:,} only.",
            hint="Go on with the cursor of the page before (page.cursor), or narrow the search with a filter.",
        )
    if arguments.mode != "lexical" and arguments.size > arguments.k:
        raise UsageError(
            f"A page of {arguments.size} is larger than k = {arguments.k}, the number of nearest products considered.",
            hint=f"Raise k (search.k) to {arguments.size} or more, or ask for smaller pages.",
        )
    if arguments.after is not None and arguments.collapse is not None:
        raise UsageError("A collapsed search has no cursor: OpenSearch refuses it.", hint="Use page numbers.")


def _check_native(arguments: SearchArguments) -> None:
    """Refuse what the `hybrid` query cannot do, or does wrongly.

    As recorded with OpenSearch 3.5 and neural-search: collapse loses the best product of a group, a sort by score and
    another key is refused, and a hybrid query inside function_score returns raw sums.
    """
    for name in ("collapse", "boosts", "explain", "cursor"):
        if getattr(arguments, "after" if name == "cursor" else name):
            raise UsageError(f"The fusion {arguments.fusion} offers no {name}.", hint="The fusion saturation does.")
    if any(name == SCORE for name, _ in arguments.sort):
        raise UsageError(
            f"The fusion {arguments.fusion} sorts by the score alone or by fields alone.",
            hint="Leave the score out of sort, or use the fusion saturation.",
        )
    if arguments.page * arguments.size > arguments.k:
        raise UsageError(
            f"Page {arguments.page} of size {arguments.size} ends beyond k = {arguments.k}, the depth to which the "
            f"fusion {arguments.fusion} ranks.",
            hint="Raise k, which must stay the same on all pages, or use the fusion saturation.",
        )
