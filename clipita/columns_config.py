"""Settings that name a catalogue's columns; `config` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipita.option_table import option


@dataclass(frozen=True)
class ColumnsConfig:
    """Which column is id, title, category path, attributes and images, and how their cells are written."""

    id: str = option("product_id", "The product's own identifier, text or a whole number, unique in the catalogue.")
    title: str = option("title", "What the shop calls the product.")
    category_path: str = option(
        "category_path",
        "The path in the category tree: a list, root first, or one string; several paths as a list of either.",
    )
    category_separator: str = option(" > ", "Splits a path that is one string; blanks around it do not matter.")
    path_separator: str = option(
        "", "Between several paths in one string, such as a comma; without it, such a string is one path."
    )
    attributes: tuple[str, ...] = option(
        ("attributes",),
        "Columns of attributes. A map, an object or a JSON object in a string gives one attribute per key; any "
        "other column gives one attribute under its own name.",
        one="attribute",
    )
    category_columns: tuple[str, ...] = option(
        (),
        "The levels of the tree in columns of their own, the root's first; in place of category_path.",
        one="column",
    )
    taxonomy: Path | None = option(
        None, "Google's file of numbers and paths, where category_path holds numbers.", example="taxonomy-with-ids.txt"
    )
    columns: tuple[str, ...] = option(
        (), "Names of all columns, in their order, for CSV files without a header line.", one="column"
    )
    image: str = option(
        "image", "The image: encoded bytes, a file path, an http(s) URL or a base64 data: URI; or several of them."
    )
    images_per_product: int = option(
        4, "Images of a product that are used, in the catalogue's order; the first that works is the main one.",
        ge=1, le=16,
    )  # fmt: skip
