"""The figure by which training stops: R-precision of category queries over a split."""

from __future__ import annotations

import torch
from torch import Tensor

from clipita.evaluation.metrics import r_precision
from clipita.model.clip_ita import ClipIta
from clipita.training.splits import QueryTexts, Split

BATCH = 256


@torch.no_grad()
def validate(model: ClipIta, split: Split, queries: QueryTexts, relevant: Tensor) -> float:
    """R-precision in percent, averaged over the queries that have a relevant product.

    Args:
        model: put into evaluation mode for this.
        split: the products.
        queries: the tree's category names.
        relevant: bool [products, queries].
    """
    model.eval()
    rows = torch.arange(len(split.paths))
    products = torch.cat([model.product(split.features(model, batch)) for batch in torch.split(rows, BATCH)])
    return mean_r_precision((model.query(queries.features(model)) @ products.T).cpu(), relevant.T)


def mean_r_precision(scores: Tensor, relevant: Tensor) -> float:
    """R-precision in percent, mean over the queries that have a relevant product.

    Args:
        scores: [queries, products].
        relevant: bool, same shape.
    """
    values = []
    for score, relevance in zip(scores, relevant, strict=True):
        count = int(relevance.sum())
        if count:
            values.append(r_precision(relevance[score.topk(count).indices].numpy(), count))
    return 100.0 * sum(values) / max(1, len(values))
