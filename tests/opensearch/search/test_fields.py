"""Field names, and filter values by their field's type."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.errors import UsageError
from clipita.opensearch.search.fields import FieldNames

NAMES = FieldNames(
    {
        "title": {"type": "text"},
        "price": {"type": "double"},
        "sold": {"type": "long"},
        "stars": {"type": "byte"},
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


def test_a_name_is_the_mappings_or_an_attributes() -> None:
    names = FieldNames(
        {
            "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
            "words": {"type": "text"},
            "attributes": {"properties": {"colour": {"type": "keyword"}, "heel_height": {"type": "double"}}},
            "product_vector": {"type": "knn_vector"},
        },
        {"category_path": "section"},
    )
    assert names.exact("title") == "title.keyword"
    assert names.exact("colour") == "attributes.colour"
    assert names.exact("heel.height") == "attributes.heel_height"
    assert names.layout.category_path == "section"
    assert not names.has("product_vector")
    with pytest.raises(UsageError, match="words holds words, not whole values"):
        names.exact("words")
    with pytest.raises(UsageError, match="no field color") as caught:
        names.exact("color")
    assert caught.value.hint == "Did you mean colour?"


def test_search_fields_are_texts_with_a_positive_boost() -> None:
    assert NAMES.searchable(["title^3", "brand"]) == ("title^3", "brand")
    with pytest.raises(UsageError, match="of type double, which holds no words"):
        NAMES.searchable(["price"])
    for boost in ("", "0", "-1", "much", "nan", "inf"):
        with pytest.raises(UsageError, match="no positive boost"):
            NAMES.searchable([f"title^{boost}"])


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"lt": 1000}, {"lte": 127}),
        ({"lte": "1e30"}, {"lte": 127}),
        ({"gt": 1000}, {"gt": 127}),
        ({"gte": -1000}, {"gte": -128}),
        ({"lt": -1000}, {"lt": -128}),
        ({"gt": 1, "lt": 2**70}, {"gt": 1, "lte": 127}),
        ({"exists": True}, {"exists": True}),
        ([1, 300], [1]),
        ([300, 2**70], {"gt": 127}),
        (2**70, {"gt": 127}),
        (-129, {"gt": 127}),
        ([], []),
        (5, 5),
    ],
)
def test_a_number_that_a_field_cannot_hold_finds_what_it_says(given: Any, held: Any) -> None:
    assert NAMES.typed("stars", given) == held
