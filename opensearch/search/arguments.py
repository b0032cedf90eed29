"""What a search asks for, checked before anything is sent."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_args

from clipita.config import FieldsConfig
from clipita.errors import UsageError
from clipita.opensearch.search.boosts import TypedBoost

Mode = Literal["lexical", "vector", "hybrid"]
Fusion = Literal["saturation", "min_max", "rrf"]
FilterValue = str | int | float | bool | Sequence[Any] | Mapping[str, Any]
SortKey = tuple[str, Literal["asc", "desc"]]

SCORE = "_score"
MAX_WINDOW = 10_000
"""`index.max_result_window` and the k-NN plugin's largest k, both 10,000 as shipped."""
MAX_VARIANTS = 100
"""`index.max_inner_result_window` as shipped."""


@dataclass(frozen=True)
class SearchArguments:
    """What one search asks for, with every field name as the index's mapping has it.

    Attributes:
        text: the query, or the category's name.
        vector: its unit vector, [dim]; needed by the modes vector and hybrid.
        mode: `lexical` (BM25), `vector` (k-NN) or `hybrid` (both, fused).
        fusion: how the mode hybrid makes one score of two; `min_max` and `rrf` need the neural-search plugin.
        filters: field to a value (equal), a list (any of them), {"gte": …, "lt": …} or {"exists": true|false}.
        choices: filters on fields that are facets too. They narrow the hits and all facets but their own, so that a
            chosen brand leaves the other brands in sight.
        raw_filters: OpenSearch query clauses that must hold too, for instance a geo_distance.
        facets: name in the answer to field.
        facet_size: values a facet.
        sort: fields to order by in place of the score; ties are broken by the id.
        size: hits a page.
        page: 1-based.
        after: sort values of the hit that the page follows, in place of a page number; see `cursor`.
        k: neighbours that a shard contributes; the same on every page, so that pages fit together.
        weight: share of the vector part, 0 to 1.
        pivot: the BM25 score that counts one half; above 0.
        rank_constant: of rrf, 1 to 10,000.
        fields: text fields of the lexical part, each with an optional boost (`title^3`).
        boosts: business signals that multiply the score, each with the type of its field.
        min_score: hits below are left out, of total and facets too.
        collapse: field of which each value is shown once, by its best product; for variants of one style.
        variants: products of a collapsed group that come with its hit.
        highlight: text fields whose matching words are marked.
        explain: whether each hit says what its score is made of.
        thumbnails: whether hits carry their thumbnail.
        by_client: `min_max` and `rrf` are computed here, see `client_fusion`.
        layout: where title, image and category path lie in a product's document.
    """

    text: str
    vector: Sequence[float] | None = field(default=None, repr=False)
    mode: Mode = "hybrid"
    fusion: Fusion = "saturation"
    filters: Mapping[str, FilterValue] = field(default_factory=dict)
    choices: Mapping[str, FilterValue] = field(default_factory=dict)
    raw_filters: Sequence[Mapping[str, Any]] = ()
    facets: Mapping[str, str] = field(default_factory=dict)
    facet_size: int = 10
    sort: Sequence[SortKey] = ()
    size: int = 24
    page: int = 1
    after: Sequence[Any] | None = None
    k: int = 400
    weight: float = 0.8
    pivot: float = 10.0
    rank_constant: int = 60
    fields: Sequence[str] = ("title",)
    boosts: Sequence[TypedBoost] = ()
    min_score: float | None = None
    collapse: str | None = None
    variants: int = 0
    highlight: Sequence[str] = ()
    explain: bool = False
    thumbnails: bool = False
    by_client: bool = False
    layout: FieldsConfig = field(default_factory=FieldsConfig)

    def __post_init__(self) -> None:
        _check_query(self)
        _check_numbers(self)
        _check_page(self)
        if self.native:
            _check_native(self)

    @property
    def native(self) -> bool:
        """Whether two ranked lists are fused, by the neural-search plugin or in its place, instead of two scores."""
        return self.mode == "hybrid" and self.fusion != "saturation"

    @cached_property
    def identity(self) -> str:
        """16 hex digits that two searches share when one can go on where the other stopped."""
        lasting = [(entry.name, _written(self, entry.name)) for entry in fields(self) if entry.name not in _PASSING]
        return hashlib.blake2b(repr(lasting).encode(), digest_size=8).hexdigest()


_PASSING = frozenset(
    (
        "vector",
        "page",
        "size",
        "after",
        "facets",
        "facet_size",
        "variants",
        "highlight",
        "explain",
        "thumbnails",
        "layout",
    )
)


def _written(arguments: SearchArguments, name: str) -> Any:
    """A field's value as `identity` takes it: filters that find the same products in one form."""
    value = getattr(arguments, name)
    if name not in ("filters", "choices"):
        return value
    return sorted((path, _wanted(one)) for path, one in value.items())


def _wanted(value: FilterValue) -> str:
    if isinstance(value, Mapping):
        return repr(sorted(value.items()))
    values = list(value) if isinstance(value, Collection) and not isinstance(value, str) else [value]
    return repr(sorted({repr(one) for one in values}))


def _check_query(arguments: SearchArguments) -> None:
    if not arguments.text.strip():
        raise UsageError("The query is empty.", hint="Give a category name or a few words.")
    try:
        arguments.text.encode()
    except UnicodeEncodeError:
        raise UsageError("The query is no proper text: it holds half a character.", hint="Send it as UTF-8.") from None
    for name, value, known in (
        ("mode", arguments.mode, get_args(Mode)),
        ("fusion", arguments.fusion, get_args(Fusion)),
    ):
        if value not in known:
            raise UsageError(f"There is no {name} {value!r}.", hint=f"Use one of: {', '.join(known)}.")
    if not arguments.fields:
        raise UsageError("There is no field to search in.", hint='Set search.fields, for instance to ["title"].')


def _check_numbers(arguments: SearchArguments) -> None:
    if not 0 <= arguments.weight <= 1:
        raise UsageError(f"The weight is {arguments.weight}.", hint="Use 0 (BM25 alone) to 1 (the vector alone).")
    if not 0 < arguments.pivot < math.inf:
        raise UsageError(f"The pivot is {arguments.pivot}.", hint="Use a number above 0.")
    if not 1 <= arguments.k <= MAX_WINDOW:
        raise UsageError(f"k is {arguments.k}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
    if not 1 <= arguments.rank_constant <= MAX_WINDOW:
        raise UsageError(f"The rank constant is {arguments.rank_constant}.", hint="Use 1 to 10,000; 60 is usual.")
    if not 0 <= arguments.variants <= MAX_VARIANTS:
        raise UsageError(f"{arguments.variants} variants a group are asked for.", hint=f"Use 0 to {MAX_VARIANTS}.")
    if arguments.variants and arguments.collapse is None:
        raise UsageError("Variants are asked for, but nothing is collapsed.", hint="Name the field with collapse.")
    if arguments.facet_size < 1:
        raise UsageError(f"The facet size is {arguments.facet_size}.", hint="Use 1 or more.")
    if arguments.min_score is not None and not 0 <= arguments.min_score < math.inf:
        raise UsageError(f"The minimum score is {arguments.min_score}.", hint="Use a number from 0.")


def _check_page(arguments: SearchArguments) -> None:
    if arguments.page < 1 or arguments.size < 0:
        raise UsageError(f"Page {arguments.page} of size {arguments.size}.", hint="Pages count from 1, sizes from 0.")
    last = arguments.size if arguments.after is not None else arguments.page * arguments.size
    if last > MAX_WINDOW:
        raise UsageError(
            f"Page {arguments.page} of size {arguments.size} ends at hit {last:,}; OpenSearch pages by number through "
            f"the first {MAX_WINDOW:,} only.",
            hint="Go on with the cursor of the page before (page.cursor), or narrow the search with a filter.",
        )
    if arguments.mode != "lexical" and arguments.size > arguments.k:
        raise UsageError(
            f"A page of {arguments.size} is larger than k = {arguments.k}, the number of nearest products looked at.",
            hint=f"Raise k (search.k) to {arguments.size} or more, or ask for smaller pages.",
        )
    if arguments.after is not None and arguments.collapse is not None:
        raise UsageError("A collapsed search has no cursor: OpenSearch refuses it.", hint="Use page numbers.")


def _check_native(arguments: SearchArguments) -> None:
    """What the `hybrid` query cannot do, or does wrongly.

    The recorded answers of OpenSearch 3.5 with neural-search: collapse loses the best product of a group, a sort by
    score and another key is refused, and a hybrid query inside function_score returns raw sums.
    """
    for name, asked in (
        ("collapse", arguments.collapse),
        ("boosts", arguments.boosts),
        ("explain", arguments.explain),
        ("cursor", arguments.after),
    ):
        if asked:
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
