"""Systems measured without a cluster: BM25, the towers as they came, the trained models. Exact, over all products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from clipita.evaluation.baselines import Bm25
from clipita.evaluation.encode import Evaluated, Model
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol, Vectors

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
