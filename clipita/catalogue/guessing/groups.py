"""Guesses which column the rows of one product share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from clipita.catalogue.cell_values import integer_text
from clipita.catalogue.formats.rows import Row
from clipita.catalogue.guessing.paths import Guess
from clipita.catalogue.variants.groups import Groups, group_of
from clipita.config import FieldsConfig

LARGEST = 100
"""Rows of one product in a sample; a column with larger groups says something else, such as a department."""
FEWEST_ROWS = 3
_SHARED = re.compile(
    r"(?i)(item|product|variant|variation)?[ _.-]?group[ _.-]?(id|code|key|sku)?|parent([ _.-]?(id|sku|asin|code))?"
    r"|master[ _.-]?(id|sku)|style[ _.-]?(id|code|number)|handle"
)
_SURE = re.compile(
    r"(?i)(item|product|variant|variation)[ _.-]?group[ _.-]?(id|code|key|sku)?|handle|configurable_variations"
)
_LISTS, _LISTED = "configurable_variations", "sku="
_SHORTEST_STEM = 3


def guess_group(rows: Sequence[Row], columns: Sequence[str], mapping: Mapping[str, Any]) -> Guess:
    """The column that rows of one product share; empty where no column is shared.

    In this order: a column in which a value comes again in rows without a title (Shopify's Handle, which is the id
    then); a list of variants (Magento); a column named like a group or a parent whose values come again or name other
    rows (WooCommerce, Google); the picture, where most products with the same one have ids of one stem.

    Args:
        rows: the first rows of the file.
        columns: of the file.
        mapping: settings of [fields] as far as they are known: id, title, image, category_path.
    """
    guess = Guess()
    if column := _without_titles(rows, columns, mapping):
        guess.settings = {"group": column, "variants": "one"} | ({} if mapping.get("id") == column else {"id": column})
        guess.reasons["group"] = f"rows without a title repeat it: {_example(rows, column)}"
        guess.reasons["variants"] = "only the first row of a product has its title"
        return guess
    for column in sorted(filter(_is_named, columns), key=lambda name: name.lower() != _LISTS):
        groups = _grouped(rows, column, columns, mapping)
        if groups and _are_products(groups, column, mapping):
            guess.settings["group"] = column
            guess.reasons["group"] = f"rows of one product share it: {_sample(groups, mapping)}"
            if mapping.get("id") in (None, "", column):
                guess.settings |= {"id": column, "variants": "one"}
                guess.reasons["variants"] = f"no other column is an id, and {column} repeats"
            elif _without_categories(groups, column, mapping):
                guess.settings["variants"] = "one"
                guess.reasons["variants"] = "only the first row of a product has its category"
            return guess
    image = mapping.get("image")
    if (
        image
        and mapping.get("id")
        and (groups := _grouped(rows, image, columns, mapping))
        and _same_stem(groups, mapping)
    ):
        guess.settings["group"] = image
        guess.reasons["group"] = f"ids of one stem have the same picture: {_sample(groups, mapping)}"
    return guess


def _without_titles(rows: Sequence[Row], columns: Sequence[str], mapping: Mapping[str, Any]) -> str | None:
    """The column that repeats in rows without a title, each time right after a row of the same value with one."""
    title = mapping.get("title")
    follow = [place for place, row in enumerate(rows) if place and title and not _cell(row, title)]
    if not follow or not _cell(rows[0], title):
        return None
    known = [name for name in columns if name.lower() == "handle" or name == mapping.get("id") or _is_named(name)]
    # Of one row or two another column agrees by chance.
    for column in known if len(follow) < FEWEST_ROWS else [*known, *columns]:
        starts = [value for row in rows if _cell(row, title) and (value := _text(row.get(column)))]
        same = all(
            (value := _text(rows[place].get(column))) and value == _text(rows[place - 1].get(column))
            for place in follow
        )
        if same and len(set(starts)) == len(starts):
            return column
    return None


def _grouped(
    rows: Sequence[Row], column: str, columns: Sequence[str], mapping: Mapping[str, Any]
) -> dict[str, list[Row]]:
    """The groups of two rows and more."""
    groups = Groups(FieldsConfig(id=mapping.get("id") or "", group=column), columns)
    for number, row in enumerate(rows):
        groups.add(number, row)
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if (key := groups.of(row)) is not None:
            found[key].append(row)
    return {key: members for key, members in found.items() if len(members) > 1}


def _is_named(column: str) -> bool:
    return column.lower() == _LISTS or _SHARED.fullmatch(column.strip()) is not None


def _are_products(groups: Mapping[str, Sequence[Row]], column: str, mapping: Mapping[str, Any]) -> bool:
    """Whether groups are as small as products' are; of a vague name also whether rows name others, or titles agree."""
    if max(map(len, groups.values())) > LARGEST:
        return False
    if _SURE.fullmatch(column.strip()) or any(_heads(members, column) for members in groups.values()):
        return True
    title = mapping.get("title")
    alike = sum(len({_cell(row, title).split(" ")[0] for row in members}) == 1 for members in groups.values())
    return bool(title) and 2 * alike > len(groups)


def _heads(members: Sequence[Row], column: str) -> list[Row]:
    return [row for row in members if group_of(row.get(column)) is None or _LISTED in str(row.get(column))]


def _without_categories(groups: Mapping[str, Sequence[Row]], column: str, mapping: Mapping[str, Any]) -> bool:
    """Whether all rows but those that head a group lack a category."""
    category = mapping.get("category_path")
    heads = [row for members in groups.values() for row in _heads(members, column)]
    others = [row for members in groups.values() for row in members if row not in heads]
    return any(_given(row, category) for row in heads) and not any(_given(row, category) for row in others)


def _same_stem(groups: Mapping[str, Sequence[Row]], mapping: Mapping[str, Any]) -> bool:
    """Whether most groups have ids that begin alike and titles that do."""

    def alike(members: Sequence[Row]) -> bool:
        ids = [_text(row.get(mapping["id"])) for row in members]
        stem = _common_start(min(ids), max(ids))
        titles = {_text(row.get(mapping.get("title", ""))).split(" ")[0].casefold() for row in members}
        return len(stem) >= max(_SHORTEST_STEM, len(max(ids, key=len)) / 2) and len(titles) == 1

    return max(map(len, groups.values())) <= LARGEST and 2 * sum(map(alike, groups.values())) > len(groups)


def _common_start(one: str, other: str) -> str:
    length = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return one[: min(len(one), len(other)) if length is None else length]


def _cell(row: Row, column: str | None) -> str:
    return _text(row.get(column)) if column else ""


def _given(row: Row, column: str | None) -> bool:
    return bool(column and row.get(column))


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else integer_text(value) or ""


def _example(rows: Sequence[Row], column: str) -> str:
    return repr(next((value for row in rows if (value := _text(row.get(column)))), ""))


def _sample(groups: Mapping[str, Sequence[Row]], mapping: Mapping[str, Any]) -> str:
    key, members = next(iter(groups.items()))
    ids = ", ".join(_text(row.get(mapping.get("id") or "")) for row in members[:3])
    return f"{key[:60]!r} of {ids}"
