"""The field mapping: column names are checked once per file, values are converted once per row."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipita.catalogue.category_cells import category_paths
from clipita.catalogue.cell_values import (
    MAX_DEPTH,
    clean,
    field_name,
    integer_text,
    jsonable,
    pairs,
    phrase,
    text,
    without_markup,
)
from clipita.catalogue.column_names import ROLES, likely_column, nearest
from clipita.catalogue.image_cells import image_sources
from clipita.catalogue.product import Product
from clipita.catalogue.taxonomy import by_number
from clipita.config import FieldsConfig
from clipita.errors import FieldMappingError, ProductError

MAX_ID_BYTES = 512
"""OpenSearch's limit of an `_id`."""
OURS = (
    "attributes", "attributes_text", "category_path", "clipita", "image", "product_id", "product_vector", "title"
)  # fmt: skip
"""Fields of an index that clipita writes itself."""
MAX_CHARACTERS = 4 * 2**20
"""Of all texts of a product but its images; many products are held at a time."""

_DEFAULTS = FieldsConfig()
_SHOWN_COLUMNS = 30


def resolve_columns(fields: FieldsConfig, available: Sequence[str], file: Path) -> FieldsConfig:
    """Check the mapping against a file's columns.

    No column is overlooked in silence:

    1. The id column must exist.
    2. A column that the user named (it differs from the default) must exist.
    3. A default column may be absent unless an unused column looks like it: a file with `Title` or `product_title` and
       no `title` is an error. An empty name (`image = ""`, `--image-field ""`) says that the catalogue has none.
    4. At least one of title, image and attributes must exist.
    5. The separator between category paths must not be part of the one between the names of a path.
    6. The column of groups must exist, if one is named.

    Returns:
        The mapping, with empty names for absent columns.

    Raises:
        FieldMappingError: a rule is broken; the message lists the columns and the nearest name.
    """
    roles = {"id": fields.id, "title": fields.title, "category_path": fields.category_path, "image": fields.image}
    named = [("attributes", name) for name in fields.attributes]
    named += [("category_columns", name) for name in fields.category_columns]
    if fields.category_columns:
        roles["category_path"] = ""
    free = [name for name in available if name not in (*roles.values(), *fields.attributes)]
    for role, name in (*roles.items(), *named):
        if name not in available:
            _check_absent(role, name, fields, available, free, file)
    roles = {role: name if name in available else "" for role, name in roles.items()}
    attributes = tuple(name for name in fields.attributes if name and name in available)
    if not (roles["title"] or roles["image"] or attributes):
        raise FieldMappingError(
            f"{file} has no column for a title, an image or attributes. Its columns are: {listed(available)}.",
            hint="Name at least one of them with --title-field, --image-field or --attribute-field.",
        )
    check_group(fields, available, file)
    if (between := fields.path_separator.strip() or fields.path_separator) and between in fields.category_separator:
        raise FieldMappingError(
            f"The separator between paths, {fields.path_separator!r}, is part of the one between the names of a path, "
            f"{fields.category_separator!r}.",
            hint="Use other ones: --path-separator and --category-separator.",
        )
    known: dict[str, Any] = {"attributes": attributes, **roles}
    return dataclasses.replace(fields, **known)


def default_column(role: str) -> str:
    """The column name that [fields] has by default for id, title, category_path, image or attributes."""
    return _DEFAULTS.attributes[0] if role == "attributes" else str(getattr(_DEFAULTS, role))


def require_id(fields: FieldsConfig, available: Sequence[str], file: Path) -> None:
    """Check the id column only.

    Raises:
        FieldMappingError: the column is missing; the message lists the columns and the nearest name.
    """
    if fields.id not in available:
        raise _no_column("id", fields.id, available, file)


def check_group(fields: FieldsConfig, available: Sequence[str], file: Path) -> None:
    """Check the column of groups, if one is named.

    Raises:
        FieldMappingError: the column is missing; the message lists the columns and the nearest name.
    """
    if fields.group and fields.group not in available:
        raise _no_column("group", fields.group, available, file)


def row_to_product(row: Mapping[str, Any], fields: FieldsConfig, roots: Collection[str] = ()) -> Product:
    """Convert a row to a product.

    - id: text or a whole number, stripped.
    - title: text or a number, without HTML tags and entities; a blank title is None.
    - category paths: see `category_cells.path_parts`. Names are stripped, and blank names at the end dropped. A blank
      name before another is an error. An empty path is allowed.
    - attributes: see `cell_values.pairs`. Blank names and values are dropped; values of one name are joined with ", ".
    - images: see `image_cells.image_sources`; the first `images_per_product` are used.
    - other columns go to `extra` as `cell_values.jsonable` returns them, by the name of `cell_values.field_name`. Raw
      bytes (JSON cannot hold them) and columns without a name (OpenSearch refuses them) are dropped.

    Args:
        row: column name to value.
        fields: the mapping, as `resolve_columns` returned it.
        roots: names that begin category paths of the file.

    Raises:
        ProductError: the row is not a usable product, or has none of title, image and attributes.
        ImageError: the image column holds something, and none of it can be an image.
    """
    length = sum(_characters(value) for name, value in row.items() if name != fields.image)
    if length > MAX_CHARACTERS:
        raise ProductError(f"the texts are too long: {length:,} characters, more than {MAX_CHARACTERS:,}")
    mapped = mapped_columns(fields)
    cells = {name: row.get(name) for name in mapped if name}
    images, unused = image_sources(cells.get(fields.image), fields.image, fields.images_per_product)
    product = Product(
        id=product_id(row, fields),
        title=without_markup(text(cells.get(fields.title), fields.title)),
        attributes=_attributes(row, fields),
        category_paths=category_paths(_category_cell(row, fields), fields, roots),
        images=images,
        unused_images=unused,
        extra={
            field_name(name): jsonable(value, name)
            for name, value in row.items()
            if name and name not in mapped and not isinstance(value, bytes)
        },
    )
    if product.title is None and not product.images and not product.attributes:
        raise ProductError("the product has no title, no image and no attribute")
    return product


def _characters(value: Any, depth: int = 0) -> int:
    """Of all texts in a value; one that is nested too deeply is refused elsewhere."""
    if isinstance(value, str):
        return len(value)
    if depth > MAX_DEPTH:
        return 0
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return sum(_characters(part, depth + 1) for part in parts)


def _category_cell(row: Mapping[str, Any], fields: FieldsConfig) -> Any:
    """The cell of the path; of levels in several columns their names down to the first blank one."""
    if fields.category_columns:
        names = (text(row.get(name), name) for name in fields.category_columns)
        # A level that repeats the one above adds nothing.
        return [name for name, _ in itertools.groupby(itertools.takewhile(lambda name: name is not None, names))]
    cell = row.get(fields.category_path)
    return cell if fields.taxonomy is None else by_number(cell, fields.taxonomy)


def product_id(row: Mapping[str, Any], fields: FieldsConfig) -> str:
    """The id of a row.

    Raises:
        ProductError: it is missing, blank, neither text nor a whole number, longer than 512 bytes, or not encodable.
    """
    value = row.get(fields.id)
    if isinstance(value, bytes):
        value = text(value, fields.id)
    found = value.strip() if isinstance(value, str) else integer_text(value)
    if found is None and value is not None:
        raise ProductError(f"the id is neither text nor a whole number: {fields.id} is {str(value)[:60]!r}")
    if not found:
        raise ProductError(f"the id is missing: {fields.id} is empty")
    if clean(found) != found:
        raise ProductError(f"the id holds a NUL or half a surrogate pair: {found[:60]!r}")
    if len(found.encode()) > MAX_ID_BYTES:
        raise ProductError(f"the id is longer than {MAX_ID_BYTES} bytes, OpenSearch's limit: {found[:40]}…")
    return found


def _attributes(row: Mapping[str, Any], fields: FieldsConfig) -> dict[str, str]:
    collected: dict[str, list[str]] = {}
    for column in fields.attributes:
        value = row.get(column)
        found = pairs(value, column)
        for key, part in [(column, value)] if found is None else found:
            words = phrase(part, column)
            name = clean(key).strip()
            if words and name and words not in collected.setdefault(name, []):
                collected[name].append(words)
    return {name: ", ".join(words) for name, words in collected.items() if words}


@functools.lru_cache(maxsize=16)
def mapped_columns(fields: FieldsConfig) -> frozenset[str]:
    """The columns that a mapping names; an absent one has the empty name."""
    roles = (fields.id, fields.title, fields.category_path, fields.image, fields.group)
    return frozenset((*roles, *fields.attributes, *fields.category_columns))


def _check_absent(
    role: str, name: str, fields: FieldsConfig, available: Sequence[str], free: Collection[str], file: Path
) -> None:
    if role != "id" and not name:
        return
    if role == "id" or getattr(fields, role) != getattr(_DEFAULTS, role):
        raise _no_column(role, name, available, file)
    likely = likely_column(role, free, name)
    if likely is not None:
        raise FieldMappingError(
            f"{file} has no column {name!r}, but {likely!r} looks like it.",
            hint=f'{_way_to_set(role, likely)} If the catalogue has none, use {_flag(role)} "".',
        )


def _no_column(role: str, name: str, available: Sequence[str], file: Path) -> FieldMappingError:
    near = nearest(name, available)
    if near is None and role in ROLES:
        near = likely_column(role, available, default_column(role))
    hint = f"Did you mean {near!r}? " if near else ""
    return FieldMappingError(
        f"{file} has no column {name!r} for the {role.replace('_', ' ')}. Its columns are: {listed(available)}.",
        hint=hint + _way_to_set(role, near or "NAME"),
    )


def _way_to_set(role: str, name: str) -> str:
    if role == "category_columns":
        return f'Use category_columns = ["{name}"] under [fields] in clipita.toml.'
    quoted = f'["{name}"]' if role == "attributes" else f'"{name}"'
    return f'Use {_flag(role)} "{name}", or {role} = {quoted} under [fields] in clipita.toml.'


def _flag(role: str) -> str:
    return f"--{role.removesuffix('_path').removesuffix('s')}-field"


def clashing_column(names: Iterable[str]) -> str | None:
    """The first column with a name that clipita writes itself; OpenSearch reads `clipita.x` as our object."""
    return next((name for name in names if name.split(".")[0] in OURS), None)


def listed(columns: Sequence[str]) -> str:
    """Names for a message; of many only the first ones."""
    more = len(columns) - _SHOWN_COLUMNS
    return ", ".join(columns[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")
