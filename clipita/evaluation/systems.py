"""The systems under test: BM25, zero-shot and trained models in memory, and the live index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from clipita.evaluation.bm25 import Bm25
from clipita.evaluation.encode import Evaluated, Model
from clipita.evaluation.protocol import Positions, System, SystemResult, TreeProtocol, Vectors

BM25 = "bm25"
ZERO_SHOT = "zero-shot"

Warn = Callable[[str], None]


def measure_bm25(protocol: TreeProtocol, index: Bm25, warn: Warn) -> SystemResult:
    """BM25 over the protocol's products."""
    for name in index.empty_fields:
        warn(f"bm25: no product has text in the field {name}, so it finds nothing there.")
    return protocol.score(System(BM25, "lexical", "offline"), protocol.rank_scores(index.scores))


def measure_models(
    protocol: TreeProtocol, evaluated: Evaluated, models: Sequence[Model], warn: Warn
) -> Iterator[SystemResult]:
    """First the pretrained towers without heads, then each trained model, then each on products without a modality.

    Models that share towers and modalities share their zero-shot row.
    """
    texts = [query.text for query in protocol.queries]
    yield from _measure_zero_shot(protocol, evaluated, models, texts, warn)
    for model, vectors in zip(models, evaluated.vectors, strict=True):
        system = System(model.name, "vector", "offline", model.bundle.fingerprint)
        yield protocol.score(system, protocol.rank_vectors(model.text.encode(texts), vectors))
    for gap, arrays in evaluated.gaps.items():
        for model, lacking in zip(models, arrays, strict=True):
            if lacking is None:
                warn(f"{model.name} does not read the {gap} of a product, so there is no row without.")
                continue
            empty = np.isnan(lacking[:, 0])
            if empty.any():
                count = int(empty.sum())
                warn(f"{model.name}: nothing is left of {count:,} products without {gap}; they are not found.")
            system = System(model.name, "vector", "offline", model.bundle.fingerprint, gap)
            rankings = protocol.rank_vectors(model.text.encode(texts), np.nan_to_num(lacking), empty)
            yield protocol.score(system, rankings)


def _measure_zero_shot(
    protocol: TreeProtocol, evaluated: Evaluated, models: Sequence[Model], texts: list[str], warn: Warn
) -> Iterator[SystemResult]:
    distinct: list[tuple[Model, Vectors]] = []
    for model, vectors in zip(models, evaluated.zero_shot, strict=True):
        if vectors is None:
            warn(f"{model.name}: its towers were trained from scratch, so there is no zero-shot row for it.")
        elif not any(vectors.shape == other.shape and np.allclose(vectors, other, atol=1e-5) for _, other in distinct):
            distinct.append((model, vectors))
    for model, vectors in distinct:
        name = ZERO_SHOT if len(distinct) == 1 else f"{ZERO_SHOT} ({model.name})"
        system = System(name, "vector", "offline", model.bundle.fingerprint)
        yield protocol.score(system, protocol.rank_vectors(model.text.features(texts), vectors))


Mode = Literal["lexical", "vector", "hybrid"]
MODES: tuple[Mode, ...] = ("lexical", "vector", "hybrid")

MAX_DEPTH = 10_000
"""The default of `index.max_result_window`: no search returns more hits."""

_MARGIN = 1.5


class Ranker(Protocol):
    """The part of `clipita.opensearch.ProductSearch` that `rank_live` uses."""

    def rank(self, query: str, *, mode: Mode, depth: int) -> Sequence[str]:
        """Product ids, best first; `depth` is the number of hits and the k of the k-NN part."""


@dataclass(frozen=True)
class LiveRanking:
    """Rankings of one mode, one per query.

    Attributes:
        dropped: hits that were taken out because the evaluated catalogue lacks them, over all queries.
        truncated: names of queries with more relevant products than a search returns; their R-precision is a lower
            bound.
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
    """Ask the index, which holds `indexed` documents, all queries.

    A search goes as deep as the measures need (at least `least_depth`, the k that the shop searches with), and deeper
    where the index holds products that the evaluated catalogue lacks: those are dropped, and the query is repeated at
    twice the depth when too few are left.
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
        if len(ids) >= MAX_DEPTH and len(found) < len(query.relevant):
            truncated.append(query.text)
        dropped += len(ids) - len(found)
        rankings.append(found[: query.depth])
        on_query()
    return LiveRanking(rankings, dropped, truncated)
