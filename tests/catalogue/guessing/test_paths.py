"""How a catalogue writes its category paths."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.catalogue.guessing.paths import are_tags, guess_levels, guess_path, separator_of


@pytest.mark.parametrize(
    ("names", "separator"),
    [
        ([], None),
        (["Shoes", "Hats"], None),
        (["Shoes > Boots", "Shoes > Sandals", "Hats"], " > "),
        (["Shoes>Boots", "Hats>Caps"], ">"),
        (["T-shirts/Tops > Red", "Hats > Caps"], " > "),
        (["A/B", "C/D"], "/"),
        (["A >> B", "C >> D >> E"], " >> "),
    ],
)
def test_the_separator_is_in_most_names(names: list[str], separator: str | None) -> None:
    assert separator_of(names) == separator


@pytest.mark.parametrize(
    ("cells", "settings"),
    [
        (["A > B", "A > C"], {"category_separator": " > "}),
        (["A/B,A/C", "A/B", "A/D"], {"category_separator": "/", "path_separator": ","}),
        (["A > B; C > D", "A > B"], {"category_separator": " > ", "path_separator": ";"}),
        (["A > B, large", "A > C, small"], {"category_separator": " > "}),
        (["A > B, C", "C > D", "A > E"], {"category_separator": " > ", "path_separator": ","}),
        (["Men>Shoes;Sale", "Men>Hats"], {"category_separator": ">", "path_separator": ";"}),
        (["Clothing, Hats", "Hats", "Clothing"], {"path_separator": ","}),
        (["Cologne, Fragrance", "Hats", "Clothing"], {}),
        (['["A >> B"]', '["C >> D"]'], {"category_separator": " >> "}),
        ([["A > B", "C > D"], ["A > B"]], {"category_separator": " > "}),
        ([["A", "B"], ["C"]], {}),
        ([None, "", "Shoes"], {}),
        ([{"a": 1}, 5, "[broken"], {}),
    ],
)
def test_the_separators_of_a_column(cells: list[Any], settings: dict[str, str]) -> None:
    guess = guess_path(cells)
    assert guess.settings == settings
    assert set(guess.reasons) == set(settings)


TREE = [("Apparel", "Topwear", "Tshirts"), ("Apparel", "Topwear", "Shirts"), ("Footwear", "Shoes", "Casual Shoes")] * 4


def columns(*names: str) -> tuple[list[dict[str, str]], dict[str, list[str]]]:
    rows = [dict(zip(names, path, strict=True)) for path in TREE]
    return rows, {name: [row[name] for row in rows] for name in names}


def test_levels_in_columns() -> None:
    assert guess_levels(*columns("masterCategory", "subCategory", "articleType")) == [
        "masterCategory", "subCategory", "articleType"
    ]  # fmt: skip
    assert guess_levels(*columns("department", "colour", "type")) == ["department", "type"]


def test_what_is_no_tree_of_columns() -> None:
    assert guess_levels(*columns("one", "two", "three")) == []
    rows, values = columns("category", "sub", "type")
    assert guess_levels(rows[:3], {name: one[:3] for name, one in values.items()}) == []
    crossed = [{"category": "ab"[number % 2], "type": "cde"[number % 3]} for number in range(12)]
    assert guess_levels(crossed, {name: [row[name] for row in crossed] for name in ("category", "type")}) == []
    twice = [{"category": "ab"[number % 2], "category_name": "ab"[number % 2]} for number in range(12)]
    assert guess_levels(twice, {name: [row[name] for row in twice] for name in ("category", "category_name")}) == []


def test_tags_stand_in_any_order() -> None:
    assert are_tags([["sale", "red"], ["red", "new"], ["new", "sale"]])
    assert not are_tags([["Shoes", "Boots"], ["Shoes", "Sandals"], ["Hats"]])
    assert not are_tags([["Shoes"], ["Hats"]])
    assert not are_tags(['[["Men", "Shoes"], ["Sale", "Men"]]', '[["Sale", "Men"], ["Men"]]'])
    assert not are_tags(["Shoes > Boots", None])
