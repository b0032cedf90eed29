"""The same answer twice: one search is answered by the same copies of the shards on all its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration

TEXT = "square plates"


@pytest.fixture
def preferences(live: Live, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each request says of the copies that it wants to be answered by; requests go out as they are."""
    found: list[Any] = []
    send = live.client.transport.perform_request

    def noted(method: str, url: str, headers: Any = None, params: Any = None, **rest: Any) -> Any:
        found.append((params or {}).get("preference"))
        return send(method, url, headers=headers, params=params, **rest)

    monkeypatch.setattr(live.client.transport, "perform_request", noted)
    return found


def test_one_search_asks_one_copy_on_all_its_pages(live: Live, preferences: list[Any]) -> None:
    first = live.search(TEXT, size=5)
    live.search(TEXT, size=5, page=2, facets=["brand"], explain=True)
    live.search(TEXT, size=5, cursor=first.cursor)
    live.search.rank(TEXT, depth=400)
    (one,) = set(preferences)
    assert not one.startswith("_"), "names of that form have meanings of their own"
    live.search(TEXT, size=5, filters={"brand": "Acme"})
    assert preferences[-1] not in (None, one)


def test_a_snapshot_is_made_on_that_copy_and_read_as_it_is(live: Live, preferences: list[Any]) -> None:
    page = live.search(TEXT, size=100, snapshot="1m")
    while page.cursor is not None:
        page = live.search(TEXT, size=100, cursor=page.cursor)
    made, *read = preferences
    assert made is not None
    # The cluster refuses a preference beside a point in time.
    assert read
    assert set(read) == {None}
