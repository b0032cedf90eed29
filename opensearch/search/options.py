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
from typing import Annotated, Any, Literal, TypedDict

from clipita.config import FieldsConfig, SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.search.boosts import Boost, TypedBoost
from clipita.opensearch.search.clauses.given import check_clause
from clipita.opensearch.search.fusion import FUSIONS, Fusion
from clipita.opensearch.search.understanding.parse import Understood
from clipita.option_table import Option, nearest, options

Mode = Literal["lexical", "vector", "hybrid"]
Members = Literal["labelled", "predicted", "both"]
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
    members: Annotated[
        Members | None,
        Option(
            "Which products a category's page holds: those labelled with the category (the default where `category` is "
            "given), those that the model places there, or both.",
        ),
    ]
    also: Annotated[
        int | None,
        Option(
            "With a category, show up to so many products from elsewhere that the model places there too, as a second "
            "list with its own count.",
            0,
            ge=0,
            le=MAX_WINDOW,
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
    understand: Annotated[bool | None, _CONFIGURED["understand"]]
    strict: Annotated[bool | None, _CONFIGURED["strict"]]
    keep_words: Annotated[
        Sequence[str] | None, Option("A part of the query that stays words, even if it is a value.", one="keep_word")
    ]
    min_score: Annotated[float | None, Option("Leave out hits below this score.", ge=0)]
    explain: Annotated[bool | None, Option("Say what each score is made of.", False)]
    fields: Annotated[Sequence[str] | None, _CONFIGURED["fields"]]
    lexical: Annotated[Mapping[str, Any] | None, _CONFIGURED["lexical"]]
    weight: Annotated[float | None, _CONFIGURED["weight"]]
    pivot: Annotated[float | None, _CONFIGURED["pivot"]]
    precision: Annotated[float | None, _CONFIGURED["precision"]]
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
        respelled: the same with the shop's added names of categories replaced by the categories' own; None without any.
        vector: its unit vector, [dim]; required by the modes vector and hybrid.
        nodes: ids of the categories whose labelled products the page holds; empty where the label does not count.
        threshold: the cosine from which on the vector places a product on the page; None where the k nearest are.
        recognised: whether the query names a known category, so that words rank the page and add nothing to it.
        radial: whether the cluster finds all products above a threshold; else the nearest `MAX_WINDOW` are looked at.
        choices: filters on fields that are facets too. They narrow the hits and all facets but their own, so that a
            chosen brand leaves the other brands in sight.
        facets: name in the answer to field.
        after: sort values of the hit that the page follows, in place of a page number; see `cursor`.
        boosts: each with the type of its field.
        layout: where title, image and category path are in a product's document.
        understood: parts of the text that are conditions, each with its field's path.
        words: the text without these parts, empty where nothing is left; the vector has it where it `names_category`.
        index: name of the index whose fields, vectors and thresholds these arguments hold.
        asked: `identity` of what was asked, before the index's model and thresholds added to it.
        bm25_boost: makes the cluster's BM25 scores those of OpenSearch 3.
    """

    text: str
    vector: Sequence[float] | None = field(default=None, repr=False)
    nodes: tuple[str, ...] = ()
    members: Members = "predicted"
    threshold: float | None = None
    recognised: bool = False
    radial: bool = True
    also: int = 0
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
    weight: float = SearchConfig.weight_known
    pivot: float = SearchConfig.pivot
    precision: float = SearchConfig.precision
    rank_constant: int = 60
    fields: Sequence[str] = SearchConfig.fields
    lexical: Mapping[str, Any] | None = None
    boosts: Sequence[TypedBoost] = ()
    min_score: float | None = None
    collapse: str | None = None
    variants: int = 0
    highlight: Sequence[str] = ()
    explain: bool = False
    thumbnails: bool = False
    layout: FieldsConfig = field(default_factory=FieldsConfig)
    understand: bool = SearchConfig.understand
    strict: bool = SearchConfig.strict
    keep_words: Sequence[str] = ()
    understood: Sequence[tuple[Understood, str]] = ()
    words: str = ""
    names_category: bool = False
    respelled: str | None = None
    index: str = ""
    asked: str = ""
    bm25_boost: float = 1.0

    def __post_init__(self) -> None:
        _check_query(self)
        if self.lexical is not None:
            check_clause(self.lexical)
        _check_bounds(self)
        _check_page(self)
        if self.native:
            _check_native(self)

    @property
    def searched(self) -> str:
        """What BM25 searches."""
        return self.words or self.text

    @property
    def encoded(self) -> str:
        """What the model encodes.

        Beside the name of a category a value only leads away from it: "red" of "red kurta". Where nothing else is
        known, it may be what matters: "party" of "party wear".
        """
        return self.words if self.words and self.names_category else self.text

    @property
    def fused_by(self) -> Fusion:
        """The fusion as an object."""
        return FUSIONS[self.fusion]

    @property
    def native(self) -> bool:
        """Whether neural-search fuses two ranked lists."""
        return self.mode == "hybrid" and self.fused_by.native

    @property
    def labelled(self) -> bool:
        """Whether the page holds all products with a category."""
        return bool(self.nodes) and self.members != "predicted"

    @property
    def near(self) -> bool:
        """Whether the page holds products above a threshold."""
        set_by_label = bool(self.nodes) and self.members == "labelled"
        return self.threshold is not None and self.mode != "lexical" and not set_by_label

    @property
    def depth(self) -> int:
        """The k of k-NN clauses, and how deep a native fusion ranks."""
        return MAX_WINDOW if self.labelled or self.near else max(self.k, self.size)

    @cached_property
    def identity(self) -> str:
        """16 hex digits that two searches share when one can go on where the other stopped.

        An alias that moved meanwhile changes weight and thresholds, and refuses no visitor the next page.
        """
        if self.asked:
            return self.asked
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

    @property
    def place(self) -> str:
        """`identity`, and 8 hex digits of the index: both of a cursor must be these for its sort values to hold."""
        return self.identity + hashlib.blake2b(self.index.encode(), digest_size=4).hexdigest()


PLAIN = frozenset(entry.name for entry in dataclasses.fields(SearchArguments)) & SEARCH.keys()
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
OF_A_REQUEST = (
    "facets", "facet_size", "sort", "size", "page", "cursor", "snapshot", "collapse", "variants", "highlight",
    "min_score", "thumbnails", "also",
)  # fmt: skip
"""Options that a request carries beside its query."""
_OF_ONE_PAGE = {"index", "bm25_boost", "vector", "page", "size", "after", "facets", "facet_size", "also"}
_OF_ONE_PAGE |= {"variants", "highlight", "explain", "thumbnails", "layout"}
# These follow from the text.
_OF_ONE_PAGE |= {"understood", "words", "names_category", "respelled", "asked"}


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
    if arguments.members not in typing.get_args(Members):
        expected = SEARCH["members"].expected
        raise UsageError(f"There is no kind of members {arguments.members!r}.", hint=f"Expected: {expected}.")
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
