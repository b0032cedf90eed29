"""Relevance as the CLIP-ITA paper counts it: each product has ONE category, and is relevant to that one alone.

Three set-ups say which: `all`, a node drawn from its path by seed and product id; `general`, the root; `specific`, the
last one. `tree` is the product's own relevance, to every category on the path.

Reference: Hendriksen et al., Extending CLIP for Category-to-image Retrieval in E-commerce, ECIR 2022, section 4.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from clipita.catalogue.product import Category, CategoryPath, CategoryTree, Product
from clipita.evaluation.measures import r_precision
from clipita.evaluation.protocol import CategoryQuery, TreeProtocol

Setup = Literal["tree", "all", "general", "specific"]
CEILING_DRAWS = 100


class PaperProtocol(TreeProtocol):
    """The queries of a catalogue in one of the paper's set-ups.

    Products carry the one category that they have in the set-up as their path; levels and leaves are those of the
    whole tree.

    Args:
        products: of the evaluated catalogue.
        setup: all, general or specific.
        seed: of the draw in `all`.
    """

    def __init__(self, products: Iterable[Product], setup: Setup, seed: int = 0) -> None:
        super().__init__(products)
        tree = CategoryTree(product.category_path for product in self.products)
        self.products = [
            replace(product, category_paths=(assigned(product, setup, seed),)) for product in self.products
        ]
        relevant: dict[str, list[int]] = {}
        nodes: dict[str, set[CategoryPath]] = {}
        for position, product in enumerate(self.products):
            for name in product.category_path[-1:]:
                relevant.setdefault(name, []).append(position)
                nodes.setdefault(name, set()).add(product.category_path)
        self.queries = [
            CategoryQuery(
                text=name,
                paths=tuple(sorted(nodes[name])),
                level=min(map(len, nodes[name])),
                leaf=all(tree.is_leaf(Category(path)) for path in nodes[name]),
                relevant=np.array(relevant[name], dtype=np.int64),
            )
            for name in sorted(nodes)
        ]


def protocol_of(products: Iterable[Product], setup: Setup, seed: int = 0) -> TreeProtocol:
    """The protocol of a set-up."""
    return TreeProtocol(products) if setup == "tree" else PaperProtocol(products, setup, seed)


def assigned(product: Product, setup: Setup, seed: int = 0) -> CategoryPath:
    """Path from the root to the category that a product has in a set-up; in `tree` its whole path.

    Args:
        product: with or without a path; without one it has no category in any set-up.
        setup: see above.
        seed: of the draw in `all`, which depends on nothing but the seed and the product's id.
    """
    path = product.category_path
    if setup == "general":
        return path[:1]
    if setup == "all" and path:
        return path[: random.Random(f"{seed} {product.id}").randrange(len(path)) + 1]
    return path


def ceiling(products: Iterable[Product], setup: Setup, draws: int = CEILING_DRAWS) -> float:
    """R-precision in percent that a ranking can expect which knows every product's path, but not the node drawn.

    In `all`, a product below a category is right with the probability that this very node was drawn, and nothing that a
    system could read says for which. The best ranking sorts by that probability: products with few other nodes first.
    Elsewhere the category follows from the path, and the ceiling is 100.

    Args:
        products: of the evaluated catalogue.
        setup: see above.
        draws: assignments over which the expectation is taken (seeds 0, 1, ...).
    """
    if setup != "all":
        return 100.0
    located = sorted((product for product in products if product.category_path), key=lambda product: product.id)
    rankings = _by_probability(located)
    return float(np.mean([_mean_r_precision(located, rankings, seed) for seed in range(draws)]))


def _by_probability(products: Sequence[Product]) -> dict[str, list[int]]:
    """For each category name, positions of the products below it, the likeliest to have it first."""
    below: dict[str, list[tuple[float, int]]] = {}
    for position, product in enumerate(products):
        path = product.category_path
        for name in dict.fromkeys(path):
            below.setdefault(name, []).append((-path.count(name) / len(path), position))
    return {name: [position for _, position in sorted(found)] for name, found in below.items()}


def _mean_r_precision(products: Sequence[Product], rankings: dict[str, list[int]], seed: int) -> float:
    drawn = np.array([assigned(product, "all", seed)[-1] for product in products], dtype=object)
    values = []
    for name, ranking in rankings.items():
        hits = drawn[ranking] == name
        relevant = int(hits.sum())
        if relevant:
            values.append(100 * r_precision(hits, relevant))
    return float(np.mean(values))
