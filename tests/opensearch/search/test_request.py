"""What ProductSearch returns from a real node, against computations that share nothing with its request bodies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from clipita.opensearch.search.results import SearchPage

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration

WEIGHT, PIVOT, K = 0.6, 1.5, 40
TEXT = "cutting boards"


def fused(live: Live, text: str, among: set[str] | None = None, k: int = K) -> dict[str, float]:
    """The documented formula, in numpy, over raw BM25 scores and stored vectors."""
    scores: dict[str, float] = defaultdict(float)
    for name, score in live.bm25(text).items():
        if among is None or name in among:
            scores[name] += (1 - WEIGHT) * score / (score + PIVOT)
    for name, cosine in live.nearest(text, k, among).items():
        scores[name] += WEIGHT * max(0.0, cosine)
    return dict(scores)


def ordered(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda name: (-round(scores[name], 6), name))


def assert_agrees(page: SearchPage, expected: dict[str, float]) -> None:
    assert page.total == len(expected)
    assert {hit.id: hit.score for hit in page.hits} == pytest.approx(expected, abs=2e-5)
    scores = [hit.score for hit in page.hits]
    assert scores == sorted(scores, reverse=True)


def test_hybrid_is_the_documented_formula(live: Live) -> None:
    page = live.search(TEXT, mode="hybrid", weight=WEIGHT, pivot=PIVOT, k=K, size=K, page=1)
    rest = live.search(TEXT, mode="hybrid", weight=WEIGHT, pivot=PIVOT, k=K, size=K, page=2)
    expected = fused(live, TEXT)
    assert 2 * K > len(expected) > K
    whole = SearchPage(TEXT, page.hits + rest.hits, page.total, {}, 0, "hybrid", 1, 2 * K)
    assert_agrees(whole, expected)
    assert any(hit.id not in live.bm25(TEXT) for hit in whole.hits)


def test_vector_is_one_plus_cosine(live: Live) -> None:
    page = live.search(TEXT, mode="vector", k=K, size=K)
    assert_agrees(page, {name: 1 + cosine for name, cosine in live.nearest(TEXT, K).items()})


def test_lexical_is_bm25(live: Live) -> None:
    page = live.search(TEXT, mode="lexical", size=200)
    expected = live.bm25(TEXT)
    assert expected
    assert_agrees(page, expected)


def test_several_fields_count_with_the_best_and_their_boost(live: Live) -> None:
    fields = ("title^3", "attributes_text")
    page = live.search("red plates", mode="lexical", size=250, fields=fields, understand=False)
    title, attributes = live.bm25("red plates"), live.bm25("red plates", ("attributes_text",))
    expected = {
        name: max(3 * title.get(name, 0.0), attributes.get(name, 0.0)) for name in title.keys() | attributes.keys()
    }
    assert set(attributes) - set(title)
    assert_agrees(page, expected)


@pytest.mark.parametrize(("weight", "mode"), [(0.0, "lexical"), (1.0, "vector")])
def test_a_weight_at_its_end_orders_like_one_half_alone(live: Live, weight: float, mode: Any) -> None:
    both = live.search(TEXT, weight=weight, size=20, k=300)
    alone = live.search(TEXT, mode=mode, size=20, k=300)
    assert alone.hits
    assert [hit.id for hit in both.hits[: len(alone.hits)]] == [hit.id for hit in alone.hits]


FILTERS: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
    ({"brand": "Acme"}, lambda source: source.get("brand") == "Acme"),
    ({"brand": ["Acme", "Globex"]}, lambda source: source.get("brand") in ("Acme", "Globex")),
    ({"colour": "red"}, lambda source: source.get("attributes", {}).get("colour") == "red"),
    ({"price": {"gte": 20, "lt": 60}}, lambda source: 20 <= source.get("price", 0) < 60),
    ({"price": {"exists": False}}, lambda source: "price" not in source),
    ({"price": {"exists": True}}, lambda source: "price" in source),
    (
        {"title": {"match": "PLATES, new"}},
        lambda source: {"new", "plate"} <= {word.rstrip("s") for word in str(source.get("title")).lower().split()},
    ),
    ({"category_path": "Home"}, lambda source: "Home" in source.get("category_path", ())),
    (
        {"brand": "Acme", "size": ["S", "M"], "price": {"lte": 70}},
        lambda source: (
            source.get("brand") == "Acme"
            and source.get("attributes", {}).get("size") in ("S", "M")
            and source.get("price", 1e9) <= 70
        ),
    ),
]


@pytest.mark.parametrize(("filters", "keeps"), FILTERS, ids=[str(filters) for filters, _ in FILTERS])
def test_filters_reach_both_halves(live: Live, filters: Any, keeps: Callable[[dict[str, Any]], bool]) -> None:
    among = {name for name, source in live.documents.items() if keeps(source)}
    assert among
    page = live.search(TEXT, filters=filters, weight=WEIGHT, pivot=PIVOT, k=300, size=300)
    # The neighbours are searched among what passes: with k = 300 each product that passes is one.
    assert {hit.id for hit in page.hits} == among
    assert_agrees(page, fused(live, TEXT, among, k=300))
    lexical = live.search(TEXT, mode="lexical", filters=filters, size=300)
    assert {hit.id for hit in lexical.hits} == among & set(live.bm25(TEXT))


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_facets_count_all_that_match(live: Live, mode: Any) -> None:
    page = live.search("fine plates", mode=mode, facets=["brand", "colour", "price"], k=60, size=5, facet_size=300)
    deep = live.search("fine plates", mode=mode, k=60, size=60, page=1)
    more = live.search("fine plates", mode=mode, k=60, size=60, page=2)
    sources = [hit.source for hit in deep.hits + more.hits]
    assert page.total == len(sources) > 20
    assert list(page.facets) == ["brand", "colour", "price"]
    for facet, values in {
        "brand": [source.get("brand") for source in sources],
        "colour": [source.get("attributes", {}).get("colour") for source in sources],
        "price": [source.get("price") for source in sources],
    }.items():
        counted = {entry.value: entry.count for entry in page.facets[facet]}
        assert counted == Counter(value for value in values if value is not None)
        counts = [entry.count for entry in page.facets[facet]]
        assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_pages_join_to_one_deep_request(live: Live, mode: Any) -> None:
    deep = live.search("summer gift plates", mode=mode, k=200, size=200)
    paged: list[tuple[str, float]] = []
    for number in range(1, 200 // 7 + 2):
        page = live.search("summer gift plates", mode=mode, k=200, size=7, page=number)
        assert page.total == deep.total
        paged += [(hit.id, hit.score) for hit in page.hits]
    assert paged[:200] == [(hit.id, hit.score) for hit in deep.hits]
    assert len({name for name, _ in paged}) == len(paged)


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_ties_stand_by_id(live: Live, mode: Any) -> None:
    page = live.search("identical twin", mode=mode, size=5)
    assert [hit.id for hit in page.hits] == ["tie-1", "tie-2", "tie-3", "tie-4", "tie-5"]
    assert len({hit.score for hit in page.hits}) == 1


def test_a_page_beyond_the_end_is_empty_and_keeps_the_total(live: Live) -> None:
    first = live.search("identical twin", mode="lexical")
    page = live.search("identical twin", mode="lexical", page=50)
    assert page.hits == []
    assert page.total == first.total == 5


def test_rank_is_the_order_of_the_hits(live: Live) -> None:
    for mode in ("lexical", "vector", "hybrid"):
        page = live.search(TEXT, mode=mode, size=50, k=50)
        assert live.search.rank(TEXT, mode=mode, depth=50) == [hit.id for hit in page.hits]


def test_the_body_is_the_request(live: Live) -> None:
    arguments: dict[str, Any] = {"filters": {"brand": "Acme"}, "facets": ["colour"], "size": 9, "page": 2}
    answer = live.client.search(index="search-shop", body=live.search.body(TEXT, **arguments))
    page = live.search(TEXT, **arguments)
    assert [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]] == [(hit.id, hit.score) for hit in page.hits]


def test_hits_carry_the_shops_fields_and_not_ours(live: Live) -> None:
    page = live.search("Round Plates", size=200)
    by_id = {hit.id: hit for hit in page.hits}
    for name, hit in by_id.items():
        expected = {
            key: value for key, value in live.documents[name].items() if key not in ("clipita", "product_vector")
        }
        assert hit.source == expected
        assert hit.thumbnail is None
    pictured = live.search("Round Plates", size=200, thumbnails=True)
    assert {hit.id for hit in pictured.hits if hit.thumbnail} == {name for name in by_id if name.startswith("p0")}
