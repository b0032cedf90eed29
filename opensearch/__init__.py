"""Filling and searching a shop's own OpenSearch.

The names below are imported with their first use: reading a query body needs no client, and a command's help neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipita.opensearch.async_search import AsyncProductSearch
    from clipita.opensearch.boosts import Boost
    from clipita.opensearch.results import Hit, SearchPage
    from clipita.opensearch.search import ProductSearch

__all__ = ["AsyncProductSearch", "Boost", "Hit", "ProductSearch", "SearchPage"]

_HOMES = {
    "AsyncProductSearch": "clipita.opensearch.async_search",
    "Boost": "clipita.opensearch.boosts",
    "Hit": "clipita.opensearch.results",
    "ProductSearch": "clipita.opensearch.search",
    "SearchPage": "clipita.opensearch.results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
