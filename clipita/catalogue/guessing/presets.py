"""What the exports of shop systems call their columns: settings of [fields] where nothing has to be guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clipita.catalogue.fields import listed
from clipita.catalogue.formats.rows import Row
from clipita.config import FieldsConfig
from clipita.errors import UsageError
from clipita.option_table import options

_BESIDE = re.compile(r"\([^)]*\)|\*")
"""PrestaShop's "Name *" and "Categories (x,y,z...)", whose marks depend on its version and settings."""
_BETWEEN = re.compile(r"\(x(.)y")


@dataclass(frozen=True)
class Preset:
    """The export of one system.

    Attributes:
        columns: role to the names that its column may have, the usual one first.
        settings: of [fields], as they are.
        attributes: columns of attributes that every export has.
        further: columns of attributes that an export may have.
        note: what no file says.
    """

    columns: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    note: str = ""


PRESETS: Mapping[str, Preset] = MappingProxyType({
    # https://help.shopify.com/en/manual/products/import-export/using-csv
    "shopify": Preset(
        {
            "id": ("Handle", "URL handle"),
            "title": ("Title",),
            "category_path": ("Type", "Product Category", "Product category"),
            "image": ("Image Src", "Product image URL"),
            "group": ("Handle", "URL handle"),
        },
        {"category_separator": " > ", "variants": "one"},
        attributes=("Vendor",),
    ),
    # https://github.com/woocommerce/woocommerce/wiki/Product-CSV-Import-Schema
    "woocommerce": Preset(
        {
            "id": ("ID",),
            "title": ("Name",),
            "category_path": ("Categories",),
            "image": ("Images",),
            "group": ("Parent",),
        },
        {"category_separator": " > ", "path_separator": ",", "variants": "one"},
        further=("Brands", *(f"Attribute {number} value(s)" for number in range(1, 6))),
    ),
    # https://experienceleague.adobe.com/docs/commerce-admin/systems/data-transfer/data-attributes-product.html
    "magento": Preset(
        {
            "id": ("sku",),
            "title": ("name",),
            "category_path": ("categories",),
            "image": ("base_image",),
            "group": ("configurable_variations",),
        },
        {"category_separator": "/", "path_separator": ","},
        further=("brand", "manufacturer", "color", "size", "material"),
        note="Images lie below pub/media/catalog/product of the shop: set image_root under [catalogue] to it.",
    ),
    # https://support.google.com/merchants/answer/7052112
    "google": Preset(
        {
            "id": ("id",),
            "title": ("title",),
            "category_path": ("product_type", "product type", "google_product_category", "google product category"),
            "image": ("image_link", "image link"),
            "group": ("item_group_id", "item group id"),
        },
        {"category_separator": " > "},
        attributes=("brand",),
        further=("color", "material", "pattern", "size", "gender", "age_group", "age group"),
    ),
    # https://docs.prestashop-project.org: Advanced parameters, Import; a path is written Home/Clothes.
    "prestashop": Preset(
        {
            "id": ("Product ID", "ID"),
            "title": ("Name *", "Name"),
            "category_path": ("Categories (x,y,z...)",),
            "image": ("Image URLs (x,y,z...)",),
        },
        {"category_separator": "/", "path_separator": ","},
        further=("Manufacturer", "Brand"),
    ),
})  # fmt: skip


def preset_fields(
    system: str, columns: Sequence[str] = (), rows: Sequence[Row] = (), file: Path | None = None
) -> dict[str, Any]:
    """Settings of [fields] for an export of a system.

    With a file's columns only those that it has are named; of several names for a role the first one that has values in
    the rows. A role without a column has the empty name, as in a guess.

    Args:
        system: one of `PRESETS`.
        columns: of the file; none for the whole preset.
        rows: the file's first rows.
        file: named in the error.

    Raises:
        UsageError: the file has no column for the id: it is no export of this system.
    """
    preset = PRESETS[system]
    known = options(FieldsConfig)
    settings = {name: value for name, value in preset.settings.items() if name in known}
    if not columns:
        named = {role: names[0] for role, names in preset.columns.items()}
        return {**named, "attributes": list(preset.attributes), **settings}
    found = {role: _column(names, columns, rows) for role, names in preset.columns.items()}
    if not found["id"]:
        raise UsageError(
            f"{file} is no export of {system}: it has no column {preset.columns['id'][0]!r}. Its columns are: "
            f"{listed(columns)}.",
            hint="Leave out --from, so that `clipita init` guesses the columns.",
        )
    attributes = [name for name in (*preset.attributes, *preset.further) if name in columns]
    if not found.get("group"):
        settings.pop("variants", None)
    if "path_separator" in settings and (mark := _BETWEEN.search(found["category_path"])):
        settings["path_separator"] = mark.group(1)
    return {**found, "attributes": attributes, **settings}


def _column(names: Sequence[str], columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The column with one of the names: the first that has a value, else the first; empty without such a column."""
    by_key = {_key(column): column for column in reversed(columns)}
    present = [by_key[_key(name)] for name in names if _key(name) in by_key]
    filled = (name for name in present if any(row.get(name) not in (None, "") for row in rows))
    return next(filled, None) or next(iter(present), "")


def _key(name: str) -> str:
    return " ".join(_BESIDE.sub(" ", name).lower().split())
