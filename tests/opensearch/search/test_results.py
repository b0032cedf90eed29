"""What a hit tells of its product, wherever its document keeps that."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.config import SearchConfig
from clipita.opensearch import Hit
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.resolve import resolve
from clipita.opensearch.search.results import read_page

KEYWORD = {"type": "keyword"}
PROPERTIES = {"title": {"type": "text"}, "info": {"properties": {"name": {"type": "text"}, "shelf": KEYWORD}}}


def found(source: dict[str, Any], own: dict[str, str] | None = None) -> Hit:
    names = FieldNames(PROPERTIES, own)
    arguments = resolve("plates", {"mode": "lexical"}, SearchConfig(), names)
    hit = {"_id": "p1", "_score": 1.0, "_source": source, "sort": [1.0, "p1"]}
    (only,) = read_page({"took": 1, "hits": {"total": {"value": 1}, "hits": [hit]}}, arguments).hits
    return only


@pytest.mark.parametrize(
    ("shelf", "separator", "path"),
    [
        ("Kitchen / Plates", "/", ("Kitchen", "Plates")),
        ("Kitchen/Plates/", " / ", ("Kitchen", "Plates")),
        ("Kitchen Plates", " ", ("Kitchen", "Plates")),
        ("Kitchen/Plates", "", ("Kitchen/Plates",)),
        (["Kitchen", " Plates "], "/", ("Kitchen", "Plates")),
        (["Kitchen", None, 7, ["Plates"]], "/", ("Kitchen",)),
        ({"name": "Kitchen"}, "/", ()),
        (None, "/", ()),
        (7, "/", ()),
    ],
)
def test_the_category_path_of_the_shops_own_field(shelf: object, separator: str, path: tuple[str, ...]) -> None:
    own = {"title": "info.name", "category_path": "info.shelf", "category_separator": separator}
    assert found({"info": {"name": "Blue plate", "shelf": shelf}}, own).category_path == path


def test_the_picture_of_the_shops_own_field() -> None:
    own = {"image": "info.photo"}
    assert found({"info": {"photo": "https://shop/a.jpg"}, "image": "logo.png"}, own).image == "https://shop/a.jpg"
    assert found({"info": {"photo": ["https://shop/a.jpg", "b"]}}, own).image == "https://shop/a.jpg"
    assert found({}, own).image is None


def test_documents_of_our_own_layout() -> None:
    hit = found({"title": "Plate", "image": "https://shop/a.jpg", "category_path": ["Kitchen", "Plates"]})
    assert (hit.title, hit.image, hit.category_path) == ("Plate", "https://shop/a.jpg", ("Kitchen", "Plates"))
    assert found({"title": "Plate", "category_path": "Kitchen > Plates"}).category_path == ("Kitchen", "Plates")
