"""The systems under test: BM25, zero-shot and trained models in memory, and the live index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from clipita.evaluation.bm25 import Bm25
from clipita.evaluation.encode import Evaluated, Model
from clipita.evaluation.protocol import CategoryQuery, Positions, System, SystemResult, TreeProtocol, Vectors

BM25 = "bm25"
ZERO_SHOT = "zero-shot"

Remark = Callable[[str], None]


def measure_bm25(protocol: TreeProtocol, fields: Sequence[str], remark: Remark) -> SystemResult:
    """BM25 with the `english` analyzer over text fields.

    Raises:
        ConfigError: a field's boost is no positive number.
    """
    index = Bm25(protocol.products, fields)
    for name in index.empty_fields:
        remark(f"bm25: no product has text in the field {name}, so it finds nothing there.")
    return protocol.score(System(BM25, "lexical", "offline"), protocol.rank_scores(index.scores))


def measure_models(
    protocol: TreeProtocol, evaluated: Evaluated, models: Sequence[Model], remark: Remark
) -> Iterator[SystemResult]:
    """First the pretrained towers without heads, then each trained model, then each as it fares on poorer products.

    Models that share towers and modalities share their zero-shot row.
    """
    texts = [query.text for query in protocol.queries]
    yield from _measure_zero_shot(protocol, evaluated, models, texts, remark)
    for model, vectors in zip(models, evaluated.vectors, strict=True):
        system = System(model.name, "vector", "offline", model.bundle.fingerprint)
        yield protocol.score(system, protocol.rank_vectors(model.text.encode(texts), vectors))
    for gap, arrays in evaluated.gaps.items():
        for model, lacking in zip(models, arrays, strict=True):
            if lacking is None:
                remark(f"{model.name} does not read the {gap} of a product, so there is no row without.")
                continue
            yield _measure_gap(protocol, model, gap, lacking, texts, remark)


def _measure_gap(
    protocol: TreeProtocol, model: Model, gap: str, vectors: Vectors, texts: list[str], remark: Remark
) -> SystemResult:
    empty = np.isnan(vectors[:, 0])
    if empty.any():
        remark(f"{model.name}: nothing is left of {int(empty.sum()):,} products without {gap}; they are not found.")
    system = System(model.name, "vector", "offline", model.bundle.fingerprint, gap)
    rankings = protocol.rank_vectors(model.text.encode(texts), np.nan_to_num(vectors), empty)
    return protocol.score(system, rankings)


def _measure_zero_shot(
    protocol: TreeProtocol, evaluated: Evaluated, models: Sequence[Model], texts: list[str], remark: Remark
) -> Iterator[SystemResult]:
    distinct: list[tuple[Model, Vectors]] = []
    for model, vectors in zip(models, evaluated.zero_shot, strict=True):
        if vectors is None:
            remark(f"{model.name}: its towers were trained from scratch, so there is no zero-shot row for it.")
        elif not any(_same(vectors, other) for _, other in distinct):
            distinct.append((model, vectors))
    for model, vectors in distinct:
        name = ZERO_SHOT if len(distinct) == 1 else f"{ZERO_SHOT} ({model.name})"
        system = System(name, "vector", "offline", model.bundle.fingerprint)
        yield protocol.score(system, protocol.rank_vectors(model.text.features(texts), vectors))


def _same(first: Vectors, second: Vectors) -> bool:
    return first.shape == second.shape and np.allclose(first, second, atol=1e-5)


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
