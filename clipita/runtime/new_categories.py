"""The vector of a category that training did not see, from its name and a few products, in closed form.

Its products look and read like those of its siblings, whose vectors were learnt without it, and belong to its parents,
whose vectors were too. So the vectors of known categories that would be wrong about the examples are moved, as little
as it takes. docs/experiments.md has the trials.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

EVENNESS = 4.0
"""How much even spread is mixed into that of the products, as a multiple of its mean over the dimensions."""
NAME_ALWAYS, NAME_ALONE = 0.25, 0.75
"""How much the name counts beside the mean of the examples: the first always, the second divided by their number."""
SINGLE = 0.6
"""A new product's cosine as part of the single example's, which the vector was made from."""
ABOVE, BELOW = 1.2, 0.5
"""Where an example must lie at least and at most, as parts of a known category's threshold."""
RIDGE = 0.3
"""The larger, the less a known vector moves, and the less exactly it meets its bounds."""


def sharpening(products: Vectors) -> Vectors:
    """A linear map that weakens the directions in which products differ anyway, symmetric float32 [dim, dim].

    What is left tells a category from the rest of the shop (linear discriminant analysis).

    Args:
        products: unit vectors of any products of the shop, float32 [n, dim]; 2,000 are enough.
    """
    count, dim = products.shape
    # Few products say little about the spread.
    even = EVENNESS * (1 / dim + 1 / count)
    result: Vectors = np.linalg.inv(products.T @ products / count + even * np.eye(dim)).astype(np.float32)
    return result


def vector_of(name: Vectors, examples: Vectors, sharpen: Vectors) -> Vectors:
    """A new category's unit vector, float32 [dim].

    Args:
        name: unit vector of the name as a text that names no known category, [dim].
        examples: unit vectors of its products, [n, dim], at least one.
        sharpen: see `sharpening`.
    """
    return _made(name, examples.mean(axis=0), len(examples), sharpen)


def expected_cosine(name: Vectors, examples: Vectors, sharpen: Vectors) -> float:
    """The mean cosine of a new product of the category to its vector: that of each example where the others made it."""
    count = len(examples)
    if count == 1:
        return SINGLE * float(examples[0] @ vector_of(name, examples, sharpen))
    others = _made(name, (examples.sum(axis=0) - examples) / (count - 1), count - 1, sharpen)
    return float((others * examples).sum(axis=1).mean())


def _made(name: Vectors, mean: Vectors, count: int, sharpen: Vectors) -> Vectors:
    return _unit(((NAME_ALWAYS + NAME_ALONE / count) * name + mean) @ sharpen)


def moved(known: Vectors, thresholds: Vectors, examples: Vectors, inside: npt.NDArray[np.bool_]) -> Vectors:
    """Vectors of known categories, moved until they are right about the examples of new ones: float32 [C, dim].

    The rows of those that were right are the same as before. The others are the ridge regression that changes a vector
    least: its examples come to lie above its threshold, all others below, those that did so before stay where they are.

    Args:
        known: unit vectors, float32 [C, dim].
        thresholds: the cosine from which on each places a product on its page, [C].
        examples: unit vectors of all new categories' examples, [n, dim].
        inside: whether a category stands above an example's category in the tree, bool [n, C].
    """
    cosines = examples @ known.T
    wanted = np.where(inside, np.maximum(cosines, thresholds * ABOVE), np.minimum(cosines, thresholds * BELOW))
    wrong = (wanted != cosines).any(axis=0)
    # In the form whose cost depends on the dimension alone, not on the number of examples.
    gram = examples.T @ examples + RIDGE * np.eye(examples.shape[1])
    change = np.linalg.solve(gram, examples.T @ (wanted - cosines)[:, wrong]).T
    result = known.copy()
    result[wrong] = _unit(known[wrong] + change)
    return result


def _unit(vectors: npt.NDArray[np.floating[Any]]) -> Vectors:
    result: Vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return result
