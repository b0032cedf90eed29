"""AsyncProductSearch gives what ProductSearch gives, and leaves the event loop free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.errors import ClusterUnavailableError, QueryError, UsageError
from clipita.opensearch import AsyncProductSearch
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.cursor import Cursor

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration

Ask = Callable[[Callable[[AsyncProductSearch], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def ask(live: Live, node: NodeStatus, tiny_bundle: Path) -> Ask:
    def run(work: Callable[[AsyncProductSearch], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            async with await AsyncProductSearch.open(node.url, "search-shop", tiny_bundle) as search:
                return await work(search)

        return asyncio.run(main())

    return run


CALLS: list[dict[str, Any]] = [
    {"query": "round plates", "facets": ["brand"], "filters": {"brand": ["Acme"]}, "size": 7},
    {"query": "round plates", "mode": "lexical", "sort": "-price"},
    {"category": "Cutting Boards", "explain": True, "boosts": ["popularity:sales:0.5:10"]},
    {"query": "kites", "collapse": "brand", "variants": 2, "highlight": True},
]


def assert_alike(one: Any, other: Any, at: str = "page") -> None:
    """The same to a float's last bits: a cosine is added up in another order once Java has compiled the loop."""
    if isinstance(one, dict):
        assert list(one) == list(other), at
        for name, value in one.items():
            assert_alike(value, other[name], f"{at}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_alike(left, right, f"{at}[{number}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-6), at
    elif at == "page.cursor" and isinstance(one, str):
        assert_alike(list(Cursor.decode(one).after), list(Cursor.decode(other).after), "after")
    else:
        assert one == other, at


def test_answers_are_those_of_the_synchronous_search(live: Live, ask: Ask) -> None:
    async def work(search: AsyncProductSearch) -> Any:
        first = await asyncio.gather(*(search(**call) for call in CALLS * 5))
        bodies = [await search.body(**call) for call in CALLS]
        return first, bodies

    pages, bodies = ask(work)
    for page, call in zip(pages, CALLS * 5, strict=True):
        assert_alike(page.to_json(), live.search(**call).to_json() | {"took_ms": page.took_ms})
    assert bodies == [live.search.body(**call) for call in CALLS]


def test_cursors_and_snapshots(live: Live, ask: Ask) -> None:
    async def work(search: AsyncProductSearch) -> list[str]:
        found = []
        page = await search("plates", size=11, snapshot="1m")
        found += [hit.id for hit in page.hits]
        while page.cursor:
            page = await search("plates", size=11, cursor=page.cursor)
            found += [hit.id for hit in page.hits]
        return found

    assert ask(work) == [hit.id for hit in live.search("plates", size=200, k=400).hits] + [
        hit.id for hit in live.search("plates", size=200, k=400, page=2).hits
    ]


def test_errors_are_ours(ask: Ask) -> None:
    async def refused(search: AsyncProductSearch) -> None:
        await search("plates", raw_filters=[{"nearby": {}}])

    async def unknown(search: AsyncProductSearch) -> None:
        await search("plates", facets=["colur"])

    with pytest.raises(QueryError, match="unknown query"):
        ask(refused)
    with pytest.raises(UsageError, match="Did you mean colour"):
        ask(unknown)
    with pytest.raises(ClusterUnavailableError, match=r"http://127\.0\.0\.1:1"):
        asyncio.run(AsyncProductSearch.open("http://127.0.0.1:1"))
