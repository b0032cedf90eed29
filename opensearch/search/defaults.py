"""Defaults of a search: the configured ones, then those that `clipita tune` stored in the index, then ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clipita.config import SearchConfig
from clipita.opensearch.index.index import ProductIndex
from clipita.opensearch.search.fields import FieldNames

KEYS = ("weight_known", "weight_unknown", "pivot", "fields", "lexical")
"""What `clipita tune` chooses; stored in `_meta.clipita.search` of the index."""
FORMER_KEYS = ("weight", "k")
"""What earlier versions chose too; it stays in force."""


def settings_for(meta: Mapping[str, Any], config: SearchConfig | Mapping[str, Any] | None = None) -> SearchConfig:
    """The settings in force, from `_meta.clipita` of the index's mapping and what is configured.

    A mapping overrides what the index stores; a `SearchConfig` is used as it is.
    """
    if isinstance(config, SearchConfig):
        return config
    stored = meta.get("search", {})
    found: dict[str, Any] = {name: stored[name] for name in (*KEYS, *FORMER_KEYS) if name in stored} | dict(
        config or {}
    )
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in found.items()}
    return SearchConfig(**values)


def settings_in(index: ProductIndex, config: SearchConfig | Mapping[str, Any] | None = None) -> SearchConfig:
    """The settings in force for an index, with its names of the text fields; a UsageError where it lacks one."""
    chosen = settings_for(index.meta, config)
    return dataclasses.replace(chosen, fields=FieldNames(index.properties, index.fields).searchable(chosen.fields))


def settings_to_store(config: SearchConfig) -> dict[str, Any]:
    """What `settings_for` reads from the index."""
    chosen = {name: value for name in KEYS if (value := getattr(config, name)) is not None}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
