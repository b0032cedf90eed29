"""A clause of the shop's own in place of BM25: what it scores, what is refused, and the hybrid clause alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.errors import UsageError
from clipita.opensearch import AsyncProductSearch
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.clauses.given import asks, check_clause, filled, read_clause
from clipita.opensearch.search.client import ProductSearch

if TYPE_CHECKING:
    from conftest import Live

WEIGHT = 0.6
WORDS = {"multi_match": {"query": "{{query}}", "fields": ["title^3", "attributes_text"], "type": "cross_fields"}}
SOLD = {"field_value_factor": {"field": "sales", "missing": 1}}
BY_SALES: dict[str, Any] = {"function_score": {"query": WORDS, "functions": [SOLD], "boost_mode": "multiply"}}
HUGE = {"script_score": {"query": {"match": {"title": "{{query}}"}}, "script": {"source": "_score * 1e30"}}}
FILTER = {"bool": {"filter": [{"match": {"title": "{{query}}"}}]}}
CONSTANT = {"constant_score": {"filter": {"match": {"title": "{{query}}"}}, "boost": 4}}
ZERO = {"constant_score": {"filter": {"match": {"title": "{{query}}"}}, "boost": 0}}
CLAUSES = {
    "words": WORDS, "sales": BY_SALES, "huge": HUGE, "filter": FILTER, "constant": CONSTANT, "zero": ZERO,
}  # fmt: skip


def raw(live: Live, clause: dict[str, Any], text: str) -> dict[str, float]:
    """What the clause scores as the query of a plain request."""
    body = {"query": json.loads(json.dumps(clause).replace("{{query}}", text)), "size": 1000, "_source": False}
    return {hit["_id"]: hit["_score"] for hit in live.client.search(index="search-shop", body=body)["hits"]["hits"]}


@pytest.mark.integration
@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_alone_it_scores_as_a_plain_request(live: Live, clause: dict[str, Any]) -> None:
    page = live.search("red plates", mode="lexical", lexical=clause, size=250, understand=False)
    assert {hit.id: hit.score for hit in page.hits} == raw(live, clause, "red plates")
    assert page.total == len(page.hits) > 5


@pytest.mark.integration
@pytest.mark.parametrize("pivot", [0.5, 3000.0])
@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_any_score_from_zero_on_is_fused(live: Live, clause: dict[str, Any], pivot: float) -> None:
    expected = dict.fromkeys(live.nearest("red plates", 30), 0.0)
    for name, score in raw(live, clause, "red plates").items():
        expected[name] = expected.get(name, 0.0) + (1 - WEIGHT) * score / (score + pivot)
    for name, cosine in live.nearest("red plates", 30).items():
        expected[name] += WEIGHT * max(0.0, cosine)
    options: dict[str, Any] = {"lexical": clause, "weight": WEIGHT, "pivot": pivot, "k": 30, "size": 30}
    options["understand"] = False
    first = live.search("red plates", explain=True, **options)
    hits, page = [*first.hits], first
    while page.cursor:
        page = live.search("red plates", cursor=page.cursor, **options)
        hits += page.hits
    assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=2e-5)
    assert first.total == len(hits) == len(expected)
    for hit in first.hits:
        assert hit.explanation is not None
        assert hit.explanation.bm25 == pytest.approx(raw(live, clause, "red plates").get(hit.id))
        assert hit.explanation.lexical + hit.explanation.vector == pytest.approx(hit.score, abs=2e-5)


@pytest.mark.integration
def test_names_inside_the_clause_do_not_hide_its_share(live: Live) -> None:
    clause = {"match": {"title": {"query": "{{query}}", "_name": "vector"}}}
    page = live.search("plates", lexical={"bool": {"should": [clause], "_name": "lexical"}}, explain=True, size=100)
    plain = live.search("plates", explain=True, size=100)
    assert [hit.explanation for hit in page.hits] == [hit.explanation for hit in plain.hits]


@pytest.mark.integration
@pytest.mark.parametrize("clause", [WORDS, BY_SALES])
def test_the_words_of_the_clause_are_marked(live: Live, clause: dict[str, Any]) -> None:
    page = live.search("red plates", lexical=clause, highlight=["attributes_text", "title"], size=100)
    assert any("<em>red</em>" in hit.highlights.get("attributes_text", "") for hit in page.hits)
    assert any("<em>" in hit.highlights.get("title", "") for hit in page.hits)


@pytest.mark.integration
def test_facets_and_filters_hold_for_the_clause_too(live: Live) -> None:
    options: dict[str, Any] = {"lexical": BY_SALES, "k": 20, "size": 20}
    page = live.search("plates", facets=["brand"], filters={"brand": "Acme", "price": {"lt": 90}}, **options)
    assert {hit.source["brand"] for hit in page.hits} == {"Acme"}
    chosen = next(entry for entry in page.facets["brand"] if entry.selected)
    assert chosen.count == page.total


@pytest.mark.integration
def test_the_placeholder_is_the_text_of_the_search(live: Live) -> None:
    category: dict[str, Any] = {"category": "Home > Plates > Round Plates", "mode": "lexical"}
    page = live.search(**category, lexical={"match": {"title": "{{query}}"}})
    assert [(hit.id, hit.score) for hit in page.hits] == [(hit.id, hit.score) for hit in live.search(**category).hits]
    words = ", ".join(f"w{number}" for number in range(100))
    cut = live.search(words, mode="lexical", lexical=WORDS)
    assert cut.remarks == (
        f"The query is long: only its first {len(words.split(' w64')[0])} characters were matched by words.",
    )
    assert live.search(words, mode="lexical", lexical={"match": {"title": "plates"}}).remarks == ()


@pytest.mark.parametrize(
    "text", ['say "cheese"', "a\\b", "{{query}}", "{{#toJson}}x{{/toJson}}", "new\nline", r"\1 \g<0>"]
)
def test_a_query_stays_text(text: str) -> None:
    clause = {
        "bool": {"should": [{"match": {"title": "{{query}} shoes"}}, {"terms": {"tag": ("{{ query }}", 3, None)}}]}
    }
    assert filled(clause, text) == {
        "bool": {"should": [{"match": {"title": f"{text} shoes"}}, {"terms": {"tag": [text, 3, None]}}]}
    }
    assert json.loads(json.dumps(filled(clause, text))) == filled(clause, text)


@pytest.mark.parametrize("script", ["'{{query}}'.length()", {"source": "return {{query}}", "params": {}}])
def test_a_query_is_no_code(script: Any) -> None:
    with pytest.raises(UsageError, match="visitor's words would be its code"):
        filled({"script_score": {"query": {"match_all": {}}, "script": script}}, "x")
    params = {"script": {"source": "params.words.length()", "params": {"words": "{{query}}"}}}
    assert filled(params, "x")["script"]["params"] == {"words": "x"}
    assert filled({"match": {"script": {"query": "{{query}}"}}}, "x") == {"match": {"script": {"query": "x"}}}


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ([{"match_all": {}}], r"lexical is \[\{'match_all': \{\}\}\]\. It must be one query clause"),
        ("title:shoes", "lexical is 'title:shoes'"),
        ({}, r"lexical is \{\}"),
        ({"match": {}, "boost": 2}, "lexical has the keys match, boost"),
        ({"query": {"match_all": {}}}, "lexical has the keys query.* give what stands under `query`"),
        ({"query": {"match_all": {}}, "size": 3}, "lexical has the keys query, size"),
        ({"hybrid": {"queries": [{"match_all": {}}]}}, "lexical is a `hybrid` query"),
    ],
)
def test_what_is_not_one_clause_is_refused(clause: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_clause(clause)


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_what_is_not_one_clause_is_refused_before_it_is_sent(live: Live, mode: Any) -> None:
    with pytest.raises(UsageError, match="must be one query clause"):
        live.search("plates", mode=mode, lexical={"match": {}, "boost": 2})
    with pytest.raises(UsageError, match="must be one query clause"):
        live.search("plates", mode=mode, lexical={})


def test_a_clause_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "query.json"
    file.write_text(json.dumps(BY_SALES), encoding="utf-8")
    assert read_clause(file) == BY_SALES
    assert asks(BY_SALES)
    for text, said in (
        ("{", "query.json is not JSON"),
        ("[]", "must be one query clause"),
        ('{"match": {"title": "shoes"}}', "holds no {{query}}"),
        ('{"match": {"title": "{{query}} {{size}}"}}', "holds {{size}}, which nothing fills in"),
        ('{"script_score": {"script": "{{query}}"}}', "would be its code"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=said):
            read_clause(file)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_clause(tmp_path / "none.json")


CALLS: list[dict[str, Any]] = [
    {"query": "red plates", "filters": {"brand": ["Acme", "Globex"]}},
    {"query": "red plates", "lexical": BY_SALES, "pivot": 200.0, "boosts": ["popularity:sales:0.5:10"]},
    {"query": "red plates", "mode": "lexical", "lexical": WORDS},
    {"query": "red plates", "mode": "vector", "raw_filters": [{"range": {"price": {"lte": 70}}}]},
    {"category": "Cutting Boards"},
]


@pytest.mark.integration
@pytest.mark.parametrize("call", CALLS)
def test_the_clause_alone_scores_as_the_search_inside_another_request(live: Live, call: dict[str, Any]) -> None:
    clause = live.search.clause(**call, k=50)
    assert list(clause) in (["bool"], ["function_score"])
    body = {
        "query": {"bool": {"must": [clause]}},
        "size": 50,
        "track_total_hits": True,
        "sort": ["_score", "product_id"],
    }
    body["aggs"] = {"brand": {"terms": {"field": "brand"}}}
    answer = live.client.search(index="search-shop", body=body)
    page = live.search(**call, k=50, size=50, facets=["brand"])
    assert {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]} == pytest.approx(
        {hit.id: hit.score for hit in page.hits}, abs=1e-6
    )
    assert answer["hits"]["total"]["value"] == page.total
    if "filters" not in call:
        counts = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["brand"]["buckets"]}
        assert counts == {entry.value: entry.count for entry in page.facets["brand"]}


@pytest.mark.integration
def test_the_clause_alone_from_the_asynchronous_search(live: Live, node: NodeStatus, tiny_bundle: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        async with await AsyncProductSearch.open(node.url, "search-shop", tiny_bundle) as search:
            return [await search.clause(**call) for call in CALLS]

    assert asyncio.run(main()) == [live.search.clause(**call) for call in CALLS]


@pytest.mark.integration
def test_what_a_clause_cannot_carry(live: Live) -> None:
    for name, value in (
        ("facets", ["brand"]),
        ("size", 3),
        ("sort", "price"),
        ("min_score", 0.5),
        ("collapse", "brand"),
    ):
        with pytest.raises(UsageError, match=f"A clause cannot carry {name}: "):
            live.search.clause("plates", **{name: value})
    for fusion in ("min_max", "rrf"):
        with pytest.raises(UsageError, match=f"The fusion {fusion} gives no clause.*Use the fusion saturation"):
            live.search.clause("plates", fusion=fusion)
    assert live.search.clause("plates", fusion="rrf", mode="lexical") == live.search.clause("plates", mode="lexical")


@pytest.mark.integration
def test_a_configured_clause_stands_in_every_search(live: Live, tiny_bundle: Path) -> None:
    search = ProductSearch(live.client, "search-shop", tiny_bundle, {"lexical": BY_SALES, "pivot": 300})
    page = search("red plates")
    assert page.hits == live.search("red plates", lexical=BY_SALES, pivot=300).hits
    assert search("red plates", lexical=WORDS).hits == live.search("red plates", lexical=WORDS, pivot=300).hits
