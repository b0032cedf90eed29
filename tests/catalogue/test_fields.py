from __future__ import annotations

import contextlib
import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipita.catalogue import Product
from clipita.catalogue.fields import clashing_column, row_to_product
from clipita.config import FieldsConfig
from clipita.errors import ProductError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def product(fields: FieldsConfig | None = None, /, **cells: Any) -> Product:
    return row_to_product({"product_id": "1", "title": "Shoe", **cells}, fields or FieldsConfig())


class TestId:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("a1", "a1"),
            (" a1 ", "a1"),
            (17, "17"),
            (17.0, "17"),
            (Decimal("17"), "17"),
            (b"a1", "a1"),
            ("ß" * 256, "ß" * 256),
        ],
    )
    def test_text_and_whole_numbers(self, value: Any, expected: str) -> None:
        assert product(product_id=value).id == expected

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "missing"),
            ("", "missing"),
            ("  ", "missing"),
            (1.5, "neither text nor a whole number"),
            (float("nan"), "neither"),
            (1e30, "neither"),
            (True, "neither"),
            (["a"], "neither"),
            ("x" * 513, "512 bytes"),
            ("ß" * 257, "512 bytes"),
            ("a\0b", "NUL"),
            ("a\ud800", "surrogate"),
            (b"\xff", "UTF-8"),
        ],
    )
    def test_unusable(self, value: Any, reason: str) -> None:
        with pytest.raises(ProductError, match=reason):
            product(product_id=value)

    def test_absent_key(self) -> None:
        with pytest.raises(ProductError, match="missing"):
            row_to_product({"title": "Shoe"}, FieldsConfig())


class TestTitle:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, None),
            (" ", None),
            (" Shoe ", "Shoe"),
            (501, "501"),
            (501.0, "501"),
            (1.5, "1.5"),
            (float("nan"), None),
            ("a\0b", "a b"),
            ("half \ud83d pair", "half \ufffd pair"),
            ("Füße 👟", "Füße 👟"),
            (datetime.date(2024, 1, 2), "2024-01-02"),
        ],
    )
    def test_texts(self, value: Any, expected: str | None) -> None:
        assert product(title=value, attributes={"a": "b"}).title == expected

    def test_a_very_long_title_is_kept_whole(self) -> None:
        assert len(product(title="shoe " * 20_000).title or "") == 99_999

    @pytest.mark.parametrize("value", [["a"], {"en": "a"}, b"\xff\xfe"])
    def test_no_text(self, value: Any) -> None:
        with pytest.raises(ProductError, match="title is not"):
            product(title=value)

    def test_nothing_to_go_by(self) -> None:
        with pytest.raises(ProductError, match="no title, no image and no attribute"):
            product(title=None)


class TestCategoryPath:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, ()),
            ("", ()),
            ([], ()),
            (["Apparel", " Topwear "], ("Apparel", "Topwear")),
            ("Apparel > Topwear", ("Apparel", "Topwear")),
            ("Apparel>Topwear", ("Apparel", "Topwear")),
            ("Apparel", ("Apparel",)),
            ("Apparel > Topwear > ", ("Apparel", "Topwear")),
            (["Apparel", None, None], ("Apparel",)),
            ('["Apparel", "Topwear"]', ("Apparel", "Topwear")),
            ("[Sale]", ("[Sale]",)),
            ([1, 2], ("1", "2")),
        ],
    )
    def test_paths(self, value: Any, expected: tuple[str, ...]) -> None:
        assert product(category_path=value).category_path == expected

    def test_other_separator(self) -> None:
        fields = FieldsConfig(category_separator="/")
        assert product(fields, category_path="Shoes / Boots > Tall").category_path == ("Shoes", "Boots > Tall")

    def test_no_separator(self) -> None:
        assert product(FieldsConfig(category_separator=""), category_path="a > b").category_path == ("a > b",)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("Apparel >  > Shirts", "blank"),
            (["", "Shirts"], "blank"),
            (7, "neither a list nor text"),
            ({"a": 1}, "neither a list nor text"),
            ([[["a"]]], "not text"),
            ("['Apparel', 'Topwear']", "not valid JSON"),
            (["x"] * 33, "32 levels"),
            (["x" * 1001], "1000 characters"),
        ],
    )
    def test_unusable(self, value: Any, reason: str) -> None:
        with pytest.raises(ProductError, match=reason):
            product(category_path=value)


class TestAttributes:
    @pytest.mark.parametrize(
        "value",
        [
            {"colour": "Red", "size": 42, "gone": None, "blank": " "},
            [("colour", "Red"), ("size", "42")],
            [["colour", "Red"], ["size", 42.0]],
            [{"name": "colour", "value": "Red"}, {"name": "size", "value": 42}],
            [{"key": "colour", "value": "Red"}, {"key": "size", "value": "42"}],
            '{"colour": "Red", "size": 42}',
        ],
        ids=["object", "arrow map", "pairs", "name-value", "key-value", "JSON string"],
    )
    def test_map_like_columns_give_one_a_key(self, value: Any) -> None:
        assert product(attributes=value).attributes == {"colour": "Red", "size": "42"}

    def test_other_columns_give_one_each(self) -> None:
        fields = FieldsConfig(attributes=("brand", "materials", "new", "gone"))
        found = product(fields, brand="Nike", materials=["leather", "rubber"], new=True, gone=None, price=3)
        assert found.attributes == {"brand": "Nike", "materials": "leather, rubber", "new": "true"}
        assert found.extra == {"price": 3}

    def test_values_of_one_name_are_joined_once(self) -> None:
        fields = FieldsConfig(attributes=("attributes", "colour"))
        assert product(fields, attributes=[("colour", "Red"), ("colour", "Red")], colour="Blue").attributes == {
            "colour": "Red, Blue"
        }

    def test_nested_values(self) -> None:
        found = product(attributes={"size": {"eu": 42, "us": 9}, "fits": ["wide", ["tall"]]}).attributes
        assert found == {"size": "eu: 42, us: 9", "fits": "wide, tall"}

    def test_text_with_braces_is_text(self) -> None:
        assert product(attributes="{new}").attributes == {"attributes": "{new}"}

    def test_printed_python_dict_is_refused(self) -> None:
        with pytest.raises(ProductError, match="attributes is not valid JSON"):
            product(attributes="{'colour': 'Red'}")

    def test_depth_is_limited(self) -> None:
        value: Any = "x"
        for _ in range(500):
            value = [value]
        with pytest.raises(ProductError, match="nested too deeply"):
            product(attributes=value)


class TestExtra:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (3, 3),
            (2.5, 2.5),
            (float("nan"), None),
            (float("-inf"), None),
            (Decimal("12.50"), 12.5),
            (Decimal("12"), 12),
            (datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.UTC), "2024-01-02T03:00:00+00:00"),
            (datetime.timedelta(seconds=90), 90.0),
            ([("a", 1), ("b", 2)], {"a": 1, "b": 2}),
            ({"a": [1, float("nan")]}, {"a": [1, None]}),
            ("lone \udc00", "lone \ufffd"),
            (2**70, float(2**70)),
            (None, None),
        ],
    )
    def test_json_forms(self, value: Any, expected: Any) -> None:
        extra = product(field=value).extra
        assert extra == {"field": expected}
        assert orjson.loads(orjson.dumps(extra)) == {"field": expected}

    def test_bytes_and_nameless_columns_are_dropped(self) -> None:
        cells: dict[str, Any] = {"raw": b"x", "": "y", "kept": 1}
        assert product(**cells).extra == {"kept": 1}

    @pytest.mark.parametrize("value", [10**400, object(), {1, 2}])
    def test_no_json_form(self, value: Any) -> None:
        with pytest.raises(ProductError, match="no JSON form"):
            product(field=value)


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["product_id", "title", "category_path", "attributes", "image", "x"], JSON)
    )
)
def test_any_row_gives_a_product_that_json_can_hold_or_a_product_error(row: dict[str, Any]) -> None:
    with contextlib.suppress(ProductError):
        found = row_to_product(row, FieldsConfig())
        assert found.id
        assert all(found.category_path)
        assert all(isinstance(text, str) and text for pair in found.attributes.items() for text in pair)
        assert orjson.dumps([found.id, found.title, found.attributes, found.category_path, found.extra])


@pytest.mark.parametrize(
    "columns", [{"title": "x" * 5_000_000}, {"attributes": {"a": ["x" * 3_000_000] * 2}}, {"notes": "x" * 5_000_000}]
)
def test_texts_that_are_too_long(columns: dict[str, Any]) -> None:
    with pytest.raises(ProductError, match="the texts are too long"):
        row_to_product({"product_id": "1", "title": "shoe", **columns}, FieldsConfig())


def test_clashing_columns() -> None:
    assert clashing_column(["brand", "titles", "clipita_x"]) is None
    assert clashing_column(["brand", "attributes.colour"]) == "attributes.colour"
