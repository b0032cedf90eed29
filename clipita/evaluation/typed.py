"""Queries as people type them, from a file, with what is relevant to each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from clipita.catalogue.product import CategoryTree, Product
from clipita.errors import CatalogueError
from clipita.evaluation.protocol import CategoryQuery, TreeProtocol

LEAST_RELEVANT = 3
"""A query with fewer relevant products says little, and is left out."""
KNOWN = ("query", "kind", "categories", "title_contains")


def read_queries(file: Path, protocol: TreeProtocol) -> tuple[list[CategoryQuery], int]:
    """Queries of a file with one JSON object per line, and how many were left out for too few relevant products.

    `query` is the text, `kind` a group to report, `categories` names of which one must stand on a product's paths,
    `title_contains` a text in lower case that its title must hold. Any other key is an attribute, whose value must be
    one of the list given.

    Raises:
        CatalogueError: the file cannot be read, a line is not such an object, or no query is left.
    """
    tree = CategoryTree.of_products(product.category_paths for product in protocol.products)
    queries: list[CategoryQuery] = []
    few = 0
    for number, entry in _lines(file):
        wanted = set(entry["categories"])
        relevant = [at for at, product in enumerate(protocol.products) if _is_relevant(product, entry, wanted)]
        if len(relevant) < LEAST_RELEVANT:
            few += 1
            continue
        nodes = [category for category in tree.categories if category.name in wanted]
        queries.append(
            CategoryQuery(
                text=entry["query"],
                paths=tuple(category.path for category in nodes),
                level=min(category.level for category in nodes),
                leaf=all(tree.is_leaf(category) for category in nodes),
                relevant=np.array(relevant, dtype=np.int64),
                kind=str(entry.get("kind") or f"line {number}"),
            )
        )
    if not queries:
        raise CatalogueError(
            f"No query of {file} has {LEAST_RELEVANT} relevant products in the catalogue.",
            hint="Check that its categories are names of this catalogue.",
        )
    return queries, few


def _lines(file: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise CatalogueError(f"{file} cannot be read: {error}.", hint="Check --queries.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise CatalogueError(f"Line {number} of {file} is not JSON: {error}.") from None
        if not _is_query(entry):
            raise CatalogueError(
                f"Line {number} of {file} is not a query.",
                hint='Write {"query": "red kurta", "kind": "attribute", "categories": ["Kurtas"], "colour": ["Red"]}.',
            )
        found.append((number, entry))
    return found


def _is_query(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("query"), str) or not entry["query"].strip():
        return False
    lists = [entry.get("categories"), *(value for name, value in entry.items() if name not in KNOWN)]
    return all(isinstance(values, list) and all(isinstance(one, str) for one in values) for values in lists)


def _is_relevant(product: Product, entry: Mapping[str, Any], categories: set[str]) -> bool:
    return (
        not categories.isdisjoint(product.category_names)
        and entry.get("title_contains", "") in (product.title or "").lower()
        and all(product.attributes.get(name) in values for name, values in entry.items() if name not in KNOWN)
    )
