"""How well pages end: what a page holds beside what belongs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import CategoryPath
from clipita.config import SearchConfig
from clipita.evaluation.protocol import CategoryQuery, TreeProtocol
from clipita.evaluation.thresholds import Cosines, Curve, Thresholds, at, fit

Values = npt.NDArray[np.float64]
TOLERANCE = 0.2
"""A page has about the right size if it holds at most this share more or fewer products than belong there."""
SEED = 0


@dataclass(frozen=True)
class PageEnds:
    """Where one system's pages end.

    Attributes:
        system: its label.
        f1: of each query, between what the page holds and what belongs there, in percent, float64 [queries].
        size: of each query, products on the page per product that belongs there, float64 [queries].
    """

    system: str
    f1: Values = field(repr=False)
    size: Values = field(repr=False)

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """Whether the size lies within `TOLERANCE` of the right one, bool [queries]."""
        found: npt.NDArray[np.bool_] = np.abs(self.size - 1) <= TOLERANCE + 1e-9
        return found

    def means(self, chosen: Sequence[int]) -> dict[str, float]:
        """Mean F1 and share of pages of about the right size, in percent, and the median size ratio."""
        rows = list(chosen)
        return {
            "page F1": float(self.f1[rows].mean()),
            "page size": float(np.median(self.size[rows])),
            "pages within 20 %": float(100 * self.within[rows].mean()),
        }


def measure_pages(
    queries: Sequence[CategoryQuery], system: str, page: Callable[[int], npt.NDArray[np.bool_]]
) -> PageEnds:
    """Measure pages: position of a query to what its page holds, bool [products]."""
    pages = [_measured(page(position), query.relevant) for position, query in enumerate(queries)]
    return PageEnds(system, *(np.array(column) for column in zip(*pages, strict=True)))


def cross_validated(protocol: TreeProtocol, system: str, cosines: Callable[[int], Cosines]) -> PageEnds:
    """Measure pages that end at thresholds fitted on one half of the products and judged on the other, both ways.

    `cosines` gives a query's cosine to each product, [products]. A query counts with the halves in which products
    belong to it.
    """
    half = np.zeros(len(protocol.ids), dtype=bool)
    half[np.random.default_rng(SEED).permutation(len(half))[: len(half) // 2]] = True
    sums = np.zeros((2, len(protocol.queries)))
    counts = np.zeros(len(protocol.queries))
    for inside in (half, ~half):
        fitted = fit_queries(protocol, cosines, inside)
        places = np.cumsum(~inside) - 1
        for row, query in enumerate(protocol.queries):
            relevant = places[query.relevant[~inside[query.relevant]]]
            if len(relevant):
                page = cosines(row)[~inside] >= at(curve_of(fitted, query), SearchConfig.precision)
                sums[:, row] += _measured(page, relevant)
                counts[row] += 1
    means = sums / np.maximum(counts, 1)
    return PageEnds(system, means[0], means[1])


def fit_queries(
    protocol: TreeProtocol, cosines: Callable[[int], Cosines], inside: npt.NDArray[np.bool_] | None = None
) -> Thresholds:
    """Fit the thresholds of a protocol's queries on all products, or on those `inside`, bool [products]."""
    chosen = np.ones(len(protocol.ids), dtype=bool) if inside is None else inside
    places = np.cumsum(chosen) - 1

    def members(row: int) -> npt.NDArray[np.int64]:
        relevant = protocol.queries[row].relevant
        found: npt.NDArray[np.int64] = places[relevant[chosen[relevant]]]
        return found

    return fit([query.paths[0] for query in protocol.queries], lambda row: cosines(row)[chosen], members)


def fit_tree(
    queries: Sequence[CategoryQuery],
    paths: Iterable[CategoryPath],
    cosines: Callable[[int], Cosines],
    free: Callable[[int], Cosines] | None,
) -> Thresholds:
    """Fit the thresholds of a tree's categories: a name that stands at several places has one for all of them.

    Args:
        queries: names with their products.
        paths: of the tree; categories without a query have their siblings' thresholds.
        cosines: position of a query to its cosine to each product, [products].
        free: the same as if no query named a known category.
    """
    places = [(path, row) for row, query in enumerate(queries) for path in query.paths]
    others = sorted(set(paths) - {path for path, _ in places})
    none = np.zeros(0, dtype=np.int64)
    return fit(
        [*(path for path, _ in places), *others],
        lambda at: cosines(places[at][1]),
        lambda at: queries[places[at][1]].relevant if at < len(places) else none,
        None if free is None else lambda at: free(places[at][1]),
    )


def curve_of(fitted: Thresholds, query: CategoryQuery) -> Curve:
    """The thresholds of a query; the general ones where none of its categories was fitted."""
    return next((fitted.categories[path] for path in query.paths if path in fitted.categories), fitted.general)


def _measured(page: npt.NDArray[np.bool_], relevant: npt.NDArray[np.int64]) -> tuple[float, float]:
    found, right = int(page.sum()), int(page[relevant].sum())
    return 200 * right / (found + len(relevant)), found / len(relevant)
