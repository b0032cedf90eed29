"""One type for all values of a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from clipita.catalogue.column_types import ColumnType, Survey, kind_of, typed
from clipita.catalogue.reader import CatalogueFile


def types_of(values: list[Any], name: str = "size", *, texts: bool = True) -> ColumnType:
    survey = Survey(texts=texts)
    for value in values:
        survey.add({name: value}, [name])
    return survey.types()[name]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", None, ""], "number"),
        (["1", "2", "N/A", "-"], "number"),
        (["1", "M"], "text"),
        (["36-38", "40-42"], "text"),
        (["0042", "17"], "text"),
        ([*(str(number) for number in range(9)), "none left"], "number"),
        ([True, False], "boolean"),
        ([True, "yes"], "text"),
        ([{"a": 1}, {"a": 2}, "plain"], "object"),
        ([{"a": 1}, "plain"], "text"),
        ([["red"], ["blue"]], "text"),
        ([[1], [2]], "number"),
    ],
)
def test_the_kind_that_fits(values: list[Any], kind: str) -> None:
    assert types_of(values).kind == kind


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ([1, "2.5 €", "x", None, {}, [3], True], [1.0, 2.5]),
        ([[1]], None),
        (10**400, None),
        (3, 3.0),
    ],
)
def test_odd_values_of_a_column_of_numbers(value: Any, kept: Any) -> None:
    column = types_of([1.5, 2.5, 3.5])
    assert typed({"size": value}, {"size": column}, ["size"]) == {"size": kept}


def test_half_numbers_are_enough_for_prices() -> None:
    values = ["10", "20", "call us"]
    assert types_of(values).kind == "text"
    assert types_of(values, "sale_price") == ColumnType("number", ".", 1)
    assert types_of(["10 €", "20 €", "call us"]) == ColumnType("number", ".", 1)
    assert types_of(["10-20", "30"], "price").kind == "number"


def test_plain_digits_in_json_stay_text() -> None:
    assert types_of(["42", "44"], texts=False).kind == "text"
    assert types_of(["42", 44], texts=False).kind == "number"
    assert types_of(["42 €", "44"], texts=False).kind == "number"


def test_the_column_says_what_its_comma_means() -> None:
    assert types_of(["1,299", "9,99"]) == ColumnType("number", ",", 0, whole=False)
    assert types_of(["1,299", "9.99"]) == ColumnType("number", ".", 0, whole=False)
    assert types_of(["1.299 €", "899 €"]).decimal == ","


def test_rows_as_their_types_say() -> None:
    types = {
        "price": ColumnType("number", ",", whole=False), "stock": ColumnType("number"), "spec": ColumnType("object"),
        "sold": ColumnType("text"), "new": ColumnType("boolean"),
    }  # fmt: skip
    row = {"price": "1.299,00 €", "stock": "7", "spec": {"a": 1}, "sold": True, "new": True, "more": [1]}
    assert typed(row, types, list(row)) == {**row, "price": 1299.0, "price_currency": "€", "stock": 7, "sold": "true"}
    row = {"price": "10-20", "stock": {"a": 1}, "spec": "x", "sold": {"a": 1}, "new": "yes"}
    assert typed(row, types, list(row)) == {
        "price": 10.0, "price_max": 20, "stock": None, "spec": None, "sold": None, "new": None
    }  # fmt: skip
    assert typed({"sold": [True, 1, "a"]}, types, []) == {"sold": ["true", "1", "a"]}


def test_a_column_of_the_shop_s_own_is_kept() -> None:
    row = {"price": "5 €", "price_currency": "EUR"}
    assert typed(row, {"price": ColumnType("number")}, list(row)) == {"price": 5, "price_currency": "EUR"}


def test_no_value_decides_for_later_rows(tmp_path: Path) -> None:
    rows = [
        {"product_id": "a", "title": "lamp", "price": 80, "in_stock": True, "spec": {"w": 1}},
        {"product_id": "b", "title": "lamp", "price": "80,99", "in_stock": "yes", "spec": "plain"},
        {"product_id": "c", "title": "lamp", "price": {"amount": 80}, "late": 1},
    ]
    (tmp_path / "shop.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    catalogue = CatalogueFile(tmp_path / "shop.jsonl")
    assert [dict(product.extra) for product in catalogue.products()] == [
        {"price": 80, "in_stock": "true", "spec": None},
        {"price": 80.99, "in_stock": "yes", "spec": "plain"},
        {"price": None, "late": 1},
    ]
    assert {name: column.others for name, column in catalogue.types.items() if column.others} == {"price": 1, "spec": 1}


def test_kinds() -> None:
    assert [kind_of(value) for value in (1, True, "a", {}, [], [None, 1.5])] == [
        "number", "boolean", "text", "object", "text", "number"
    ]  # fmt: skip
