"""What a search gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipita.opensearch.query import Mode


@dataclass(frozen=True, slots=True)
class Hit:
    """One product found.

    Attributes:
        id: the product's id.
        score: BM25 in the mode lexical, 1 + cosine in the mode vector, the fused score in [0, 1] in the mode hybrid.
        title: None where it has none.
        source: the shop's own fields.
        thumbnail: a JPEG in base64, if one was asked for and is there.
    """

    id: str
    score: float
    title: str | None
    source: Mapping[str, Any]
    thumbnail: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet and how many of the products found have it."""

    value: str | int | float | bool
    count: int


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search.

    Attributes:
        hits: best first.
        total: how many products match, exactly. Words match as in any search; the vector part adds the k nearest
            products of each shard, so in the mode hybrid it is the union of both.
        facets: values by facet, the most frequent first, counted over all that match.
        took_ms: the cluster's own time, milliseconds.
        mode: lexical, vector or hybrid.
        page: 1-based.
        size: hits asked for.
        remarks: what was done to the request, in sentences.
    """

    hits: list[Hit]
    total: int
    facets: dict[str, list[FacetValue]]
    took_ms: int
    mode: Mode
    page: int
    size: int
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The page as plain lists and dicts."""
        return dataclasses.asdict(self)


def read_page(
    answer: Mapping[str, Any],
    mode: Mode,
    page: int,
    size: int,
    facets: Iterable[str] = (),
    remarks: tuple[str, ...] = (),
) -> SearchPage:
    """A `_search` answer as a page; the cluster gives facets in an order of its own, `facets` is the one asked for."""
    return SearchPage(
        hits=[_hit(hit) for hit in answer["hits"]["hits"]],
        total=answer["hits"]["total"]["value"],
        facets={name: _facet(answer["aggregations"][name]["buckets"]) for name in facets},
        took_ms=answer["took"],
        mode=mode,
        page=page,
        size=size,
        remarks=remarks,
    )


def _hit(hit: Mapping[str, Any]) -> Hit:
    source = dict(hit["_source"])
    ours = source.pop("clipita", {})
    return Hit(hit["_id"], hit["_score"], source.get("title"), source, ours.get("thumbnail"))


def _facet(buckets: list[dict[str, Any]]) -> list[FacetValue]:
    return [FacetValue(_value(bucket), bucket["doc_count"]) for bucket in buckets]


def _value(bucket: Mapping[str, Any]) -> str | int | float | bool:
    key = bucket["key"]
    text = bucket.get("key_as_string")
    if text in {"true", "false"}:
        return bool(text == "true")
    # Numbers are indexed as double: a year comes back as 2010.0.
    if isinstance(key, float) and key.is_integer():
        return int(key)
    found: str | int | float = key
    return found
