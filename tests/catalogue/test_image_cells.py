"""Image cells in all the forms that catalogues have, one image or several."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile, ImageSource
from clipita.catalogue.image_cells import image_sources
from clipita.config import FieldsConfig
from clipita.errors import ImageError

DATA_URI = "data:image/jpeg;base64," + base64.b64encode(b"jpeg bytes").decode()


def found(value: Any, most: int = 4) -> list[str | bytes | None]:
    return [source.location or source.data or source.problem for source in image_sources(value, "image", most)[0]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        (b"", None),
        (b"jpeg", ImageSource(data=b"jpeg")),
        ({"bytes": b"jpeg", "path": "1.jpg"}, ImageSource(data=b"jpeg", location="1.jpg")),
        ({"bytes": None, "path": "1.jpg"}, ImageSource(location="1.jpg")),
        ({"bytes": None, "path": None}, None),
        (" a/1.jpg ", ImageSource(location="a/1.jpg")),
        ("https://shop/1.jpg", ImageSource(location="https://shop/1.jpg")),
        (DATA_URI, ImageSource(data=b"jpeg bytes")),
        ("no_selection", None),
        ([], None),
    ],
)
def test_shapes_of_one(value: Any, expected: ImageSource | None) -> None:
    assert image_sources(value, "image", 4) == (() if expected is None else (expected,), 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([None, "1.jpg", "2.jpg"], ["1.jpg", "2.jpg"]),
        ('["1.jpg", "http://h/2"]', ["1.jpg", "http://h/2"]),
        ([{"bytes": b"a", "path": None}, {"bytes": None, "path": "b.png"}], [b"a", "b.png"]),
        # WooCommerce: a comma and a blank.
        ("https://cdn/t.jpg, https://cdn/back.webp?v=2", ["https://cdn/t.jpg", "https://cdn/back.webp?v=2"]),
        ("a.jpg|b.jpg|c.png", ["a.jpg", "b.jpg", "c.png"]),
        ("//h/a;//h/b", ["https://h/a", "https://h/b"]),
        (f"{DATA_URI}|{DATA_URI}|a.jpg", [b"jpeg bytes", "a.jpg"]),
        # A placeholder is no image, and an image that repeats counts once.
        (["no_selection", "a.jpg", "N/A", "a.jpg", ""], ["a.jpg"]),
        ("http://h/a.jpg,no_selection,http://h/b.jpg,", ["http://h/a.jpg", "http://h/b.jpg"]),
        # One name with a separator in it.
        ("blue, front.jpg", ["blue, front.jpg"]),
        ("http://h/a.jpg?size=2,4", ["http://h/a.jpg?size=2,4"]),
        ([["a.jpg", ["b.jpg"]], "c.jpg d.jpg"], ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
    ],
)
def test_several(value: Any, expected: list[str | bytes]) -> None:
    assert found(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        7,
        {"url": "x"},
        {"bytes": "text", "path": "1.jpg"},
        "data:image/png,abc",
        "data:image/png;base64,a?b",
        "/9j/4AAQ" * 1000,
        "a\0b",
        "['http://h/a.jpg']",
        [7, {"url": "x"}],
        "[" * 500 + "1" + "]" * 500,
    ],
)
def test_what_is_no_image_is_refused(value: Any) -> None:
    with pytest.raises(ImageError, match=r"^the image"):
        image_sources(value, "image", 4)


def test_a_long_text_is_read_at_once() -> None:
    with pytest.raises(ImageError, match="longer than 4096 characters"):
        image_sources("a.jpg?" * 200_000 + " x, b", "image", 4)


def test_what_is_no_image_beside_others_keeps_its_place_and_says_why() -> None:
    assert found([7, "a.jpg"]) == ["the image has no known form: image holds a int", "a.jpg"]


def test_five_hundred_urls_are_cut_and_counted() -> None:
    urls = [f"https://h/{number}.jpg" for number in range(500)]
    for cell in (urls, ",".join(urls), urls + urls[:3]):
        kept, more = image_sources(cell, "image", 4)
        assert ([source.location for source in kept], more) == (urls[:4], 496)
    assert image_sources(urls[:1], "image", 1) == ((ImageSource(location=urls[0]),), 0)


def test_images_that_are_cut_are_not_kept_in_memory() -> None:
    uris = ["data:image/jpeg;base64," + base64.b64encode(bytes([number]) * 10**6).decode() for number in range(40)]
    tracemalloc.start()
    kept, more = image_sources(uris, "image", 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(kept), more) == (2, 38)
    assert peak < 8 * 10**6


def test_a_catalogue_uses_as_many_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text('product_id,title,image\n1,Hat,"/m/a.jpg,/m/b.jpg,https://h/c"\n')
    for most, locations in ((1, ["/m/a.jpg"]), (2, ["/m/a.jpg", "/m/b.jpg"])):
        [product] = CatalogueFile(tmp_path / "shop.csv", FieldsConfig(images_per_product=most)).products()
        assert [image.location for image in product.images] == locations
        assert product.unused_images == 3 - most
        assert [image.roots for image in product.images] == [(tmp_path,)] * most
    [product] = CatalogueFile(tmp_path / "shop.csv").products()
    assert [image.roots for image in product.images] == [(tmp_path,), (tmp_path,), None]
    assert product.image_cell == ["/m/a.jpg", "/m/b.jpg", "https://h/c"]
