"""Sorting, choices, cursors, variants, marks, boosts, explanations and category pages on a real node."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipita.errors import QueryError, UsageError
from clipita.opensearch import Hit, SearchPage
from clipita.opensearch.search.boosts import Boost
from clipita.opensearch.search.client import ProductSearch

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration

TEXT = "square plates"
MODES = ["lexical", "vector", "hybrid"]


def ids(page: SearchPage) -> list[str]:
    return [hit.id for hit in page.hits]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sort", ["price", "-price", ["brand", "-price"], ["colour", "_score"]])
def test_sorting(live: Live, mode: Any, sort: Any) -> None:
    page = live.search(TEXT, mode=mode, sort=sort, size=250, k=250)
    unsorted = live.search(TEXT, mode=mode, size=250, k=250)
    assert {hit.id: hit.score for hit in page.hits} == {hit.id: hit.score for hit in unsorted.hits}

    def key(hit: Hit) -> list[Any]:
        parts: list[Any] = []
        for name in [sort] if isinstance(sort, str) else sort:
            bare = name.removeprefix("-")
            value = hit.source.get("attributes", {}).get(bare, hit.source.get(bare))
            if bare == "_score":
                parts.append(-(hit.score or 0))
            elif value is None:
                parts.append((1, 0))
            else:
                parts.append((0, -value if name.startswith("-") else value))
        return [*parts, hit.id]

    assert ids(page) == [hit.id for hit in sorted(unsorted.hits, key=key)]


@pytest.mark.parametrize("mode", MODES)
def test_a_choice_leaves_its_own_facet_whole(live: Live, mode: Any) -> None:
    """Each facet counts what the search finds without that facet's choice, the chosen value exactly what is found."""
    filters: dict[str, Any] = {"brand": ["Acme"], "colour": ["red", "blue"], "price": {"lt": 90}}
    options: dict[str, Any] = {"mode": mode, "k": 60, "facet_size": 50}
    page = live.search(TEXT, filters=filters, facets=["brand", "colour", "size"], size=60, **options)

    def found(**chosen: Any) -> dict[str, dict[str, Any]]:
        kept = {name: value for name, value in filters.items() if name not in chosen} | {
            name: value for name, value in chosen.items() if value is not None
        }
        hits = live.search(TEXT, filters=kept, size=60, **options)
        more = live.search(TEXT, filters=kept, size=60, page=2, **options)
        return {hit.id: {**hit.source.get("attributes", {}), **hit.source} for hit in hits.hits + more.hits}

    chosen = found()
    assert page.total == len(chosen) > 0
    assert set(ids(page)) == set(chosen)
    for facet in ("brand", "colour"):
        union = chosen | found(**{facet: None})
        counted = {entry.value: entry.count for entry in page.facets[facet]}
        assert counted == Counter(source[facet] for source in union.values() if facet in source)
        assert len(counted) > len(filters[facet])
        for entry in page.facets[facet]:
            assert entry.selected == (entry.value in filters[facet])
    assert {entry.value: entry.count for entry in page.facets["size"]} == Counter(
        source["size"] for source in chosen.values()
    )
    assert sum(entry.count for entry in page.facets["brand"] if entry.selected) == page.total


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sort", [None, "-price", "brand"])
def test_cursors_go_through_everything_once(live: Live, mode: Any, sort: Any) -> None:
    options: dict[str, Any] = {"mode": mode, "sort": sort, "k": 250, "filters": {"brand": ["Acme", "Globex", "Twin"]}}
    whole = live.search(TEXT, size=250, **options)
    walked: list[str] = []
    page = live.search(TEXT, size=9, **options)
    for number in range(1, 50):
        assert page.page == number
        assert page.total == whole.total
        walked += ids(page)
        if page.cursor is None:
            break
        page = live.search(TEXT, size=9, cursor=page.cursor, **options)
    assert walked == ids(whole)


def test_a_snapshot_does_not_see_what_is_written_meanwhile(live: Live) -> None:
    first = live.search("identical twin", mode="lexical", size=3, snapshot="1m")
    assert first.cursor is not None
    new = {"product_id": "tie-0", "title": "identical twin", "brand": "Twin"}
    live.client.index(index="search-shop", id="tie-4a", body={**new, "product_id": "tie-4a"}, refresh=True)
    try:
        rest = live.search("identical twin", mode="lexical", size=3, cursor=first.cursor)
        assert ids(first) + ids(rest) == ["tie-1", "tie-2", "tie-3", "tie-4", "tie-5"]
        assert live.search("identical twin", mode="lexical").total == 6
        assert rest.cursor is None
        with pytest.raises(UsageError, match="snapshot that this cursor reads is gone"):
            live.search("identical twin", mode="lexical", size=3, cursor=first.cursor)
    finally:
        live.client.delete(index="search-shop", id="tie-4a", refresh=True)


def test_a_cursor_belongs_to_its_search(live: Live) -> None:
    page = live.search(TEXT, size=5)
    assert page.cursor is not None
    assert set(page.cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    for other in ({"filters": {"brand": "Acme"}}, {"sort": "price"}, {"weight": 0.1}, {"mode": "lexical"}):
        with pytest.raises(UsageError, match="belongs to another search"):
            live.search(TEXT, cursor=page.cursor, **other)  # type: ignore[arg-type]
    for broken in (page.cursor[:-5], "x", "", "e30", page.cursor[::-1]):
        with pytest.raises(UsageError, match="not a cursor"):
            live.search(TEXT, cursor=broken)
    with pytest.raises(UsageError, match="Both a page and a cursor"):
        live.search(TEXT, cursor=page.cursor, page=2)


def test_collapse_shows_the_best_of_each_group(live: Live) -> None:
    whole = live.search(TEXT, size=250, k=250)
    page = live.search(TEXT, size=50, k=250, collapse="brand", variants=2)
    best: dict[Any, list[Hit]] = {}
    for hit in whole.hits:
        best.setdefault(hit.source.get("brand"), []).append(hit)
    assert ids(page) == [hits[0].id for hits in best.values()]
    assert page.groups == len(best) > 4
    assert page.total == whole.total
    for hit in page.hits:
        group = best[hit.source.get("brand")]
        assert [variant.id for variant in hit.variants] == [variant.id for variant in group[:2]]
        assert hit.group_size == len(group)
    assert f"{len(best[None])} products have no brand and are shown as one." in page.remarks
    two = live.search(TEXT, size=2, page=2, k=250, collapse="brand")
    assert ids(two) == ids(page)[2:4]
    assert two.cursor is None


def test_marks_are_safe_html(live: Live) -> None:
    page = live.search("script plate", highlight=True, size=200)
    by_id = {hit.id: hit for hit in page.hits}
    marked = by_id["x-script"].highlights["title"]
    assert "&lt;<em>script</em>&gt;" in marked
    assert marked.endswith("<em>plate</em>")
    assert marked.replace("<em>", "").replace("</em>", "").count("<") == 0
    assert {hit.id for hit in page.hits if hit.highlights} == set(live.bm25("script plate")) & set(by_id)
    attributes = live.search("red", mode="lexical", fields=("attributes_text",), highlight=["attributes_text"])
    assert all("<em>red</em>" in hit.highlights["attributes_text"] for hit in attributes.hits)


def midnight() -> float:
    return datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def age(day: str) -> float:
    return (midnight() - datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()) / 86400


BOOSTS: list[tuple[Boost | str, dict[str, float]]] = [
    (Boost("popularity", "sales", 0.5, half=100), {"x-sold": 1 + 0.5 * 0.75, "x-new": 1.0, "x-odd": 1.0}),
    ("stock:in_stock:0.3", {"x-sold": 1.3, "x-new": 1.0, "x-odd": 1.0}),
    ("stock:in_stock:-0.9", {"x-sold": 0.1, "x-new": 1.0}),
    ("margin:gain:0.2:0.2:0.6", {"x-sold": 1.1, "x-new": 1.2, "x-odd": 1.0}),
    (
        Boost("recency", "added", 0.4, half_life=200),
        {"x-new": 1 + 0.4 * 0.5 ** (age("2026-01-01") / 200), "x-odd": 1.0, "x-sold": 1.0},
    ),
    (
        Boost("recency", "stamp", 0.4, half_life=900),
        {"x-odd": 1 + 0.4 * 0.5 ** ((midnight() - 1.7e9) / 86400 / 900), "x-new": 1.0},
    ),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("boost", "factors"), BOOSTS, ids=[str(boost) for boost, _ in BOOSTS])
def test_a_boost_multiplies_the_score(live: Live, mode: Any, boost: Boost | str, factors: dict[str, float]) -> None:
    plain = {hit.id: hit.score or 0.0 for hit in live.search("plates", mode=mode, size=250, k=250).hits}
    if mode == "vector":
        plain = {name: max(0.0, score - 1) for name, score in plain.items()}
    page = live.search("plates", mode=mode, size=250, k=250, boosts=[boost])
    assert {hit.id: hit.score for hit in page.hits} == pytest.approx(
        {name: score * factors.get(name, 1.0) for name, score in plain.items()}, rel=1e-4, abs=1e-6
    )
    scores = [hit.score or 0.0 for hit in page.hits]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("boost", "said"),
    [
        ("sales:3", "is not a boost"),
        ("popularity:sales:much", "is not a boost"),
        ("popularity:sales:1:2:3", "number too many"),
        ("popularity:brand:0.5", "cannot read a field of type keyword"),
        ("popularity:turnover:0.5", "no field turnover"),
        ("stock:in_stock:-1", "weight -1.0"),
        ("stock:in_stock:nan", "weight nan"),
        ("margin:gain:0.1:5:2", "rises from 5.0 to 2.0"),
    ],
)
def test_boosts_that_cannot_be(live: Live, boost: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        live.search("plates", boosts=[boost])


@pytest.mark.parametrize("mode", MODES)
def test_a_minimum_score_cuts_hits_total_and_facets(live: Live, mode: Any) -> None:
    whole = live.search(TEXT, mode=mode, size=250, k=250)
    least = whole.hits[len(whole.hits) // 2].score
    page = live.search(TEXT, mode=mode, size=250, k=250, min_score=least, facets=["brand"])
    kept = [hit for hit in whole.hits if (hit.score or 0) >= (least or 0)]
    assert ids(page) == [hit.id for hit in kept]
    assert page.total == len(kept) < whole.total
    assert {entry.value: entry.count for entry in page.facets["brand"]} == Counter(
        hit.source["brand"] for hit in kept if "brand" in hit.source
    )
    with pytest.raises(UsageError, match="min_score is nan"):
        live.search(TEXT, min_score=math.nan)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("boosts", [(), ("popularity:sales:0.5:100", "stock:in_stock:0.3")])
def test_an_explanation_adds_up(live: Live, mode: Any, boosts: tuple[str, ...]) -> None:
    options: dict[str, Any] = {"mode": mode, "boosts": boosts, "size": 250, "k": 250}
    page = live.search("plates", explain=True, **options)
    assert [(hit.id, hit.score) for hit in page.hits] == [
        (hit.id, hit.score) for hit in live.search("plates", **options).hits
    ]
    bm25, cosines = live.bm25("plates"), live.nearest("plates", 250)
    for hit in page.hits:
        told = hit.explanation
        assert told is not None
        assert (told.lexical + told.vector) * math.prod(told.boosts.values()) == pytest.approx(hit.score, rel=1e-4)
        assert told.bm25 == pytest.approx(None if mode == "vector" else bm25.get(hit.id))
        if mode != "lexical":
            assert told.cosine == pytest.approx(cosines.get(hit.id), abs=1e-4)
        assert len(told.boosts) == len(boosts)
    by_id = {hit.id: hit.explanation for hit in page.hits}
    if boosts:
        assert by_id["x-sold"].boosts == pytest.approx(  # type: ignore[union-attr]
            {"popularity(sales)": 1.375, "stock(in_stock)": 1.3}
        )


def test_a_category_needs_no_model(live: Live) -> None:
    modelless = ProductSearch(live.client, "search-shop")
    with_model = live.search(category="Round Plates", size=50)
    for wanted in ("Round Plates", "round plates", "Home > Plates > Round Plates", ("Home", "Plates", "Round Plates")):
        page = modelless(category=wanted, size=50)
        assert page.query == "Round Plates"
        assert [hit.id for hit in page.hits] == ids(with_model)
        assert [hit.score for hit in page.hits] == pytest.approx([hit.score for hit in with_model.hits], abs=1e-5)
    vector = modelless.categories.find("Plates")
    assert vector is not None
    assert np.linalg.norm(vector.vector) == pytest.approx(1, abs=1e-5)
    mixed = modelless("cheap crockery", category="Plates")
    assert mixed.query == "cheap crockery"
    cosines = live.cosines("Plates")
    best = max(cosine for name, cosine in cosines.items() if "Plates" in live.documents[name].get("category_path", ()))
    assert mixed.hits[0].score == pytest.approx(0.8 * best, abs=1e-4)


def test_an_unknown_category_names_the_nearest(live: Live) -> None:
    with pytest.raises(UsageError, match=r"no category 'Rond Plate' .*Home > Plates > Round Plates"):
        live.search(category="Rond Plate")
    with pytest.raises(UsageError, match="free text"):
        live.search(category="xyzzy")
    with pytest.raises(UsageError, match="no category 'Toys > Round Plates'"):
        live.search(category=("Toys", "Round Plates"))


def test_raw_filters_reach_both_halves(live: Live) -> None:
    raw = {"prefix": {"product_id": "tie-"}}
    for mode in MODES:
        page = live.search("identical twin", mode=mode, raw_filters=[raw])  # type: ignore[arg-type]
        assert set(ids(page)) == {f"tie-{number}" for number in range(1, 6)}
    with pytest.raises(QueryError, match="unknown query"):
        live.search(TEXT, raw_filters=[{"nearby": {}}])


def test_a_notebook_shows_pictures(live: Live) -> None:
    shown = live.search("script plate", thumbnails=True, facets=["brand"])._repr_html_()
    assert shown.count("<img ") == shown.count("data:image/jpeg;base64,") > 5
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
