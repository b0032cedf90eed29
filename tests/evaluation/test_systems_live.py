"""Rankings of an index that holds more, or less, than the evaluated catalogue."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clipita.catalogue.product import Product
from clipita.evaluation import systems as live
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.evaluation.systems import Mode, rank_live


class ListIndex:
    """An index that gives its ids in one order for every query, and remembers how deep it was asked."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)
        self.depths: list[int] = []

    def rank(self, query: str, *, mode: Mode, depth: int) -> list[str]:
        self.depths.append(depth)
        return self.ids[:depth]


@pytest.fixture
def protocol() -> TreeProtocol:
    return TreeProtocol(Product(f"p{number:02d}", category_paths=(("Shoes",),)) for number in range(12))


def test_foreign_products_are_dropped_and_counted(protocol: TreeProtocol) -> None:
    index = ListIndex([identifier for pair in zip(protocol.ids, "abcdefghijkl", strict=True) for identifier in pair])
    found = rank_live(protocol, index, "lexical", indexed=24, least_depth=24)
    assert found.rankings[0].tolist() == list(range(12))
    assert found.dropped == 12
    assert found.truncated == []
    assert protocol.score(System("bm25", "lexical", "live"), found.rankings).mean("R-precision") == 100


def test_it_asks_deeper_until_enough_is_left(protocol: TreeProtocol) -> None:
    index = ListIndex([f"other{number}" for number in range(100)] + protocol.ids)
    found = rank_live(protocol, index, "vector", indexed=112, least_depth=10)
    assert len(found.rankings[0]) == 12
    assert index.depths == sorted(index.depths)
    assert len(index.depths) < 6


def test_what_the_index_lacks_is_not_found(protocol: TreeProtocol) -> None:
    found = rank_live(protocol, ListIndex(protocol.ids[:9]), "hybrid", indexed=9, least_depth=5)
    result = protocol.score(System("m", "hybrid", "live"), found.rankings)
    assert result.mean("R-precision") == pytest.approx(100 * 9 / 12)
    assert found.truncated == []


def test_no_deeper_than_asked_when_nothing_is_foreign(protocol: TreeProtocol) -> None:
    index = ListIndex(protocol.ids)
    rank_live(protocol, index, "lexical", indexed=12, least_depth=5)
    assert index.depths == [12]
    rank_live(protocol, index, "lexical", indexed=12, least_depth=200)
    assert index.depths == [12, 200]


def test_the_windows_end_is_said(protocol: TreeProtocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_DEPTH", 20)
    index = ListIndex([f"other{number}" for number in range(15)] + protocol.ids)
    found = rank_live(protocol, index, "lexical", indexed=27, least_depth=10)
    assert found.truncated == ["Shoes"]
    assert max(index.depths) == 20
