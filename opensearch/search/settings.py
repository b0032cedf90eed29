"""Search settings that `clipita tune` found, as they stand in the index's `_meta.clipita.search`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clipita.config import SearchConfig
from clipita.opensearch.index.index import ProductIndex
from clipita.opensearch.search.fields import FieldNames

KEYS = ("weight", "pivot", "k", "fields")


def stored_settings(meta: Mapping[str, Any]) -> SearchConfig:
    """The settings an index brings, over the defaults.

    Args:
        meta: `_meta.clipita` of its mapping.
    """
    stored = meta.get("search", {})
    found = {name: stored[name] for name in KEYS if name in stored}
    if "fields" in found:
        found["fields"] = tuple(found["fields"])
    return dataclasses.replace(SearchConfig(), **found)


def chosen_settings(config: SearchConfig) -> SearchConfig | None:
    """The configured settings; None where nobody changed any, which leaves it to those that the index brings."""
    return None if config == SearchConfig() else config


def settings_in(index: ProductIndex, config: SearchConfig) -> SearchConfig:
    """The settings in force for an index, with the text fields as they are called there.

    Raises:
        UsageError: the index has no such text field.
    """
    chosen = chosen_settings(config) or stored_settings(index.meta)
    names = FieldNames(index.properties, index.fields)
    return dataclasses.replace(chosen, fields=names.searchable(chosen.fields))


def settings_to_store(config: SearchConfig) -> dict[str, Any]:
    """Inverse of `stored_settings`."""
    return {name: list(value) if isinstance(value := getattr(config, name), tuple) else value for name in KEYS}
