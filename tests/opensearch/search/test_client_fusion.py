"""min_max and rrf computed by us: the plugin's arithmetic by its recording, pages and counts on the real node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.errors import ClusterVersionError, QueryError
from clipita.opensearch import AsyncProductSearch
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.arguments import SearchArguments
from clipita.opensearch.search.client_fusion import fuse, min_max, read

if TYPE_CHECKING:
    from conftest import Live

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "hybrid-exchanges" / "exchanges.jsonl"
TEXT = "family plate"
FUSIONS = ("min_max", "rrf")


def recorded(what: str) -> list[tuple[str, float]]:
    if not RECORDED.is_file():
        pytest.skip(f"the recorded answers are not at {RECORDED}")
    entries = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    answer = next(entry for entry in entries if entry["what"] == what)["response"]
    return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]


@pytest.mark.parametrize(
    ("fusion", "fused"), [("min_max", "4g3 response processor without explain"), ("rrf", "4g4 explain rrf")]
)
def test_the_arithmetic_is_the_plugins(fusion: Any, fused: str) -> None:
    """Both halves and the fused list were recorded at size 3, which is the depth then."""
    lexical = recorded("5h non-hybrid query with normalization pipeline")
    vector = recorded("9j inner_hits/nested n/a, innerproduct raw score")
    arguments = SearchArguments("red wool jacket", (1.0,), fusion=fusion, weight=0.7)
    ours, plugin = fuse(lexical, vector, arguments), recorded(fused)
    assert len(plugin) == 3
    assert [id_ for id_, _ in ours[:3]] == [id_ for id_, _ in plugin]
    assert [score for _, score in ours[:3]] == pytest.approx([score for _, score in plugin], rel=1e-4)


def test_lists_of_one_score_and_of_none() -> None:
    assert min_max([("a", 3.0), ("b", 3.0)]) == {"a": 1.0, "b": 1.0}
    assert min_max([("a", 3.0), ("b", 2.0), ("c", 1.0)]) == {"a": 1.0, "b": 0.5, "c": 0.001}
    arguments = SearchArguments("x", (1.0,), fusion="min_max", weight=0.5)
    assert fuse([], [("a", 1.5)], arguments) == [("a", 0.5)]
    assert fuse([], [], arguments) == []


def test_a_refused_half_is_an_error() -> None:
    answer = {"took": 1, "responses": [{"hits": {"hits": []}}, {"error": {"reason": "no such field"}}, {}]}
    with pytest.raises(QueryError, match="no such field"):
        read(answer, SearchArguments("x", (1.0,), fusion="rrf"))


@pytest.mark.integration
@pytest.mark.parametrize("fusion", FUSIONS)
def test_pages_join_and_equal_the_fused_halves(live: Live, fusion: Any) -> None:
    options: dict[str, Any] = {"fusion": fusion, "k": 60, "weight": 0.6, "filters": {"price": {"lte": 80}}}
    whole = live.search(TEXT, size=60, **options)
    pages = [live.search(TEXT, size=7, page=number, **options) for number in range(1, 9)]
    assert [hit.id for page in pages for hit in page.hits] == [hit.id for hit in whole.hits][:56]
    halves = [
        live.search.scores(TEXT, mode=mode, depth=60, filters=options["filters"]) for mode in ("lexical", "vector")
    ]
    expected = fuse(*(list(half.items()) for half in halves), SearchArguments(TEXT, (1.0,), fusion=fusion, weight=0.6))
    assert [(hit.id, hit.score) for hit in whole.hits] == [(id_, pytest.approx(score)) for id_, score in expected[:60]]
    assert list(live.search.scores(TEXT, depth=60, **{**options, "k": None})) == [id_ for id_, _ in expected[:60]]
    assert all(hit.source["price"] <= 80 and "product_vector" not in hit.source for hit in whole.hits)
    assert f"{fusion} was computed by clipita" in whole.remarks[-1]
    assert whole.cursor is None


@pytest.mark.integration
def test_total_and_facets_are_those_of_the_union(live: Live) -> None:
    page = live.search(TEXT, fusion="rrf", k=40, size=5, facets=["brand"], facet_size=100, highlight=True)
    words = set(live.search.scores(TEXT, mode="lexical", depth=10_000))
    near = set(live.search.scores(TEXT, mode="vector", depth=40))
    assert page.total == len(words | near)
    assert sum(value.count for value in page.facets["brand"]) <= page.total
    assert any("<em>" in text for hit in page.hits for text in hit.highlights.values())
    chosen = page.facets["brand"][0]
    narrowed = live.search(TEXT, fusion="rrf", k=40, size=5, facets=["brand"], filters={"brand": chosen.value})
    assert {hit.source["brand"] for hit in narrowed.hits} == {chosen.value}
    beyond = live.search(TEXT, fusion="rrf", k=500, size=100, page=5)
    assert beyond.hits == []
    assert beyond.total > 0


@pytest.mark.integration
@pytest.mark.parametrize("options", [{"sort": "price"}, {"min_score": 0.1}])
def test_what_it_cannot_do_exactly_is_refused(live: Live, options: dict[str, Any]) -> None:
    with pytest.raises(ClusterVersionError, match=r"rrf needs the plugin opensearch-neural-search.* offers no"):
        live.search(TEXT, fusion="rrf", **options)
    with pytest.raises(ClusterVersionError, match="several requests"):
        live.search.body(TEXT, fusion="rrf")


@pytest.mark.integration
def test_the_asynchronous_search_gives_the_same(live: Live, node: NodeStatus) -> None:
    options: dict[str, Any] = {"fusion": "min_max", "facets": ["brand"], "size": 9, "page": 2}

    async def ask() -> Any:
        async with await AsyncProductSearch.open(node.url, live.search.alias) as search:
            search.search.vectors = live.search.vectors
            return await search(TEXT, **options)

    found, expected = asyncio.run(ask()), live.search(TEXT, **options)
    assert found.to_json() | {"took_ms": 0} == expected.to_json() | {"took_ms": 0}
