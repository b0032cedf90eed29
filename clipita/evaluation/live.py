"""The live index measured by the same queries: what a storefront would get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from clipita.evaluation.protocol import CategoryQuery, Positions, TreeProtocol

Mode = Literal["lexical", "vector", "hybrid"]
MODES: tuple[Mode, ...] = ("lexical", "vector", "hybrid")

MAX_DEPTH = 10_000
"""`index.max_result_window` as shipped: no search gives more hits."""

_MARGIN = 1.5


class Ranker(Protocol):
    """What is asked of `clipita.opensearch.ProductSearch`."""

    def rank(self, query: str, *, mode: Mode, depth: int) -> Sequence[str]:
        """Product ids, best first; `depth` is the number of hits and the k of the k-NN part."""


@dataclass(frozen=True)
class LiveRanking:
    """Rankings of one mode.

    Attributes:
        rankings: one a query.
        dropped: hits that are not in the evaluated catalogue and were taken out, over all queries.
        truncated: names of queries whose relevant products outnumber what a search can return, so that their
            R-precision is a lower bound.
    """

    rankings: list[Positions] = field(repr=False)
    dropped: int
    truncated: list[str]


def rank_live(
    protocol: TreeProtocol,
    ranker: Ranker,
    mode: Mode,
    *,
    indexed: int,
    least_depth: int,
    on_query: Callable[[], None] = lambda: None,
) -> LiveRanking:
    """Ask the index all queries.

    A search goes as deep as the measures need, and deeper where the index holds products that the evaluated catalogue
    lacks: those are dropped, and the ranking is asked again at twice the depth when too little is left.

    Args:
        protocol: the queries.
        ranker: the index.
        mode: how it searches.
        indexed: documents in the index.
        least_depth: the smallest depth, which is the k that the shop searches with.
        on_query: is called after each query.
    """
    share = max(1.0, indexed / max(1, len(protocol.ids)))
    rankings: list[Positions] = []
    dropped = 0
    truncated: list[str] = []
    for query in protocol.queries:
        depth = min(MAX_DEPTH, max(least_depth, int(query.depth * share * _MARGIN) if share > 1 else query.depth))
        while True:
            ids = ranker.rank(query.text, mode=mode, depth=depth)
            found = np.array([protocol.positions[i] for i in ids if i in protocol.positions], dtype=np.int64)
            if len(found) >= query.depth or len(ids) < depth or depth == MAX_DEPTH:
                break
            depth = min(MAX_DEPTH, 2 * depth)
        if _is_cut(query, len(found), len(ids)):
            truncated.append(query.text)
        dropped += len(ids) - len(found)
        rankings.append(found[: query.depth])
        on_query()
    return LiveRanking(rankings, dropped, truncated)


def _is_cut(query: CategoryQuery, found: int, returned: int) -> bool:
    return returned >= MAX_DEPTH and found < len(query.relevant)
