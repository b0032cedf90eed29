"""Native fusion by neural-search, and saturation beside it, on the real node; versions and refusals."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipita.errors import ClusterVersionError, UsageError
from clipita.opensearch import AsyncProductSearch
from clipita.opensearch.cluster.connection import Capabilities
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.fusion import FUSIONS, Fusion
from clipita.opensearch.search.options import SEARCH, SearchArguments
from clipita.opensearch.search.vectors import Encoded

if TYPE_CHECKING:
    from conftest import Live

TEXT = "family plate"
NATIVE = ("min_max", "rrf")


def fused(live: Live, fusion: str, weight: float, depth: int, **options: Any) -> list[tuple[str, float]]:
    """The ranking computed here from both halves, which the node gives one by one."""
    words = live.search.scores(TEXT, mode="lexical", depth=depth, **options)
    near = live.search.scores(TEXT, mode="vector", depth=depth, **options)
    ids = sorted({*words, *near})
    bm25 = np.array([words.get(id_, 0.0) for id_ in ids])
    knn = np.array([near.get(id_, 0.0) for id_ in ids])
    # 1 + cosine from cosine 0 on, 1 / (1 - cosine) below.
    cosine = np.where(knn >= 1, knn - 1, np.where(knn > 0, 1 - 1 / np.maximum(knn, 1e-9), -np.inf))
    scores = FUSIONS[fusion].scores(bm25, cosine, weight, 10.0, 60)
    return sorted(zip(ids, scores.tolist(), strict=True), key=lambda entry: -entry[1])


@pytest.mark.integration
@pytest.mark.parametrize("fusion", NATIVE)
def test_scores_and_pages_are_those_of_the_fused_halves(live: Live, fusion: str) -> None:
    options: dict[str, Any] = {"filters": {"price": {"lte": 80}}}
    asked: dict[str, Any] = {"fusion": fusion, "k": 60, "weight": 0.6, **options}
    whole = live.search(TEXT, size=60, **asked)
    pages = [live.search(TEXT, size=7, page=number, **asked) for number in range(1, 9)]
    assert [hit.id for page in pages for hit in page.hits] == [hit.id for hit in whole.hits][:56]
    expected = fused(live, fusion, 0.6, 60, **options)
    assert [hit.score for hit in whole.hits] == pytest.approx(
        [score for _, score in expected[: len(whole.hits)]], abs=1e-4
    )
    by_id = dict(expected)
    assert [by_id[hit.id] for hit in whole.hits] == pytest.approx([hit.score for hit in whole.hits], abs=1e-4)
    assert list(live.search.scores(TEXT, depth=60, **{**asked, "k": None})) == [hit.id for hit in whole.hits]
    assert all(hit.source["price"] <= 80 and "product_vector" not in hit.source for hit in whole.hits)
    assert whole.cursor is None


@pytest.mark.integration
@pytest.mark.parametrize("fusion", NATIVE)
def test_total_and_facets_are_those_of_the_union(live: Live, fusion: str) -> None:
    page = live.search(TEXT, fusion=fusion, k=40, size=5, facets=["brand"], facet_size=100, highlight=True)
    words = set(live.search.scores(TEXT, mode="lexical", depth=10_000))
    near = set(live.search.scores(TEXT, mode="vector", depth=40))
    assert page.total == len(words | near)
    assert sum(value.count for value in page.facets["brand"]) <= page.total
    chosen = page.facets["brand"][0]
    narrowed = live.search(TEXT, fusion=fusion, k=40, size=5, facets=["brand"], filters={"brand": chosen.value})
    assert {hit.source["brand"] for hit in narrowed.hits} == {chosen.value}


@pytest.mark.integration
@pytest.mark.parametrize("fusion", NATIVE)
@pytest.mark.parametrize("options", [{}, {"min_score": 0.001}])
def test_a_page_behind_the_last_hit_is_empty_however_often_it_is_asked(
    live: Live, fusion: str, options: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"fusion": fusion, "k": 10_000, "size": 1_000, "page": 9, **options}
    for _ in range(3):
        beyond = live.search(TEXT, **asked)
        assert beyond.hits == []
        assert beyond.total > 0


@pytest.mark.integration
def test_a_minimum_score_says_that_the_total_may_be_too_low(live: Live) -> None:
    page = live.search(TEXT, fusion="rrf", min_score=0.001)
    assert "may be too low" in page.remarks[0]
    assert live.search(TEXT, fusion="rrf").remarks == ()


@pytest.mark.integration
def test_sorted_by_a_field_hits_have_no_score(live: Live) -> None:
    page = live.search(TEXT, fusion="min_max", sort="price", size=30)
    prices = [hit.source["price"] for hit in page.hits]
    assert prices == sorted(prices)
    assert {hit.score for hit in page.hits} == {None}


@pytest.mark.integration
def test_the_asynchronous_search_gives_the_same(live: Live, node: NodeStatus) -> None:
    options: dict[str, Any] = {"fusion": "min_max", "facets": ["brand"], "size": 9, "page": 2}

    async def ask() -> Any:
        async with await AsyncProductSearch.open(node.url, live.search.alias) as search:
            search.search.vectors.keep(TEXT, Encoded(live.search.vector(TEXT)))
            return await search(TEXT, **options)

    found, expected = asyncio.run(ask()), live.search(TEXT, **options)
    assert found.to_json() | {"took_ms": 0} == expected.to_json() | {"took_ms": 0}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"collapse": "brand"}, "offers no collapse"),
        ({"boosts": ["margin:price:0.2"]}, "offers no boosts"),
        ({"explain": True}, "offers no explain"),
        ({"sort": ["price", "_score"]}, "sorts by the score alone"),
        ({"page": 11}, "ends beyond k = 50"),
    ],
)
def test_what_native_fusion_cannot_do(live: Live, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        live.search(TEXT, **{"fusion": "rrf", "k": 50, "size": 5, **options})


@pytest.mark.parametrize("weight", [0, 1, 0.0, 1.0, 0.3])
@pytest.mark.parametrize("fusion", NATIVE)
def test_weights_are_decimals_that_sum_to_one(weight: float, fusion: str) -> None:
    text = json.dumps(FUSIONS[fusion].pipeline(weight, 60))
    weights = text.partition('"weights": [')[2].partition("]")[0].split(", ")
    assert all("." in number for number in weights)
    assert sum(map(float, weights)) == pytest.approx(1)


def test_lists_of_one_score_and_of_none() -> None:
    bm25, cosine = np.array([3.0, 2.0, 1.0, 0.0]), np.array([-np.inf, 0.5, -np.inf, -np.inf])
    assert FUSIONS["min_max"].scores(bm25, cosine, 0.5, 0, 0).tolist() == [0.5, 0.75, 0.0005, -np.inf]
    assert FUSIONS["rrf"].scores(bm25, cosine, 0.0, 0, 9).tolist() == [1 / 10, 1 / 11, 1 / 12, -np.inf]
    assert FUSIONS["saturation"].scores(bm25, cosine, 0.5, 2.0, 0).tolist()[1] == pytest.approx(0.5)


def test_versions_and_plugins() -> None:
    def cluster(version: tuple[int, int, int], neural_search: bool = True) -> Capabilities:
        return Capabilities(version, True, neural_search, False, False, "lucene")

    rrf, min_max = FUSIONS["rrf"], FUSIONS["min_max"]
    FUSIONS["saturation"].require(cluster((2, 13, 0), neural_search=False))
    rrf.require(cluster((3, 5, 0)))
    min_max.require(cluster((3, 0, 0)))
    with pytest.raises(ClusterVersionError, match=r"min_max requires the plugin opensearch-neural-search"):
        min_max.require(cluster((3, 5, 0), neural_search=False))
    with pytest.raises(ClusterVersionError, match=r"rrf requires OpenSearch 3\.5\.0; this cluster has 3\.1\.0"):
        rrf.require(cluster((3, 1, 0)))
    with pytest.raises(ClusterVersionError, match=r"minimum score of a hybrid query requires OpenSearch 3\.5\.0"):
        min_max.require(cluster((3, 1, 0)), min_score=True)


def test_a_new_fusion_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered in fusion.py, it is known to the arguments and makes its request."""
    halves = Fusion(
        "l2",
        lambda bm25, cosine, *_: bm25 + cosine,
        oldest=(3, 0, 0),
        processor=lambda weights, _: {"normalization-processor": {"normalization": {"technique": "l2"}, "w": weights}},
    )
    monkeypatch.setitem(FUSIONS, "l2", halves)
    monkeypatch.setattr("clipita.opensearch.search.options.SEARCH", {**SEARCH, "fusion": _choosing(tuple(FUSIONS))})
    from clipita.opensearch.search.request import search_body

    body = search_body(SearchArguments("red", (1.0, 0.0), fusion="l2"))
    assert body["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]["w"] == [0.2, 0.8]
    assert "hybrid" in body["query"]


def _choosing(choices: tuple[str, ...]) -> Any:
    import dataclasses

    return dataclasses.replace(SEARCH["fusion"], choices=choices)
