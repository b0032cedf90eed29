"""Searches whose words are values of fields, on a real node: bonus, filter, what is left, what the page says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opensearchpy import OpenSearch

from clipita.opensearch import AsyncProductSearch, ProductSearch, SearchPage
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.clauses.query import BONUS

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration

TEXT = "red round plates"


def said(page: SearchPage) -> list[tuple[str, str, str, bool]]:
    return [(part.text, part.field, part.value, part.strict) for part in page.understood]


def colours(live: Live, page: SearchPage) -> list[str]:
    return [live.documents[hit.id].get("attributes", {}).get("colour", "") for hit in page.hits]


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_products_with_a_named_value_come_first_and_no_product_is_lost(live: Live, mode: Any) -> None:
    rest = live.search("round plates", mode=mode, size=250, k=250, explain=True)
    page = live.search(TEXT, mode=mode, size=250, k=250, explain=True)
    assert said(page) == [("red", "colour", "red", False)]
    assert page.query == TEXT
    assert page.total == rest.total
    bonus = 20 * BONUS if mode == "lexical" else BONUS
    before = {hit.id: hit.score for hit in rest.hits}
    for hit, colour in zip(page.hits, colours(live, page), strict=True):
        gained = bonus if colour == "red" else 0.0
        assert hit.score == pytest.approx(before[hit.id] + gained, abs=1e-5)
        assert hit.explanation is not None
        assert hit.explanation.understood == ({"colour": pytest.approx(bonus)} if gained else {})
        assert ("colour" in hit.explanation.text()) is bool(gained)


def test_strict_leaves_the_others_out_and_counts_truly(live: Live) -> None:
    page = live.search(TEXT, strict=True, size=250, k=250, facets=["colour"])
    assert said(page) == [("red", "colour", "red", True)]
    assert set(colours(live, page)) == {"red"}
    assert page.total == len(page.hits) == page.facets["colour"][0].count


def test_values_of_one_field_are_alternatives(live: Live) -> None:
    page = live.search("red blue plates", strict=True, size=250, k=250)
    assert [part.value for part in page.understood] == ["red", "blue"]
    assert set(colours(live, page)) == {"red", "blue"}
    scores = {hit.id: hit.score for hit in live.search("plates", size=250, k=250).hits}
    for hit in live.search("red blue plates", size=250, k=250).hits:
        gained = BONUS * (live.documents[hit.id].get("attributes", {}).get("colour") in ("red", "blue"))
        assert hit.score == pytest.approx(scores[hit.id] + gained, abs=1e-5)


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_a_query_of_values_alone_finds_all_products_that_have_them(live: Live, mode: Any) -> None:
    page = live.search("red", mode=mode, size=250, k=250)
    assert said(page) == [("red", "colour", "red", False)]
    red = sum(source.get("attributes", {}).get("colour") == "red" for source in live.documents.values())
    found = colours(live, page)
    assert found.count("red") == red
    assert set(found[:red]) == {"red"}
    strict = live.search("red", mode=mode, strict=True, size=250, k=250, facets=["colour"])
    assert strict.total == strict.facets["colour"][0].count == red
    cheap = live.search("under 20", mode=mode, size=250, k=250)
    assert cheap.total == sum(source.get("price", 100) < 20 for source in live.documents.values())
    inside = live.search("red", category="Round Plates", mode=mode, size=250, k=250)
    assert said(inside) == [("red", "colour", "red", False)]
    options: Any = {"category": "Round Plates", "mode": mode, "size": 250, "k": 250}
    assert inside.total == live.search("red", understand=False, **options).total


def test_a_range_is_a_filter(live: Live) -> None:
    page = live.search("plates under 20", size=250, k=250, facets=["colour"])
    assert said(page) == [("under 20", "price", "under 20", True)]
    assert page.hits
    assert all(live.documents[hit.id]["price"] < 20 for hit in page.hits)
    filtered = live.search("plates", filters={"price": {"lt": 20}}, size=250, k=250, facets=["colour"])
    assert [hit.id for hit in page.hits] == [hit.id for hit in filtered.hits]
    assert (page.total, page.facets) == (filtered.total, filtered.facets)


def test_it_can_be_switched_off_as_a_whole_or_by_part(live: Live) -> None:
    off = live.search(TEXT, understand=False, size=250, k=250)
    kept = live.search(TEXT, keep_words=["RED"], size=250, k=250)
    assert off.understood == kept.understood == ()
    assert [hit.id for hit in off.hits] == [hit.id for hit in kept.hits]
    both = live.search("red plates under 20", keep_words=["under 20"])
    assert said(both) == [("red", "colour", "red", False)]


def test_a_category_alone_is_not_read(live: Live) -> None:
    assert live.search(category="Round Plates").understood == ()
    assert said(live.search("red", category="Round Plates")) == [("red", "colour", "red", False)]


@pytest.mark.parametrize("fusion", ["min_max", "rrf"])
def test_a_native_fusion_takes_filters_alone_and_says_so(live: Live, fusion: Any) -> None:
    page = live.search("red plates under 20", fusion=fusion)
    assert said(page) == [("under 20", "price", "under 20", True)]
    assert any("red was searched as words" in remark for remark in page.remarks)
    assert all(live.documents[hit.id]["price"] < 20 for hit in page.hits)
    strict = live.search("red plates under 20", fusion=fusion, strict=True)
    assert set(colours(live, strict)) == {"red"}
    assert not strict.remarks


def test_pages_and_cursors_go_on_within_an_understood_query(live: Live) -> None:
    whole = live.search(TEXT, size=40)
    first = live.search(TEXT, size=20)
    second = live.search(TEXT, size=20, cursor=first.cursor)
    assert [hit.id for hit in first.hits + second.hits] == [hit.id for hit in whole.hits]
    assert second.understood == first.understood


def test_highlights_mark_all_words(live: Live) -> None:
    page = live.search("red kettle", mode="lexical", highlight=True)
    marked = next(hit.highlights["title"] for hit in page.hits if hit.id == "x-markup")
    assert "<em>red</em>" in marked


def test_refresh_reads_the_vocabulary_again(live: Live) -> None:
    name = live.search.index.name
    assert live.search("vermilion plates").understood == ()
    for number in range(2):
        document = {"product_id": f"v-{number}", "title": "plate", "attributes": {"colour": "vermilion"}}
        live.client.index(index=name, id=f"v-{number}", body=document, refresh=True)
    try:
        assert live.search("vermilion plates").understood == ()
        live.search.refresh()
        assert said(live.search("vermilion plates")) == [("vermilion", "colour", "vermilion", False)]
    finally:
        for number in range(2):
            live.client.delete(index=name, id=f"v-{number}", refresh=True)
        live.search.refresh()


def test_a_word_that_opens_titles_ranks_those_titles_up(live: Live) -> None:
    name = live.search.index.name
    for number in range(5):
        document = {"product_id": f"o-{number}", "title": f"Hush Puppies plate {number}"}
        live.client.index(index=name, id=f"o-{number}", body=document, refresh=True)
    try:
        live.search.refresh()
        page = live.search("hush puppies", mode="lexical", explain=True)
        assert said(page) == [("hush puppies", "title", "Hush Puppies", False)]
        assert {hit.id for hit in page.hits} == {f"o-{number}" for number in range(5)}
        assert page.total == 5
        assert page.hits[0].explanation is not None
        assert page.hits[0].explanation.understood == {"title": pytest.approx(20 * BONUS)}
        part = page.understood[0]
        filtered = live.search("plate", mode="lexical", filters={part.field: part.filter})
        assert {hit.id for hit in filtered.hits} == {hit.id for hit in page.hits}
        strict = live.search("hush puppies plates", strict=True, size=50, k=300)
        assert {hit.id for hit in strict.hits} == {hit.id for hit in page.hits}
    finally:
        for number in range(5):
            live.client.delete(index=name, id=f"o-{number}", refresh=True)
        live.search.refresh()


def test_asyncio_understands_the_same(live: Live, node: NodeStatus, tiny_bundle: Path) -> None:
    async def ask() -> tuple[Any, ...]:
        async with await AsyncProductSearch.open(node.url, "search-shop", tiny_bundle) as search:
            before = search.search.understands(TEXT, {})
            page = await search(TEXT, size=7)
            return before, search.search.understands(TEXT, {}), page

    before, after, page = asyncio.run(ask())
    expected = live.search(TEXT, size=7)
    assert (before, after) == (False, True)
    assert page.understood == expected.understood
    assert [hit.id for hit in page.hits] == [hit.id for hit in expected.hits]


def test_only_what_is_left_is_encoded(live: Live) -> None:
    live.search(TEXT)
    assert live.search.vectors.kept("round plates") is not None
    assert live.search.text_to_encode("blue round plates", {}) is None
    assert live.search.text_to_encode("blue round plates never asked", {}) == "round plates never asked"
    assert live.search.text_to_encode("blue plates never asked", {"mode": "lexical"}) is None


def test_a_number_that_the_field_cannot_hold_refuses_no_query(search_client: OpenSearch) -> None:
    """The cluster refuses 3,000,000,000 for an integer; a visitor may type it."""
    properties = {"title": {"type": "text"}, "price": {"type": "integer"}, "product_id": {"type": "keyword"}}
    meta = {"clipita": {"fingerprint": "0" * 64, "schema": 1}}
    search_client.indices.create(index="reader-integer", body={"mappings": {"_meta": meta, "properties": properties}})
    try:
        search_client.index(
            index="reader-integer", body={"title": "shoes", "price": 10, "product_id": "1"}, params={"refresh": "true"}
        )
        search = ProductSearch(search_client, "reader-integer")
        for number in ("3000000000", "3000000000.5", "999.999.999.999.999"):
            for words, total in (("under", 1), ("up to", 1), ("over", 0), ("at least", 0)):
                page = search(f"shoes {words} {number}", mode="lexical")
                assert (page.total, [part.field for part in page.understood]) == (total, ["price"])
        assert search("shoes", mode="lexical", filters={"price": {"lt": 2**70}}).total == 1
        assert search("shoes", mode="lexical", filters={"price": [2**70]}, facets=["price"]).total == 0
    finally:
        search_client.indices.delete(index="reader-integer")
