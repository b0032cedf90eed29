"""A clause that the cluster refuses: the error says that it is the clause, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.errors import QueryError
from clipita.opensearch import AsyncProductSearch
from clipita.opensearch.local.node import NodeStatus

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration


def scored(source: str) -> dict[str, Any]:
    return {"script_score": {"query": {"match": {"title": "plates"}}, "script": {"source": source}}}


def many(count: int) -> dict[str, Any]:
    return {"bool": {"should": [{"match": {"title": f"w{number}" if number else "plates"}} for number in range(count)]}}


REFUSED = [
    ({"mtch": {"title": "plates"}}, r"unknown query \[mtch\] did you mean \[match\]"),
    ({"match": {"title": ["plates"]}}, "unknown token|START_ARRAY"),
    ({"match": "plates"}, "malformed|no start_object"),
    ({"match": {"title": {"query": "plates", "fuzz": 1}}}, "fuzz"),
    ({"match": {"title": {"query": "plates", "boost": -1}}}, "negative"),
    ({"query_string": {"query": "title:(plates AND"}}, "Failed to parse query"),
    (scored("params.nothing.at.all"), "runtime error|null"),
    (scored("_score +"), "compile error"),
    (scored("-1"), "non-negative"),
]


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
@pytest.mark.parametrize(("clause", "reason"), REFUSED)
def test_the_error_names_the_clause_and_gives_the_reason(live: Live, mode: Any, clause: Any, reason: str) -> None:
    with pytest.raises(QueryError, match=f"(?s)^The clause given as `lexical` is refused.*({reason})"):
        live.search("plates", mode=mode, lexical=clause)


@pytest.mark.parametrize("fusion", ["min_max", "rrf"])
def test_also_under_a_native_fusion(live: Live, fusion: str) -> None:
    with pytest.raises(QueryError, match=r"^The clause given as `lexical` is refused.*did you mean"):
        live.search("plates", fusion=fusion, lexical={"mtch": {"title": "plates"}})


def test_also_from_the_asynchronous_search_and_from_rankings(live: Live, node: NodeStatus, tiny_bundle: Path) -> None:
    async def main() -> None:
        async with await AsyncProductSearch.open(node.url, "search-shop", tiny_bundle) as search:
            await search("plates", lexical={"mtch": {}})

    with pytest.raises(QueryError, match="given as `lexical`"):
        asyncio.run(main())
    with pytest.raises(QueryError, match="given as `lexical`"):
        live.search.rank("plates", lexical={"mtch": {}})


def test_an_error_of_another_part_stays_what_it_is(live: Live) -> None:
    with pytest.raises(QueryError, match=r"unknown query \[nearby\]") as caught:
        live.search("plates", lexical={"match": {"title": "plates"}}, raw_filters=[{"nearby": {}}])
    assert "lexical" not in str(caught.value)


def test_a_script_of_the_shops_own_is_run(live: Live) -> None:
    page = live.search("plates", mode="lexical", lexical=scored("_score * 2"), size=100)
    assert {hit.id: hit.score for hit in page.hits} == pytest.approx(
        {name: 2 * score for name, score in live.bm25("plates").items()}
    )


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_a_thousand_clauses_are_run_and_five_thousand_are_not(live: Live, mode: Any) -> None:
    assert live.search("plates", mode=mode, lexical=many(1000)).hits
    with pytest.raises(QueryError, match=r"`lexical` is refused.*axClauseCount.*max_clause_count") as caught:
        live.search("plates", mode=mode, lexical=many(5000))
    assert "`terms` clause" in str(caught.value)


def test_a_clause_at_the_limit_leaves_no_room_for_ours(live: Live) -> None:
    assert live.search("plates", mode="lexical", lexical=many(1024)).hits
    with pytest.raises(QueryError, match=r"`lexical` is refused.*axClauseCount"):
        live.search("plates", mode="hybrid", lexical=many(1024), filters={"brand": "Acme"})
