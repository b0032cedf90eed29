"""Search settings that `clipita tune` found, as they stand in the index's `_meta.clipita.search`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clipita.config import SearchConfig

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


def settings_to_store(config: SearchConfig) -> dict[str, Any]:
    """Inverse of `stored_settings`."""
    return {name: list(value) if isinstance(value := getattr(config, name), tuple) else value for name in KEYS}
