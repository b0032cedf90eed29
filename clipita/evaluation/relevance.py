"""The paper's set-ups: which one category each product has, and how far a ranking could get that knew the tree alone.

Reference: Hendriksen et al., Extending CLIP for Category-to-image Retrieval in E-commerce, ECIR 2022, section 4.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from clipita.catalogue.product import CategoryPath, Product
from clipita.evaluation.measures import r_precision

Setup = Literal["tree", "all", "general", "specific"]
"""tree: every node of a product's path is right. all, general, specific: one node alone, as in the paper."""

SETUPS: tuple[Setup, ...] = get_args(Setup)
CEILING_DRAWS = 100

MEANING: dict[Setup, str] = {
    "tree": "A product is relevant to every category on its path.",
    "all": "Each product has ONE category, a node drawn from its path by seed and product id.",
    "general": "Each product has ONE category, the root of its path.",
    "specific": "Each product has ONE category, the most specific one of its path.",
}


def assigned(product: Product, setup: Setup, seed: int = 0) -> CategoryPath:
    """Path from the root to the category that a product has in a set-up; in `tree` its whole path.

    Args:
        product: with or without a path; without one it has no category in any set-up.
        setup: see `MEANING`.
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
        setup: see `MEANING`.
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
