"""The evaluation protocol: category queries over a catalogue, and how rankings are scored.

A product is relevant to every category on its paths, so each node of the evaluated catalogue's tree is a query, from
the roots (most general) to the leaves (most specific). The query is the category's name and nothing else. Nodes of one
name in several branches are therefore ONE query, whose relevant products are those of any of them: no system that reads
text can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Category, CategoryPath, CategoryTree, Product
from clipita.errors import CatalogueError
from clipita.evaluation import measures as metrics

Subset = Literal["all", "seen", "unseen"]
RELEVANCE = "A product is relevant to every category on its paths."

Positions = npt.NDArray[np.int64]
"""Positions of products in the evaluated catalogue, best first."""

Vectors = npt.NDArray[np.float32]

_SCORES_AT_ONCE = 16_000_000  # 64 MB of float32


@dataclass(frozen=True)
class CategoryQuery:
    """One category name as a query.

    Attributes:
        paths: the nodes of that name, sorted.
        level: depth of the shallowest of them; roots have 1.
        leaf: whether none of them has nodes below it.
        relevant: positions of the relevant products, ascending.
        kind: of a query as people type it, the group to report it in; None for a category's name.
    """

    text: str
    paths: tuple[CategoryPath, ...]
    level: int
    leaf: bool
    relevant: Positions = field(repr=False)
    kind: str | None = None

    @property
    def depth(self) -> int:
        """Ranks that the measures look at."""
        return max(metrics.DEPTH, len(self.relevant))


@dataclass(frozen=True)
class System:
    """A system under test.

    Attributes:
        name: `bm25`, `zero-shot`, or the model's name (`clip-ita`).
        mode: `lexical`, `vector` or `hybrid`.
        where: `offline` (all products, exact) or `live` (the index).
        model: the bundle's fingerprint, or None where no model takes part.
        without: what was taken from all products (image, title or attributes), or None.
    """

    name: str
    mode: str
    where: str
    model: str | None = None
    without: str | None = None

    @property
    def label(self) -> str:
        """A name for people, which shows the mode of hybrid systems only: `clip-ita hybrid`."""
        gap = f" without {self.without}" if self.without else ""
        return f"{self.name} {self.mode}{gap}" if self.mode == "hybrid" else f"{self.name}{gap}"

    @property
    def key(self) -> str:
        """Identifies the system in a report."""
        gap = f"/without {self.without}" if self.without else ""
        return f"{self.name}/{self.mode}/{self.where}{gap}"


@dataclass(frozen=True)
class SystemResult:
    """A system's rankings and measures.

    Attributes:
        rankings: one per query, as deep as the query's `depth` or less.
        measures: measure name to its values in percent, float64 [queries].
    """

    system: System
    rankings: Sequence[Positions] = field(repr=False)
    measures: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)

    def mean(self, name: str, chosen: Iterable[int] | None = None) -> float:
        """Mean of a measure over all queries, or over the chosen ones (at least one)."""
        values = self.measures[name]
        return float(np.mean(values if chosen is None else values[list(chosen)]))


class TreeProtocol:
    """The queries of a catalogue and their relevant products.

    Products are kept sorted by id: positions and the order of products with equal scores then depend neither on the
    order of the file nor on the machine. Those without a category are distractors.

    Attributes:
        excluded: names of categories that training knows and no product is relevant to; filled by `select`.

    Raises:
        CatalogueError: no product has a category, or two products have one id.
    """

    def __init__(self, products: Iterable[Product]) -> None:
        self.products = sorted(products, key=lambda product: product.id)
        self.ids = [product.id for product in self.products]
        self.positions = {product_id: position for position, product_id in enumerate(self.ids)}
        if len(self.positions) < len(self.ids):
            twice = next(first for first, second in zip(self.ids, self.ids[1:], strict=False) if first == second)
            raise CatalogueError(
                f"The product id {twice!r} stands more than once in the evaluated catalogue.",
                hint="Ids must be unique: they are the documents' ids in the index.",
            )
        self.subset: Subset = "all"
        self._known: frozenset[str] | None = None
        self.queries = list(_queries(self.products))
        self.excluded: list[str] = []
        if not self.products:
            raise CatalogueError(
                "The catalogue holds no usable product, so there is nothing to measure.",
                hint="See why with: clipita catalogue check FILE",
            )
        if not self.queries:
            raise CatalogueError(
                f"None of the {len(self.ids)} products has a category, so there is nothing to ask.",
                hint="Check --category-field and --category-separator.",
            )

    def select(self, subset: Subset, known: Collection[str]) -> None:
        """Ask only `seen` or `unseen` categories; with `all`, `groups` tells the two apart. `known` are the seen names.

        Raises:
            CatalogueError: no query is left.
        """
        self.subset = subset
        self._known = frozenset(known)
        self.excluded = [] if subset == "unseen" else sorted(self._known - {query.text for query in self.queries})
        if subset != "all":
            self.queries = [query for query in self.queries if self.is_seen(query) == (subset == "seen")]
        if not self.queries:
            raise CatalogueError(
                f"None of the catalogue's categories is {subset} by the model's training.",
                hint="Train with --hold-out-categories to have unseen ones.",
            )

    def is_seen(self, query: CategoryQuery) -> bool | None:
        """Whether training saw a category of the name; None where no model was named."""
        return None if self._known is None else query.text in self._known

    def score(self, system: System, rankings: Sequence[Positions]) -> SystemResult:
        """Measure a system's rankings, one per query."""
        rows = []
        relevant = np.zeros(len(self.ids), dtype=bool)
        for query, ranking in zip(self.queries, rankings, strict=True):
            relevant[:] = False
            relevant[query.relevant] = True
            rows.append(metrics.measure(relevant[ranking], len(query.relevant)))
        columns = {name: np.array([row[name] for row in rows]) for name in metrics.MEASURES}
        return SystemResult(system, rankings, columns)

    def rank_vectors(
        self, query_vectors: Vectors, product_vectors: Vectors, absent: npt.NDArray[np.bool_] | None = None
    ) -> list[Positions]:
        """Rank all products by inner product, exactly.

        Vectors are float32 [queries, D] and [products, D] in the order of `queries` and `products`; `absent`, bool
        [products], marks products without a vector, which are not found.
        """
        batch = max(1, _SCORES_AT_ONCE // max(1, len(product_vectors)))

        def scores_of(start: int) -> npt.NDArray[np.float32]:
            scores: npt.NDArray[np.float32] = query_vectors[start : start + batch] @ product_vectors.T
            if absent is not None:
                scores[:, absent] = -np.inf
            return scores

        return [
            top(scores, self.queries[start + offset].depth)
            for start in range(0, len(self.queries), batch)
            for offset, scores in enumerate(scores_of(start))
        ]

    def rank_scores(self, score: Callable[[str], npt.NDArray[np.float32]]) -> list[Positions]:
        """Rank all products by a function of the query's text: float32 [products], -inf where one is not found."""
        return [top(score(query.text), query.depth) for query in self.queries]

    def groups(self) -> dict[str, list[int]]:
        """Indices of queries by level, and of leaves; with a model, also of seen and unseen categories."""
        groups: dict[str, list[int]] = {}
        kinds = sorted({query.kind for query in self.queries if query.kind is not None})
        if kinds:
            return {kind: [at for at, query in enumerate(self.queries) if query.kind == kind] for kind in kinds}
        for level in sorted({query.level for query in self.queries}):
            name = "general (level 1, roots)" if level == 1 else f"level {level}"
            groups[name] = [index for index, query in enumerate(self.queries) if query.level == level]
        leaves = [index for index, query in enumerate(self.queries) if query.leaf]
        if leaves:
            groups["specific (leaves)"] = leaves
        if self._known is not None and self.subset == "all":
            for name in ("seen", "unseen"):
                chosen = [at for at, query in enumerate(self.queries) if self.is_seen(query) == (name == "seen")]
                if chosen and len(chosen) < len(self.queries):
                    groups[name] = chosen
        return groups


def top(scores: npt.NDArray[np.float32], depth: int) -> Positions:
    """Positions of the highest scores, best first; equal scores in ascending position; -inf is not found.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    found = np.flatnonzero(scores > -np.inf)
    if depth < len(found):
        values = scores[found]
        lowest = np.partition(values, len(values) - depth)[len(values) - depth]
        found = found[values >= lowest]
    order = np.argsort(-scores[found], kind="stable")
    ranking: Positions = found[order][:depth].astype(np.int64, copy=False)
    return ranking


def _queries(products: Sequence[Product]) -> Iterator[CategoryQuery]:
    """One query per name; its products are those with the name on one of their paths."""
    tree = CategoryTree.of_products(product.category_paths for product in products)
    relevant: dict[str, list[int]] = {}
    for position, product in enumerate(products):
        for name in dict.fromkeys(product.category_names):
            relevant.setdefault(name, []).append(position)
    nodes: dict[str, list[Category]] = {}
    for category in tree.categories:
        nodes.setdefault(category.name, []).append(category)
    for name, categories in sorted(nodes.items()):
        yield CategoryQuery(
            text=name,
            paths=tuple(category.path for category in categories),
            level=min(category.level for category in categories),
            leaf=all(tree.is_leaf(category) for category in categories),
            relevant=np.array(relevant[name], dtype=np.int64),
        )
