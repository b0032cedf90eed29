"""The rows of one group as one product with variants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from clipita.catalogue.formats.rows import NumberedRow, Row
from clipita.catalogue.image_cells import image_sources
from clipita.catalogue.product import Product
from clipita.config import FieldsConfig
from clipita.errors import ImageError, ProductError

VARIANTS_FIELD = "variants"
"""The field of documents with the variants of a product, a list of objects."""

Reject = Callable[[int, Row | ProductError, ProductError], None]
"""Called with the number, the row and what is wrong with it."""


def main_row(rows: Sequence[NumberedRow], fields: FieldsConfig, is_head: Callable[[Row], bool]) -> NumberedRow:
    """The row that gives a group's product: the one that heads the group, or else the first one with a title."""
    read = [(number, row) for number, row in rows if not isinstance(row, ProductError)]
    heads = (record for record in read if is_head(record[1]))
    titled = (record for record in read if not _blank(record[1].get(fields.title)))
    return next(heads, None) or next(titled, rows[0])


def one_product(
    rows: Sequence[NumberedRow],
    main: int,
    fields: FieldsConfig,
    to_product: Callable[[Row], Product],
    is_head: Callable[[Row], bool],
    reject: Reject,
) -> Product:
    """The product of a group.

    Its images are the main row's and then those of the other rows. Every row, except one that heads the group or
    only adds a picture, is a variant: an object with what differs between the rows, and with all numbers, under the
    names that documents have. A blank cell of a row has the product's value.

    Args:
        rows: with their numbers, in the file's order; a group's rows can be read.
        main: the number of the row that `main_row` gives.
        fields: the mapping.
        to_product: converts one row; raises ProductError.
        is_head: whether a row stands for its group without being a variant.
        reject: is called for each row that cannot be a variant.

    Raises:
        ProductError: the main row gives no product.
    """
    read = [(number, row) for number, row in rows if not isinstance(row, ProductError)]
    base = dict(next(row for number, row in read if number == main))
    pictures = list(_pictures([base, *(row for _, row in read)], fields.image))
    if pictures and _blank(base.get(fields.image)):
        base[fields.image] = pictures[0]
    product = to_product({**base, fields.image: pictures} if len(pictures) > 1 else base)
    variants: list[Product] = []
    for number, row in read:
        if is_head(row) or (number != main and _only_a_picture(row, fields)):
            continue
        blanks = {name: base.get(name) for name in {**base, **row} if _blank(row.get(name))}
        try:
            variants.append(to_product({**row, **blanks}))
        except ProductError as error:
            reject(number, row, error)
    entries = list(_entries(product, variants))
    return dataclasses.replace(product, extra={**product.extra, VARIANTS_FIELD: entries}) if entries else product


def _entries(product: Product, variants: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """What the variants have of their own; nothing where they have nothing."""
    described = [_described(variant) for variant in variants]
    common = _described(product)
    own = {name for entry in described for name, value in entry.items() if value != common.get(name)}
    if not own:
        return
    for entry in described:
        yield {name: value for name, value in entry.items() if name in own or isinstance(value, int | float)}


def _described(product: Product) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "product_id": product.id,
        "title": product.title,
        "image": None if product.image is None else product.image.location,
        "attributes": dict(product.attributes) or None,
        **product.extra,
    }
    return {name: value for name, value in parts.items() if value is not None and value != ""}


def _pictures(rows: Sequence[Row], column: str) -> Iterator[Any]:
    """Each picture of the rows once; of one that is no picture its own row tells."""
    seen: list[Any] = []
    for row in rows if column else ():
        cell = row.get(column)
        for picture in cell if isinstance(cell, list | tuple) else [cell]:
            with suppress(ImageError):
                if picture not in seen and image_sources(picture, column, 1)[0]:
                    seen.append(picture)
                    yield picture


def _only_a_picture(row: Row, fields: FieldsConfig) -> bool:
    """Whether a row only adds a picture, as in Shopify: Image Src, with Image Position and Image Alt Text beside it."""
    filled = {name for name, value in row.items() if not _blank(value)}
    if not fields.image or fields.image not in filled:
        return False
    about = fields.image.split()[0] + " "
    return all(name in (fields.id, fields.group, fields.image) or name.startswith(about) for name in filled)


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})
