"""Filter values by their field's type, and searches that are one search."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.options import resolve

NAMES = FieldNames(
    {
        "title": {"type": "text"},
        "price": {"type": "double"},
        "sold": {"type": "long"},
        "in_stock": {"type": "boolean"},
        "brand": {"type": "keyword"},
    }
)


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("price", "80", 80),
        ("price", "80.50", 80.5),
        ("price", 80.0, 80),
        ("price", {"lte": "8e1"}, {"lte": 80}),
        ("price", {"exists": True}, {"exists": True}),
        ("price", ("1", 2), [1, 2]),
        ("sold", "9007199254740993", 9007199254740993),
        ("in_stock", ["true", False], [True, False]),
        ("brand", "80", "80"),
        ("brand", ["true"], ["true"]),
    ],
)
def test_a_value_is_what_its_field_holds(name: str, given: Any, held: Any) -> None:
    found = NAMES.typed(name, given)
    assert (found, repr(found)) == (held, repr(held))


@pytest.mark.parametrize("value", ["cheap", "nan", {"gte": "1", "lte": None}, ["1", "inf"]])
def test_what_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(UsageError, match="The filter on price is"):
        NAMES.typed("price", value)


def identity(**filters: Any) -> str:
    return resolve("plates", {"mode": "lexical", "filters": filters}, SearchConfig(), NAMES).identity


def test_searches_that_find_the_same_share_their_cursors() -> None:
    written = identity(price={"gte": "5", "lte": "80"}, brand=["a", "b"], in_stock="true")
    assert written == identity(in_stock=[True], brand=["b", "a"], price={"lte": 80.0, "gte": 5})
    assert written != identity(price={"gte": 5, "lte": 81}, brand=["a", "b"], in_stock=True)
    assert identity(brand="80") != identity(price="80")
    assert identity(price=1) != identity(in_stock=True)
