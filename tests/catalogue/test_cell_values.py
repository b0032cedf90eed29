"""Cells of Parquet, JSON and CSV as text, phrases, pairs and JSON values."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest

from clipita.catalogue.cell_values import (
    MAX_DEPTH,
    clean,
    integer_text,
    jsonable,
    pairs,
    parse_json_cell,
    phrase,
    text,
    without_markup,
)
from clipita.errors import ProductError

ID = uuid.UUID(int=7)


def nested(depth: int) -> Any:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value]
    return value


def test_clean_removes_what_utf8_cannot_carry() -> None:
    assert clean("a\0b \ud800 \u00e9") == "a b \ufffd \u00e9"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("  a ", "a"), ("", None), (True, "true"), (3, "3"), (3.0, "3"), (0.1, "0.1"),
        (math.nan, None), (math.inf, None), (Decimal("1.50"), "1.5"), (Decimal("NaN"), None), (b" a ", "a"),
        (datetime.date(2026, 1, 2), "2026-01-02"), (ID, str(ID)),
    ],
)  # fmt: skip
def test_text(value: Any, expected: str | None) -> None:
    assert text(value, "title") == expected


@pytest.mark.parametrize(
    ("value", "what"), [([1], "a list"), ({}, "an object"), (b"\xff", "UTF-8"), (object(), "object")]
)
def test_what_is_not_text_names_its_column(value: Any, what: str) -> None:
    with pytest.raises(ProductError, match=f"^title is not.*{what}"):
        text(value, "title")


def test_phrases_of_lists_and_objects() -> None:
    assert phrase({"size": ["S", None, "M"], "empty": "", "fit": {"cut": "slim"}}, "a") == "size: S, M, fit: cut: slim"
    assert phrase([], "a") is None
    assert phrase(nested(MAX_DEPTH), "a") == "leaf"


@pytest.mark.parametrize("read", [phrase, jsonable])
def test_deep_nesting_is_refused(read: Any) -> None:
    with pytest.raises(ProductError, match=f"a has more than {MAX_DEPTH} levels"):
        read(nested(MAX_DEPTH + 1), "a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, [("a", 1)]),
        ('{"a": 1}', [("a", 1)]),
        ([["a", 1], ("b", 2)], [("a", 1), ("b", 2)]),
        ([{"name": "a", "value": 1}, {"key": "b", "value": 2}], [("a", 1), ("b", 2)]),
        ([["a", 1], "b"], None), ([], None), ("plain", None), (3, None),
    ],
)  # fmt: skip
def test_pairs(value: Any, expected: Any) -> None:
    assert pairs(value, "attributes") == expected


@pytest.mark.parametrize(("value", "expected"), [("[1, 2]", [1, 2]), ("[Sale]", "[Sale]"), ('{"a": 1}', '{"a": 1}')])
def test_json_in_a_string(value: str, expected: Any) -> None:
    assert parse_json_cell(value, list, "c") == expected


def test_a_printed_python_dict_is_refused() -> None:
    with pytest.raises(ProductError, match="attributes is not valid JSON"):
        pairs("{'a': 1}", "attributes")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None), (b"x", None), (True, True), (2**63 - 1, 2**63 - 1), (2**63, float(2**63)),
        (Decimal("12.00"), 12.0), (Decimal("12"), 12), (datetime.timedelta(seconds=1.5), 1.5),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        ([("a", 1), ("b", 2)], {"a": 1, "b": 2}), ([1, "\0"], [1, " "]), ({1: ID}, {"1": str(ID)}),
    ],
)  # fmt: skip
def test_jsonable(value: Any, expected: Any) -> None:
    found = jsonable(value, "c")
    assert (found, type(found)) == (expected, type(expected))


def test_what_json_cannot_hold_names_its_column() -> None:
    with pytest.raises(ProductError, match=r"c holds a number of \d+ digits"):
        jsonable(10**400, "c")
    with pytest.raises(ProductError, match="c holds a value of type object"):
        jsonable(object(), "c")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, "7"), (7.0, "7"), (Decimal("7.0"), "7"), (True, None), (7.5, None), (2.0**53, None), ("7", None)],
)
def test_integer_text(value: Any, expected: str | None) -> None:
    assert integer_text(value) == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<p>Casual &amp; warm</p>", "Casual & warm"),
        ("a <b>bold</b><br/>shoe", "a bold shoe"),
        ("<script>alert(1)</script>Hat<!-- x -->", "Hat"),
        ("<p></p>", None),
        ("Tom & Jerry <3", "Tom & Jerry <3"),
        ("5 < 6 > 4", "5 < 6 > 4"),
        ("R&D &unknown; &#65; &#x42;", "R&D &unknown; A B"),
        ("&#0;x", "\ufffdx"),
        ("&#xD800;x", "\ufffdx"),
        (None, None),
    ],
)
def test_titles_have_no_markup(written: str | None, read: str | None) -> None:
    assert without_markup(written) == read
