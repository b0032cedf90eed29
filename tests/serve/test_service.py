"""The same request again: planned once, and answered anew unless answers may be kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.arguments import SearchArguments
from clipita.serve.answers import RecentAnswers
from clipita.serve.prepared import KEPT, LARGEST, Prepared, PreparedSearches

if TYPE_CHECKING:
    from conftest import Launch, Server

PREPARED = Prepared(SearchArguments("plate", mode="lexical"), b"{}")


def test_plans_belong_to_one_index_and_the_oldest_go() -> None:
    kept, index = PreparedSearches(), object()
    assert kept.get(b"0", index) is None
    for number in range(KEPT + 1):
        kept.keep(b"%d" % number, {}, PREPARED, index)
        assert kept.get(b"1", index) is (PREPARED if number else None)
    assert kept.get(b"0", index) is None
    assert kept.get(b"2", index) is PREPARED
    assert kept.get(b"2", object()) is None


def test_what_is_of_its_moment_is_not_kept() -> None:
    kept, index = PreparedSearches(), object()
    kept.get(b"", index)
    boosted = Prepared(SearchArguments("plate", mode="lexical", boosts=(("stand-in", "double"),)), b"{}")  # type: ignore[arg-type]
    kept.keep(b"boosted", {}, boosted, index)
    kept.keep(b"cursor", {"cursor": "abc"}, PREPARED, index)
    kept.keep(b"x" * (LARGEST + 1), {}, PREPARED, index)
    kept.keep(b"late", {}, PREPARED, object())
    assert [kept.get(key, index) for key in (b"boosted", b"cursor", b"x" * (LARGEST + 1), b"late")] == [None] * 4


def test_callers_at_once_share_one_answer_and_one_may_leave() -> None:
    made: list[int] = []

    async def make() -> bytes:
        made.append(1)
        await asyncio.sleep(0.05)
        return b"page"

    async def ask() -> list[Any]:
        answers = RecentAnswers(0.2)
        first, *others = (asyncio.create_task(answers.get(b"a", make)) for _ in range(5))
        await asyncio.sleep(0.01)
        first.cancel()
        found = await asyncio.gather(*others)
        assert await answers.get(b"a", make) == b"page"
        assert len(made) == 1
        await asyncio.sleep(0.25)
        assert await answers.get(b"a", make) == b"page"
        return found

    assert asyncio.run(ask()) == [b"page"] * 4
    assert len(made) == 2


def test_an_error_reaches_all_and_is_not_kept() -> None:
    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise LookupError("gone")

    async def work() -> bytes:
        return b"page"

    async def ask() -> bytes:
        answers = RecentAnswers(60)
        found = await asyncio.gather(*(answers.get(b"a", fail) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in found] == [LookupError] * 3
        return await answers.get(b"a", work)

    assert asyncio.run(ask()) == b"page"


@pytest.mark.integration
def test_a_change_shows_at_once_unless_answers_may_be_kept(
    launch: Launch, server: Server, node: NodeStatus, served_shop: str
) -> None:
    keeping = launch(CLIPITA_SERVE_FRESH_SECONDS="600")
    client = connect(OpenSearchConfig(url=node.url))
    address, body = "/v1/search?q=plate&mode=lexical&size=100", {"query": "plate", "mode": "lexical", "size": 100}
    before = [one(address).json["total"] for one in (server, keeping)]
    assert server("/v1/search", body).json["total"] == before[0]
    client.index(
        index=served_shop, id="again", body={"title": "plate", "product_id": "again"}, params={"refresh": "true"}
    )
    try:
        after = [one(address).json["total"] for one in (server, keeping)]
        assert after == [before[0] + 1, before[1]]
        assert server("/v1/search", body).json["total"] == before[0] + 1
        assert keeping("/v1/search", body).json["total"] == before[0] + 1
    finally:
        client.delete(index=served_shop, id="again", params={"refresh": "true"})
        client.close()
    wrong = keeping("/v1/search?q=plate&facet=brnd")
    assert (wrong.status, keeping("/v1/search?q=plate&facet=brnd").json["request_id"]) != (
        200,
        wrong.json["request_id"],
    )
