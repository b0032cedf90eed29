"""Filling and searching a shop's own OpenSearch.

The names below are imported with their first use: reading a query body needs no client, and a command's help neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.search.async_client import AsyncProductSearch
    from clipita.opensearch.search.boosts import Boost
    from clipita.opensearch.search.client import ProductSearch
    from clipita.opensearch.search.results import Hit, SearchPage

__all__ = ["AsyncProductSearch", "Boost", "Hit", "ProductSearch", "SearchPage", "connect"]

_HOMES = {
    "AsyncProductSearch": "clipita.opensearch.search.async_client",
    "Boost": "clipita.opensearch.search.boosts",
    "Hit": "clipita.opensearch.search.results",
    "ProductSearch": "clipita.opensearch.search.client",
    "SearchPage": "clipita.opensearch.search.results",
    "connect": "clipita.opensearch.cluster.connection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
