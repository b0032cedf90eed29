"""Finds the column of an unknown catalogue that is likely the title, the image and so on, by its name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+")


_GENERAL = "product item article main primary default"
_ROLES = {
    "id": ("id sku asin gtin ean upc code productid itemid", "parent number no shop"),
    "title": ("title titles name productname producttitle", "display text short full en"),
    "category_path": (
        "category categories breadcrumb breadcrumbs taxonomy categorypath",
        "google path paths tree name names full hierarchy",
    ),
    "image": (
        "image images img picture pictures photo photos imageurl imagepath imurl",
        "url urls uri link path file filename src bytes data large name",
    ),
    "attributes": ("attribute attributes attrs properties specs specifications details", ""),
}
"""Role to the words that name its column, and those that may stand beside them, as the general ones may."""


def nearest(name: str, available: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The available name most similar to `name`, ignoring case; None if none is similar."""
    by_key = {candidate.casefold(): candidate for candidate in available}
    found = difflib.get_close_matches(name.casefold(), by_key, n=1, cutoff=cutoff)
    return by_key[found[0]] if found else None


def likely_column(role: str, available: Collection[str], default: str) -> str | None:
    """The column that most likely has a role (a setting of [fields]), or None.

    The usual name of the role, `default`, wins; misspelt names are compared with it.
    """
    if default in available:
        return default
    names, beside = (set(words.split()) for words in _ROLES[role])
    for candidate in available:
        words = {word.casefold() for word in _WORD.findall(candidate)}
        if words & names and words <= names | beside | set(_GENERAL.split()):
            return candidate
    return nearest(default, available, cutoff=0.8)
