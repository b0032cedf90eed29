from __future__ import annotations

import pytest

from clipita.catalogue.column_names import likely_column, nearest


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [
        ("colour", ["Color", "size"], "Color"),
        ("TITLE", ["title", "titles"], "title"),
        ("price", ["brand", "image"], None),
        ("price", [], None),
    ],
)
def test_the_nearest_name(name: str, available: list[str], expected: str | None) -> None:
    assert nearest(name, available) == expected


@pytest.mark.parametrize(
    ("role", "available", "expected"),
    [
        ("title", ["name", "title"], "title"),  # the default name wins
        ("title", ["brand", "ProductName"], "ProductName"),
        ("id", ["price", "Article No", "SKU"], "SKU"),
        ("image", ["image_width", "mainImageURL"], "mainImageURL"),
        ("category_path", ["category_id", "google_product_category"], "google_product_category"),
        ("attributes", ["specs"], "specs"),
        ("title", ["titel"], "titel"),  # misspelt
        ("title", ["subtitle", "brand"], None),
    ],
)
def test_a_likely_column(role: str, available: list[str], expected: str | None) -> None:
    assert likely_column(role, available, {"id": "product_id"}.get(role, role)) == expected
