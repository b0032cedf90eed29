"""The result of a search: hits, facets, page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipita.catalogue.category_cells import path_parts, without_ancestors
from clipita.catalogue.product import CategoryPaths
from clipita.errors import ClusterVersionError, ProductError, QueryError
from clipita.opensearch.cluster.reads import value_at
from clipita.opensearch.index.attributes import key_of
from clipita.opensearch.index.index import ProductIndex
from clipita.opensearch.search.clauses.query import LEXICAL, VECTOR, bonus_names, words
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.options import Mode, SearchArguments
from clipita.opensearch.search.request import BOOST, GROUPS, UNGROUPED, VALUES, facet_paths
from clipita.opensearch.search.understanding.parse import Understood
from clipita.opensearch.search.understanding.quantities import whole


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a hit's score is made of: (lexical + vector + understood) times every boost.

    Attributes:
        bm25: the raw BM25 score; None where no word matches.
        lexical: what it adds.
        cosine: between query and product; None where the product is not among the nearest.
        vector: what it adds.
        boosts: factor by boost.
        understood: what a value that the query names adds, by field.
    """

    bm25: float | None
    lexical: float
    cosine: float | None
    vector: float
    boosts: Mapping[str, float]
    understood: Mapping[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """The sum and the factors in words."""
        bonuses = "".join(f" + {name} {bonus:.3f}" for name, bonus in self.understood.items())
        factors = "".join(f" × {factor:.2f} {name}" for name, factor in self.boosts.items())
        return f"words {self.lexical:.3f} + vector {self.vector:.3f}{bonuses}{factors}"


@dataclass(frozen=True, slots=True)
class Hit:
    """One product found.

    Attributes:
        id: the product's id.
        score: BM25 in the mode lexical, 1 + cosine in the mode vector (the cosine under boosts), the fused score in
            [0, 1] in the mode hybrid; times the boosts. None where a native fusion is sorted by a field.
        title: None where it has none.
        source: the shop's own fields.
        image: the document's image field, most often a URL, of several the main one; None where it is not a text.
        category_path: names from the root on; empty where the document has none. Of several paths the main one.
        category_paths: all of them.
        thumbnail: a JPEG in base64, if one was requested and exists.
        highlights: field to its text as HTML, matching words in <em>, all else escaped.
        explanation: if one was requested.
        variants: of a collapsed hit, the best of its group, itself included.
        group_size: of a collapsed hit with variants: how many match.
    """

    id: str
    score: float | None
    title: str | None
    source: Mapping[str, Any]
    image: str | None = None
    category_path: tuple[str, ...] = ()
    category_paths: CategoryPaths = ()
    thumbnail: str | None = field(default=None, repr=False)
    highlights: Mapping[str, str] = field(default_factory=dict)
    explanation: Explanation | None = None
    variants: tuple[Hit, ...] = ()
    group_size: int | None = None


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet and how many of the products found have it.

    Attributes:
        value: as the products have it.
        count: with a choice of this facet's field, what would be found without that choice.
        selected: whether a filter chooses it.
    """

    value: str | int | float | bool
    count: int
    selected: bool = False


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search.

    Attributes:
        query: what was searched.
        hits: best first.
        total: how many products the page holds over all its pages, exactly: on a category's page those with the
            category, else those above the query's threshold and those whose words match. In an index without fitted
            thresholds the vector adds the k nearest products of each shard.
        facets: values by facet, the most frequent first, counted over all that match.
        took_ms: the cluster's own time, milliseconds.
        mode: lexical, vector or hybrid.
        page: 1-based.
        size: hits requested.
        remarks: warnings about the request, in sentences.
        cursor: of the next page; None after the last one and where cursors are not supported.
        groups: of a collapsed search, how many groups there are; exact to about 40,000.
        understood: parts of the query that are conditions: values of fields, and ranges of numbers. `keep_words` with
            a part's text makes words of it again.
        threshold: the cosine from which on the vector places a product on the page; None where none was fitted.
        also: of a category's page, the first products from elsewhere that the model places there too, if requested.
        also_total: how many there are.
        nearest: paths of the categories nearest to the query, where nothing was found.
    """

    query: str
    hits: list[Hit]
    total: int
    facets: dict[str, list[FacetValue]]
    took_ms: int
    mode: Mode
    page: int
    size: int
    remarks: tuple[str, ...] = ()
    cursor: str | None = None
    groups: int | None = None
    understood: tuple[Understood, ...] = ()
    threshold: float | None = None
    also: tuple[Hit, ...] = ()
    also_total: int | None = None
    nearest: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The page as plain lists and dicts."""
        return dataclasses.asdict(self)

    def _repr_html_(self) -> str:
        """The hits with their images, for a notebook."""
        from clipita.opensearch.search.page_html import fragment

        return fragment(self)


def read_page(
    answer: Mapping[str, Any],
    arguments: SearchArguments,
    warnings: tuple[str, ...] = (),
    snapshot: tuple[str, str] | None = None,
    counted: Mapping[str, Any] | None = None,
    also: Mapping[str, Any] | None = None,
) -> SearchPage:
    """A `_search` answer as a page, which takes over the answer's parts.

    `counted` is the answer with total and aggregations, if that is another one, `also` that of the second list.
    """
    found = answer["hits"]["hits"]
    took = answer["took"] + sum(other["took"] for other in (counted, also) if other)
    counted = counted or answer
    if arguments.native:
        _check_fused(found, arguments)
    aggregations = counted.get("aggregations", {})
    groups, ungrouped = _counted(aggregations, GROUPS), _counted(aggregations, UNGROUPED)
    if ungrouped is not None and ungrouped > 1:
        warnings = (*warnings, f"{ungrouped:,} products have no {arguments.collapse} and are shown as one.")
    return SearchPage(
        query=arguments.text,
        hits=[_hit(hit, arguments) for hit in found],
        total=counted["hits"]["total"]["value"],
        facets={
            name: _facet(aggregations[key], path, arguments)
            for name, (key, path) in zip(arguments.facets, facet_paths(arguments).items(), strict=True)
        },
        took_ms=took,
        mode=arguments.mode,
        page=arguments.page,
        size=arguments.size,
        remarks=warnings,
        cursor=_next(found, arguments, snapshot),
        groups=None if groups is None else groups + bool(ungrouped),
        understood=tuple(part for part, _ in arguments.understood),
        threshold=arguments.threshold,
        also=() if also is None else tuple(_hit(hit, arguments) for hit in also["hits"]["hits"]),
        also_total=None if also is None else also["hits"]["total"]["value"],
    )


def remarks_on(arguments: SearchArguments, given: Mapping[str, Any], index: ProductIndex) -> tuple[str, ...]:
    """Warnings about a request to an index, in sentences; `given` are the options of the call."""
    remarks = []
    if "category" in given and not index.has_nodes:
        remarks.append(
            f"The documents of {index.name} do not list their categories, so the page holds the products that "
            f"are nearest to the category. Ingest the whole catalogue once more; nothing is encoded again."
        )
    if "category" in given and "members" not in given and arguments.members == "predicted":
        remarks.append(f"No product is labelled with {arguments.text} yet: its examples placed these here.")
    if arguments.also and arguments.threshold is None:
        remarks.append("No thresholds are stored, so nothing says which other products fit. Run: clipita ingest")
    text, cut = words(arguments)
    if cut and arguments.mode != "vector":
        remarks.append(f"The query is long: only its first {len(text)} characters were matched by words.")
    if arguments.native and arguments.min_score is not None:
        remarks.append(f"With a minimum score, total and facets of the fusion {arguments.fusion} may be too low.")
    return tuple(remarks)


def _check_fused(found: list[Mapping[str, Any]], arguments: SearchArguments) -> None:
    """Without an active pipeline the plugin answers with raw sums and marker rows, and no error."""
    if any(hit["_score"] is not None and hit["_score"] < 0 for hit in found):
        raise QueryError(
            f"The cluster did not fuse the scores by {arguments.fusion}: its answer holds marker rows.",
            hint="Check index.search.default_pipeline of the index, or use the fusion saturation.",
        )


def _next(found: list[Mapping[str, Any]], arguments: SearchArguments, snapshot: tuple[str, str] | None) -> str | None:
    offered = not arguments.native and arguments.collapse is None
    if not offered or not found or len(found) < arguments.size:
        return None
    return Cursor(tuple(found[-1]["sort"]), arguments.page + 1, arguments.place, snapshot).encode()


def _hit(hit: Mapping[str, Any], arguments: SearchArguments, *, variant: bool = False) -> Hit:
    # The answer was read for this page alone, so its parts are used without the cost of copies.
    source = hit["_source"]
    ours = source.pop("clipita", None)
    marked = hit.get("highlight") if arguments.highlight else None
    title, image = _at(source, arguments.layout.title), _at(source, arguments.layout.image)
    # Of several images the first is the main one.
    image = image[0] if isinstance(image, list) and image else image
    paths = _category_paths(source, arguments)
    group = hit.get("inner_hits", {}).get("variants", {}).get("hits") if arguments.variants else None
    return Hit(
        id=hit["_id"],
        score=hit["_score"],
        title=None if title is None else str(title),
        source=source,
        image=image if isinstance(image, str) else None,
        category_path=paths[0] if paths else (),
        category_paths=paths,
        thumbnail=None if ours is None else ours.get("thumbnail"),
        highlights={path: texts[0] for path, texts in marked.items()} if marked else {},
        explanation=_explanation(hit, arguments) if arguments.explain and not variant else None,
        variants=() if group is None else tuple(_hit(inner, arguments, variant=True) for inner in group["hits"]),
        group_size=None if group is None else group["total"]["value"],
    )


def _category_paths(source: Mapping[str, Any], arguments: SearchArguments) -> CategoryPaths:
    """Split as the readers do it, but without errors: a document with an odd path is still a hit."""
    layout = arguments.layout
    try:
        found = path_parts(_at(source, layout.category_path), layout)
    except ProductError:
        return ()
    return without_ancestors(
        [tuple(name for part in path if isinstance(part, str) and (name := part.strip())) for path in found]
    )


def _at(source: Mapping[str, Any], path: str) -> Any:
    # Most paths are one plain name.
    return source[path] if path in source else value_at(source, path)


def _explanation(hit: Mapping[str, Any], arguments: SearchArguments) -> Explanation:
    matched = hit.get("matched_queries", {})
    if isinstance(matched, list):
        raise ClusterVersionError("This cluster does not tell the scores of named queries.", hint="Upgrade it.")
    bm25, knn = matched.get(LEXICAL), matched.get(VECTOR)
    cosine = None if knn is None else knn - 1 if knn >= 1 else 1 - 1 / knn
    lexical, vector = bm25 or 0.0, knn or 0.0
    if arguments.mode == "hybrid":
        lexical = (1 - arguments.weight) * lexical / (lexical + arguments.pivot)
    if arguments.mode == "hybrid" or arguments.boosts:
        vector = (arguments.weight if arguments.mode == "hybrid" else 1.0) * max(0.0, vector - 1)
    fields = hit.get("fields", {})
    factors = {boost.name: float(fields[f"{BOOST}{number}"][0]) for number, (boost, _) in enumerate(arguments.boosts)}
    names = bonus_names(arguments)
    bonuses = {part.field: matched[names[path]] for part, path in arguments.understood if names.get(path) in matched}
    return Explanation(bm25, lexical, cosine, vector, factors, bonuses)


def _counted(aggregations: Mapping[str, Any], name: str) -> int | None:
    if name not in aggregations:
        return None
    aggregation = aggregations[name].get(VALUES, aggregations[name])
    return int(aggregation["value"] if "value" in aggregation else aggregation["doc_count"])


def _facet(aggregation: Mapping[str, Any], path: str, arguments: SearchArguments) -> list[FacetValue]:
    choice = arguments.choices.get(path, arguments.filters.get(path))
    chosen = {str(value) for value in (choice if isinstance(choice, list | tuple | set) else [choice])}
    buckets = aggregation.get(VALUES, aggregation)["buckets"]
    name = key_of(path)
    start = 0 if name is None else len(name) + 1
    values = [(_value(bucket)[start:] if start else _value(bucket), bucket["doc_count"]) for bucket in buckets]
    return [FacetValue(value, count, str(value) in chosen) for value, count in values]


def _value(bucket: Mapping[str, Any]) -> Any:
    if bucket.get("key_as_string") in {"true", "false"}:
        return bucket["key_as_string"] == "true"
    # Numbers are indexed as double: a year comes back as 2010.0.
    key = bucket["key"]
    return whole(key) if isinstance(key, float) else key
