"""Where a page ends: the cosine above which a product belongs to a category, fitted on labelled products.

For each category the threshold is that of the best F1 among those at which at least the wanted share of the products
above it has the category. It is drawn towards the siblings' thresholds where few products have the category; the
parent's is lower, as its products are more varied. A query that names no known category has the general threshold,
which is best for all categories together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import CategoryPath

Cosines = npt.NDArray[np.floating[Any]]
Curve = tuple[float, ...]
"""A threshold for each of `PRECISIONS`."""

PRECISIONS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
OF_EXPECTED = (0.55, 0.7, 0.77, 0.83, 0.88, 0.95)
"""For each of `PRECISIONS`, the threshold as part of the expected cosine; see docs/experiments.md."""
SHRINKAGE = 5
"""The siblings' threshold counts as much as this number of products."""
SIBLINGS = 3
"""The threshold that is typical of all categories counts as much as this number of siblings."""


@dataclass(frozen=True)
class Thresholds:
    """Fitted thresholds; cosines.

    Attributes:
        general: for queries that name no known category.
        categories: for queries that name one, by its path.
        products: how many they were fitted on.
    """

    general: Curve
    categories: Mapping[CategoryPath, Curve] = field(repr=False)
    products: int


def at(curve: Curve, precision: float) -> float:
    """The threshold for a precision, which lies between two fitted ones."""
    return float(np.interp(precision, PRECISIONS, curve))


def fit(
    paths: Sequence[CategoryPath],
    cosines: Callable[[int], Cosines],
    members: Callable[[int], npt.NDArray[np.int64]],
    free: Callable[[int], Cosines] | None = None,
) -> Thresholds:
    """Fit the thresholds of categories on labelled products.

    Args:
        paths: of the categories; those without a product have their siblings' threshold.
        cosines: position of a category to its vector's cosine to each product, [products].
        members: position of a category to the positions of the products that have it.
        free: as `cosines`, of the category's name as a text that the gate does not know; for the general threshold.
    """
    own: dict[CategoryPath, npt.NDArray[np.float64]] = {}
    sizes: dict[CategoryPath, int] = {}
    unknown = _Pool()
    products = 0
    for position, path in enumerate(paths):
        inside = members(position)
        if not len(inside):
            continue
        row = cosines(position)
        products = len(row)
        own[path], sizes[path] = _curve(row, inside), len(inside)
        unknown.add(row if free is None else free(position), inside)
    return Thresholds(unknown.curve(), _shrunk(paths, own, sizes), products)


def _shrunk(
    paths: Sequence[CategoryPath],
    own: Mapping[CategoryPath, npt.NDArray[np.float64]],
    sizes: Mapping[CategoryPath, int],
) -> dict[CategoryPath, Curve]:
    """Own thresholds, drawn to the mean of the siblings', which itself is drawn to what is typical of all."""
    typical = np.median(np.stack(list(own.values())), axis=0) if own else np.ones(len(PRECISIONS))
    sums: dict[CategoryPath, npt.NDArray[np.float64]] = defaultdict(lambda: SIBLINGS * typical)
    counts: Counter[CategoryPath] = Counter()
    for path, curve in own.items():
        sums[path[:-1]] = sums[path[:-1]] + curve
        counts[path[:-1]] += 1
    shrunk: dict[CategoryPath, Curve] = {}
    for path in paths:
        above, size, mine = path[:-1], sizes.get(path, 0), own.get(path, np.zeros(len(PRECISIONS)))
        others = (sums[above] - mine) / (counts[above] - (path in own) + SIBLINGS)
        shrunk[path] = tuple(((size * mine + SHRINKAGE * others) / (size + SHRINKAGE)).tolist())
    return shrunk


def expected(cosine: float) -> Curve:
    """Thresholds of a category without labelled products, from the mean cosine that its products are expected to have.

    Its vector was made and not learnt, so the thresholds of learnt categories, its parent's among them, are on another
    scale.
    """
    return tuple(cosine * part for part in OF_EXPECTED)


def _curve(row: Cosines, inside: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    order = np.argsort(-row, kind="stable")
    relevant = np.zeros(len(row), dtype=bool)
    relevant[inside] = True
    found = relevant[order].cumsum()
    count = np.arange(1, len(row) + 1)
    precision, f1 = found / count, 2 * found / (count + len(inside))
    ranked = row[order].astype(np.float64)
    # Half way to the next product, so that neither lies on the threshold.
    between = np.append((ranked[:-1] + ranked[1:]) / 2, ranked[-1] - 1e-6)
    return np.array([between[_best(precision, f1, least)] for least in PRECISIONS])


def _best(precision: npt.NDArray[np.float64], f1: npt.NDArray[np.float64], least: float) -> int:
    enough = precision >= least
    return int(np.where(enough, f1, -1.0).argmax() if enough.any() else f1.argmax())


class _Pool:
    """Mean precision and F1 over categories, at fixed thresholds."""

    GRID = np.linspace(0.0, 1.0, 201)

    def __init__(self) -> None:
        self._precision = np.zeros(len(self.GRID))
        self._f1 = np.zeros(len(self.GRID))
        self._categories = 0

    def add(self, row: Cosines, inside: npt.NDArray[np.int64]) -> None:
        above = len(row) - np.searchsorted(np.sort(row), self.GRID)
        right = len(inside) - np.searchsorted(np.sort(row[inside]), self.GRID)
        # A threshold above all products finds nothing, which is not wrong, but not good either.
        self._precision += np.divide(right, above, out=np.zeros(len(self.GRID)), where=above > 0)
        self._f1 += 2 * right / (above + len(inside))
        self._categories += 1

    def curve(self) -> Curve:
        if not self._categories:
            return (1.0,) * len(PRECISIONS)
        precision, f1 = self._precision / self._categories, self._f1 / self._categories
        return tuple(float(self.GRID[_best(precision, f1, least)]) for least in PRECISIONS)
