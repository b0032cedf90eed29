"""A table of options: types, bounds, lists, secrets, and values in text form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from clipita.errors import ConfigError
from clipita.option_table import Option, check_known, option, options, read_environment, read_table


@dataclass(frozen=True)
class Shop:
    """A shop."""

    size: int = option(24, "Products per page.", ge=1, le=100)
    pivot: float = option(10.0, "Above 0.", gt=0)
    mode: Literal["words", "vector"] = option("words", "What is searched.")
    fields: tuple[str, ...] = option(("title",), "Text fields.", one="field")
    open: bool = option(False, "Whether it is open.")
    folder: Path | None = option(None, "Where its files are.")
    token: str | None = option(None, "Only from the environment.", secret=True, repr=False)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("size", 1, 1),
        ("size", 100, 100),
        ("pivot", 1, 1.0),
        ("mode", "vector", "vector"),
        ("fields", ["title", "brand"], ("title", "brand")),
        ("open", True, True),
        ("folder", "shop", Path("shop")),
        ("folder", None, None),
    ],
)
def test_a_value_of_the_right_type_is_converted(name: str, value: Any, expected: Any) -> None:
    assert options(Shop)[name].convert(value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 0),
        ("size", 101),
        ("size", 1.5),
        ("size", "24"),
        ("size", True),
        ("pivot", 0),
        ("mode", "images"),
        ("fields", "title"),
        ("fields", ["title", 3]),
        ("open", 1),
        ("folder", 3),
    ],
)
def test_another_type_or_a_number_out_of_bounds_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected|Invalid|no conversion"):
        options(Shop)[name].convert(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("size", "30", 30), ("pivot", "1e1", 10.0), ("open", "Yes", True), ("open", "off", False), ("token", "1", "1")],
)
def test_text_is_read_as_the_type(name: str, text: str, expected: Any) -> None:
    assert options(Shop)[name].convert(text, lax=True) == expected


@pytest.mark.parametrize(("name", "text"), [("size", "many"), ("size", "0"), ("open", "perhaps")])
def test_text_of_another_type_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"Expected|Invalid|Unable"):
        options(Shop)[name].convert(text, lax=True)


def test_an_option_says_what_it_expects() -> None:
    table = options(Shop)
    assert table["size"].expected == "a whole number, at least 1 and at most 100"
    assert table["pivot"].expected == "a number, above 0"
    assert table["mode"].expected == "one of: words, vector"
    assert table["fields"].expected == "a list of texts"
    assert table["mode"].choices == ("words", "vector")


def test_lists_are_recognised() -> None:
    assert [name for name, entry in options(Shop).items() if entry.is_list] == ["fields"]
    assert Option("Sort keys.", hint=str | Sequence[str]).is_list


def test_a_table_of_the_settings_file(tmp_path: Path) -> None:
    values = read_table(Shop, {"size": 5, "folder": "files"}, "[shop]", tmp_path)
    assert values == {"size": 5, "folder": tmp_path / "files"}


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"sise": 5}, "unknown key sise", "Did you mean size?"),
        ({"size": 0}, "size is 0", "at least 1 and at most 100"),
        ({"token": "abc"}, "does not belong in this file", "Only from the environment"),
        ("text", "must be a table", ""),
    ],
)
def test_a_wrong_table_is_refused(table: Any, message: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_table(Shop, table, "[shop]", tmp_path)
    assert hint in (caught.value.hint or "")


def test_the_environment() -> None:
    environ = {"CLIPITA_SHOP_FIELDS": "title, brand,", "CLIPITA_SHOP_TOKEN": "abc", "CLIPITA_OTHER_SIZE": "1"}
    assert read_environment(Shop, "shop", environ) == {"fields": ("title", "brand"), "token": "abc"}
    with pytest.raises(ConfigError, match="CLIPITA_SHOP_SIZE is 'many'"):
        read_environment(Shop, "shop", {"CLIPITA_SHOP_SIZE": "many"})


def test_a_secret_is_not_in_the_objects_text() -> None:
    assert "abc" not in repr(Shop(token="abc"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="There is no colour") as caught:
        check_known("colour", {"size": 1, "mode": 2}, "There is no colour")
    assert caught.value.hint == "Known: size, mode."
