"""Losses over unit vectors of products and categories."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def infonce_loss(products: Tensor, categories: Tensor, scale: Tensor, weight: float = 0.5) -> Tensor:
    """The paper's bidirectional InfoNCE (section 3.3): the i-th product belongs to the i-th category of the batch.

    Args:
        products: [B, D].
        categories: [B, D]; a category may occur more than once, and then counts as a negative, as in the paper.
        scale: factor of the cosines.
        weight: share of the product-to-category direction (the paper's lambda).

    Returns:
        A scalar.
    """
    logits = scale * products @ categories.T
    target = torch.arange(len(products), device=products.device)
    to_category = functional.cross_entropy(logits, target)
    to_product = functional.cross_entropy(logits.T, target)
    return weight * to_category + (1 - weight) * to_product


def tree_loss(products: Tensor, categories: Tensor, on_path: Tensor, scale: Tensor) -> Tensor:
    """Each product against every category of the tree, all nodes of its path positive; and the transpose.

    The first term is the log-softmax over categories, averaged over the nodes of the product's path. The second is
    the log-softmax over the batch's products for each category that occurs, averaged over its products.

    Args:
        products: [B, D].
        categories: [C, D], the whole tree.
        on_path: bool [B, C].
        scale: factor of the cosines.

    Returns:
        A scalar.
    """
    logits = scale * products @ categories.T
    positive = on_path.to(logits.dtype)
    to_category = -(logits.log_softmax(dim=1) * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    occurs = on_path.any(dim=0)
    columns, members = logits.log_softmax(dim=0)[:, occurs], positive[:, occurs]
    to_product = -(columns * members).sum(dim=0) / members.sum(dim=0)
    return (to_category.mean() + to_product.mean()) / 2


def distillation_loss(taught: Tensor, learnt: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of learnt cosines from taught ones, over products and over queries.

    Queries need no label, so it keeps in place what the labels say nothing about.

    Args:
        taught: [Q, B] cosines of queries and products in the space to keep.
        learnt: [Q, B] the same pairs in the space that is learning.
        temperature: of the softmax over either side.

    Returns:
        A scalar, the mean of both directions.
    """
    taught, learnt = taught / temperature, learnt / temperature
    directions = [
        functional.kl_div(learnt.log_softmax(side), taught.log_softmax(side), reduction="none", log_target=True)
        .sum(side)
        .mean()
        for side in (0, 1)
    ]
    return (directions[0] + directions[1]) / 2
