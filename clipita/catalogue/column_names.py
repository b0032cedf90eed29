"""Finds the column of an unknown catalogue that is likely the title, the image and so on, by its name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

_WORD = re.compile(r"[A-Z]{2,}s(?![^\W\d_])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+")
_REMARK = re.compile(r"\([^)]*\)")
"""PrestaShop's "Categories (x;y;z...)"."""

_GENERAL = "product products item items article main primary default"
ROLES = {
    "id": ("id sku asin gtin ean upc code handle productid itemid", "parent number no shop uniq unique"),
    "title": ("title titles name productname producttitle", "display text short full en"),
    "category_path": (
        "category categories breadcrumb breadcrumbs taxonomy categorypath producttype",
        "google path paths tree name names full hierarchy",
    ),
    "image": (
        "image images img picture pictures photo photos imageurl imagepath imagelink imu imurl",
        "url urls uri link path file filename src bytes data large name base featured",
    ),
    "attributes": ("attribute attributes attrs properties specs specifications details", ""),
}
"""Role to the words that name its column, and those that may stand beside them, as the general ones may."""
_WEAK = {"category_path": {"type", "department", "product_type", "producttype"}, "title": {"product", "item"}}
"""Whole names that mean a role where no other column does."""
_ATTRIBUTES = {
    "brand", "vendor", "manufacturer", "colour", "color", "size", "material", "fabric", "gender", "pattern", "season",
    "style", "fit", "usage", "occasion", "age_group", "flavour", "flavor",
}  # fmt: skip
"""Columns of one attribute each, in lower case."""
_TAGS = {"tag", "tags", "label", "labels", "keyword", "keywords", "collections"}


def nearest(name: str, available: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The available name most similar to `name`, ignoring case; None if none is similar."""
    by_key = {candidate.casefold(): candidate for candidate in available}
    found = difflib.get_close_matches(name.casefold(), by_key, n=1, cutoff=cutoff)
    return by_key[found[0]] if found else None


def likely_column(role: str, available: Collection[str], default: str) -> str | None:
    """The column that most likely has a role (a setting of [fields]), or None; the first of `likely_columns`.

    Misspelt names are compared with the usual name of the role, `default`.
    """
    found = next((name for name in likely_columns(role, available, default) if not _is_weak(role, name)), None)
    return found or nearest(default, available, cutoff=0.8)


def likely_columns(role: str, available: Collection[str], default: str) -> Iterator[str]:
    """The columns whose names say a role, the likeliest first: the usual name, other names, and whole weak names."""
    if default in available:
        yield default
    names, beside = (set(words.split()) for words in ROLES[role])
    allowed = names | beside | set(_GENERAL.split())
    # The shop's own categories are finer than those it was asked to choose from by Google.
    for of_google in (False, True):
        for candidate in available:
            words = words_in(candidate)
            fits = words & names and words <= allowed
            if fits and candidate != default and ("google" in words) is of_google:
                yield candidate
    yield from (name for name in available if _is_weak(role, name) and name != default)


def is_attribute(name: str) -> bool:
    """Whether a column is one attribute, such as the brand."""
    return name.casefold().replace(" ", "_") in _ATTRIBUTES


def are_tags(name: str) -> bool:
    """Whether a column holds tags, which look like paths but are in any order."""
    return bool(words_in(name) & _TAGS)


def words_in(name: str) -> set[str]:
    """The words of a column's name, in lower case, without what stands in parentheses."""
    return {word.casefold() for word in _WORD.findall(_REMARK.sub("", name))}


def _is_weak(role: str, name: str) -> bool:
    return name.casefold() in _WEAK.get(role, ())
