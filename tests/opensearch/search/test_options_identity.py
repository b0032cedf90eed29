"""Searches that find the same products share their cursors."""

from __future__ import annotations

from typing import Any

from clipita.config import SearchConfig
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.resolve import resolve

NAMES = FieldNames(
    {
        "title": {"type": "text"},
        "price": {"type": "double"},
        "sold": {"type": "long"},
        "in_stock": {"type": "boolean"},
        "brand": {"type": "keyword"},
    }
)


def identity(**filters: Any) -> str:
    return resolve("plates", {"mode": "lexical", "filters": filters}, SearchConfig(), NAMES).identity


def test_searches_that_find_the_same_share_their_cursors() -> None:
    written = identity(price={"gte": "5", "lte": "80"}, brand=["a", "b"], in_stock="true")
    assert written == identity(in_stock=[True], brand=["b", "a"], price={"lte": 80.0, "gte": 5})
    assert written != identity(price={"gte": 5, "lte": 81}, brand=["a", "b"], in_stock=True)
    assert identity(brand="80") != identity(price="80")
    assert identity(price=1) != identity(in_stock=True)
