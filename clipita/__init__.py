"""clipita: category search over product images, inside the OpenSearch a shop already has.

The names below are imported with their first use: importing this package loads neither torch, onnxruntime nor
opensearchpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipita.api import evaluate, export, ingest, train
    from clipita.categories import add_categories, add_category, list_categories, name_categories, remove_category

_CATEGORIES = ["add_categories", "add_category", "list_categories", "name_categories", "remove_category"]
__all__ = [
    "add_categories", "add_category", "evaluate", "export", "ingest", "list_categories", "name_categories",
    "remove_category", "train",
]  # fmt: skip
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("clipita.categories" if name in _CATEGORIES else "clipita.api"), name)
