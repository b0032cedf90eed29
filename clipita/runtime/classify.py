"""Category paths for products that have none, from the same vectors that search uses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import CategoryPath, CategoryTree
from clipita.errors import BundleError
from clipita.runtime.bundle import Bundle
from clipita.runtime.encoders import TextEncoder

SCALE = 100.0
"""Factor of the mean cosines before the softmax that calibrates the confidences (docs/experiments.md).

It is far above what the tree loss learns: only the last names of two siblings' paths differ, which the mean divides.
"""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Suggestion:
    """A path from the root to a leaf; its confidence is the share of the softmax over all leaves, in [0, 1]."""

    path: CategoryPath
    confidence: float


class Classifier:
    """Ranks the leaves of the tree that the model was trained on.

    A leaf's score is the mean cosine of the product with the names on its path, which the tree loss maximises.

    Raises:
        BundleError: the model has no category.
    """

    def __init__(self, bundle: Bundle, text: TextEncoder) -> None:
        tree = CategoryTree(bundle.categories)
        self.leaves = [category.path for category in tree.categories if tree.is_leaf(category)]
        if not self.leaves:
            raise BundleError(f"{bundle.path} has no category.", hint="Export it again with: clipita export-onnx")
        names = sorted({name for path in self.leaves for name in path})
        column = {name: position for position, name in enumerate(names)}
        self._names = text.encode(names)
        self._paths = np.zeros((len(names), len(self.leaves)), dtype=np.float32)
        for leaf, path in enumerate(self.leaves):
            for name in path:
                self._paths[column[name], leaf] += 1 / len(path)

    def suggest(self, products: Vectors, count: int = 1) -> list[list[Suggestion]]:
        """The `count` likeliest paths of each product, best first; products are unit vectors, float32 [B, D]."""
        logits = SCALE * (products @ self._names.T) @ self._paths
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :count]
        return [
            [Suggestion(self.leaves[leaf], float(row[leaf])) for leaf in best]
            for row, best in zip(shares, order, strict=True)
        ]


def precision_and_recall(
    suggested: Sequence[Suggestion], actual: Sequence[Collection[CategoryPath]], least_confidence: float
) -> tuple[float, float]:
    """Precision and recall, in [0, 1], of the best suggestion per product against each product's own paths.

    A suggestion below the least confidence counts as not made.
    """
    made = [
        (own, item.path) for own, item in zip(actual, suggested, strict=True) if item.confidence >= least_confidence
    ]
    right = sum(path in own for own, path in made)
    return right / max(1, len(made)), right / max(1, len(actual))
