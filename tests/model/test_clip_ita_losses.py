"""The losses against loops that spell out their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from clipita.model.clip_ita import infonce_loss, tree_loss


def units(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 7, generator=generator), dim=-1)


def log_softmax(values: list[float]) -> list[float]:
    total = math.log(sum(math.exp(value) for value in values))
    return [value - total for value in values]


def infonce_by_hand(products: Tensor, categories: Tensor, scale: float, weight: float) -> float:
    logits = scale * products.double().numpy() @ categories.double().numpy().T
    count = len(logits)
    to_category = -np.mean([log_softmax(list(logits[row]))[row] for row in range(count)])
    to_product = -np.mean([log_softmax(list(logits[:, row]))[row] for row in range(count)])
    return float(weight * to_category + (1 - weight) * to_product)


def tree_by_hand(products: Tensor, categories: Tensor, on_path: Tensor, scale: float) -> float:
    logits = scale * products.double().numpy() @ categories.double().numpy().T
    rows = []
    for row in range(len(products)):
        logs = log_softmax(list(logits[row]))
        nodes = [column for column in range(len(categories)) if on_path[row, column]]
        rows.append(-sum(logs[node] for node in nodes) / len(nodes))
    columns = []
    for column in range(len(categories)):
        members = [row for row in range(len(products)) if on_path[row, column]]
        if members:
            logs = log_softmax(list(logits[:, column]))
            columns.append(-sum(logs[row] for row in members) / len(members))
    return (sum(rows) / len(rows) + sum(columns) / len(columns)) / 2


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("scale", [1.0, 14.0])
def test_infonce(weight: float, scale: float) -> None:
    products, categories = units(9, 1), units(9, 2)
    loss = infonce_loss(products, categories, torch.tensor(scale), weight)
    assert float(loss) == pytest.approx(infonce_by_hand(products, categories, scale, weight), rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_tree(scale: float) -> None:
    products, categories = units(11, 3), units(6, 4)
    on_path = torch.zeros(11, 6, dtype=torch.bool)
    for row in range(11):
        on_path[row, row % 2] = True
        on_path[row, 2 + row % 3] = True  # category 5 occurs nowhere
    loss = tree_loss(products, categories, on_path, torch.tensor(scale))
    assert float(loss) == pytest.approx(tree_by_hand(products, categories, on_path, scale), rel=1e-5)


def test_tree_falls_when_products_move_to_their_categories() -> None:
    categories = units(5, 5)
    on_path = torch.eye(5, dtype=torch.bool)[torch.arange(20) % 5]
    near = torch.nn.functional.normalize(categories[torch.arange(20) % 5] + 0.1 * units(20, 6), dim=-1)
    scale = torch.tensor(20.0)
    assert tree_loss(near, categories, on_path, scale) < 0.5 * tree_loss(units(20, 7), categories, on_path, scale)


def test_a_category_without_products_gives_finite_gradients() -> None:
    products = units(4, 8).requires_grad_()
    on_path = torch.zeros(4, 3, dtype=torch.bool)
    on_path[:, 0] = True
    tree_loss(products, units(3, 9), on_path, torch.tensor(20.0)).backward()  # type: ignore[no-untyped-call]
    assert products.grad is not None
    assert torch.isfinite(products.grad).all()
