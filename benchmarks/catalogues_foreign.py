"""The right reading of each small catalogue of shared/data/foreign, as its README says."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from clipita.catalogue.product import Product
from clipita.config import FieldsConfig

Reading = Callable[[FieldsConfig, list[Product]], str | None]
"""Says what is wrong; None if nothing is."""


def _values(**wanted: list[Any]) -> Reading:
    """The first products have these values: of the product, or of its extra fields."""

    def check(_: FieldsConfig, products: list[Product]) -> str | None:
        for name, values in wanted.items():
            found = [_value(product, name) for product in products[: len(values)]]
            if found != values:
                return f"{name}: {found}, not {values}"
        return None

    return check


def _value(product: Product, name: str) -> Any:
    if name == "image":
        return None if product.image is None else product.image.location
    if name == "paths":
        return sorted(product.category_paths)
    return getattr(product, name) if hasattr(product, name) else product.extra.get(name)


def _all(*readings: Reading) -> Reading:
    return lambda fields, products: next((said for one in readings if (said := one(fields, products))), None)


def _count(number: int) -> Reading:
    return lambda _, products: None if len(products) == number else f"{len(products)} products, not {number}"


def _field(name: str, value: Any) -> Reading:
    def check(fields: FieldsConfig, _: list[Product]) -> str | None:
        found = getattr(fields, name)
        return None if found == value else f"{name} is {found!r}, not {value!r}"

    return check


def _below_root(_: FieldsConfig, products: list[Product]) -> str | None:
    image = products[0].image
    assert image is not None
    assert image.location is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / image.location.lstrip("/")
        file.parent.mkdir(parents=True)
        file.touch()
        found = dataclasses.replace(image, roots=(Path(folder),)).path
    return None if found == file else f"{image} does not lie below the image root"


def _groups(_: FieldsConfig, products: list[Product]) -> str | None:
    by_image: dict[str, set[Any]] = {}
    for product in products:
        assert product.image is not None
        name = PurePosixPath(product.image.location or "").name
        by_image.setdefault(name, set()).add(product.extra.get("group"))
    alike = all(len(found) == 1 and None not in found for found in by_image.values())
    return None if alike else "variants have no group"


HOODIES = [("Default Category", "Collections", "Eco"), ("Default Category", "Men", "Hoodies")]
READINGS: dict[str, Reading] = {
    "01-price-text.csv": _values(price=[1299.0, 89.9, 9.99]),
    "02-decimal-sku.csv": _values(id=["100.10", "100.1", "1E3", "1000"]),
    "03-many-categories.csv": _values(paths=[HOODIES, [("Default Category", "Men", "Hoodies")]]),
    "04-path-in-json-list.csv": _values(
        category_path=[("Clothing", "Women", "Shorts"), ("Footwear", "Women", "Ballerinas")],
        image=["http://img.example.test/a.jpeg", "http://img.example.test/c.jpeg"],
    ),
    "05-google-feed.tsv": _values(category_path=[("Electronics", "Power", "Chargers")], price=[199, 299]),
    "06-html-as-category.csv": _values(category_path=[("Players",)] * 6, id=["1"]),
    "07-columns-as-levels.csv": _all(
        _values(category_path=[("Apparel", "Topwear", "Tshirts")], attributes=[{"baseColour": "Blue"}]), _count(12)
    ),
    "08-two-urls-in-cell.csv": _values(
        image=["http://127.0.0.1:9343/images/ok.jpg", "https://127.0.0.1:9343/images/ok.jpg", None]
    ),
    "09-split-by-a-flag.csv": _all(_field("id", "sku"), _count(40)),
    "10-variants.csv": _groups,
    "11-first-value-decides.jsonl": _all(_values(price=[80, 80.99, None], in_stock=["true", "yes"]), _count(4)),
    "12-excel-sep.csv": _values(id=["1", "2"], category_path=[("A", "B"), ("A", "B")]),
    "13-blank-first-line.csv": _values(id=["40", "41"], title=["Dress", "Coat"]),
    "14-leading-slash.csv": _below_root,
    "15-shopify.csv": _all(
        _values(id=["varsity-top"], category_path=[("Tops",)], title=["Varsity Top"]),
        lambda _, products: None if len(products[0].extra.get("variants", ())) == 3 else "not three variants",
    ),
    "16-czech.csv": _all(
        _values(title=["Nabíječka pro notebook 90W"], category_path=[("Elektronika", "Nabíječky")]), _count(2)
    ),
    "17-pipe.csv": _values(id=["1", "2"], title=["Hat", "Cap, blue"], price=[1, 2]),
    "18-header-missing.csv": _all(_count(5), _values(id=["u1"], category_path=[("Clothing", "Shorts")])),
    "19-tags-as-tree.jsonl": _all(_values(category_path=[()] * 8), _count(8)),
}
