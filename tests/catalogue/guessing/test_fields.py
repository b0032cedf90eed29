"""Fields guessed from names, and where names say nothing, from values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue.guessing.fields import columns_by_values, guess_fields


def test_a_foreign_feed(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("SKU,Product Name,Category,image_url,brand\n1,Shoe,Shoes/Boots,1.jpg,Nike\n", encoding="utf-8")
    guess = guess_fields(feed)
    assert guess.fields == {
        "id": "SKU",
        "title": "Product Name",
        "category_path": "Category",
        "category_separator": "/",
        "image": "image_url",
        "attributes": ["brand"],
    }
    assert guess.warnings == ("no column is named like the attributes; by its values it is brand.",)
    assert guess.reasons == {
        "id": "by its name; '1'",
        "title": "by its name; 'Shoe'",
        "category_path": "by its name; 'Shoes/Boots'",
        "category_separator": "in most of the paths: 'Shoes/Boots'",
        "image": "by its name; '1.jpg'",
        "attributes": "by its values; 'Nike'",
    }


COLUMNS: dict[str, list[Any]] = {
    "key": [f"a-{number}" for number in range(20)],
    "photo": [f"https://shop.example/{number}.JPG?w=1" for number in range(20)],
    "tree": [f"Shoes > {'Boots' if number % 2 else 'Sandals'}" for number in range(20)],
    "label": [f"Model {number} of leather" for number in range(20)],
    "long": [f"A long text about the model {number}, which nobody reads" for number in range(20)],
    "colour": ["red" if number % 2 else "blue" for number in range(20)],
    "currency": ["EUR"] * 20,
    "price": [number + 0.5 for number in range(20)],
    "page": [f"https://shop.example/{number % 2}" for number in range(20)],
}


@pytest.mark.parametrize(
    ("role", "columns"),
    [("id", ["key"]), ("image", ["photo"]), ("category_path", ["tree"]), ("title", ["label"])],
)
def test_a_role_is_known_by_its_values(role: str, columns: list[str]) -> None:
    assert columns_by_values(role, COLUMNS, 20) == columns
    assert columns_by_values(role, {"currency": COLUMNS["currency"], "price": COLUMNS["price"]}, 20) == []


def test_attributes_repeat_and_differ() -> None:
    without_tree = {name: values for name, values in COLUMNS.items() if name != "tree"}
    assert columns_by_values("attributes", without_tree, 20) == ["colour"]


def test_nothing_is_concluded_from_three_values() -> None:
    assert columns_by_values("category_path", {"tree": COLUMNS["tree"][:3]}, 3) == []
    assert columns_by_values("id", {"key": COLUMNS["key"][:19]}, 20) == []


def test_a_name_is_not_believed_against_its_values(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    rows = "".join(f"{number % 2},s{number},276,<b>x</b>\n" for number in range(6))
    feed.write_text(f"id,sku,google_product_category,title\n{rows}")
    guess = guess_fields(feed)
    assert guess.fields == {"id": "sku", "title": "", "category_path": "", "image": "", "attributes": []}
    assert guess.warnings[0].startswith("google_product_category holds numbers of a taxonomy.")


def test_an_id_that_repeats_is_none(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id,title\na,x y\na,x z\n")
    guess = guess_fields(feed)
    assert "id" not in guess.fields
    assert guess.warnings[0] == "id is no id: a stands in more than one row."
