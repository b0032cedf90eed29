"""The table of losses: what the settings offer is there, and a row of it trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clipita.config import ModelConfig, TrainingConfig
from clipita.option_table import options
from clipita.training.objective import LOSSES
from clipita.training.prepare import Sources
from clipita.training.run import train


def test_every_loss_of_the_settings_is_in_the_table() -> None:
    assert set(options(TrainingConfig)["loss"].choices) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_lower_where_products_lie_at_their_category(name: str) -> None:
    categories = torch.eye(4)
    on_path = torch.eye(4, dtype=torch.bool)
    scale = torch.tensor(10.0)
    right, wrong = categories, categories.roll(1, dims=0)
    assert LOSSES[name](right, categories, on_path, scale) < LOSSES[name](wrong, categories, on_path, scale)


@pytest.mark.parametrize("batch_size", [12, 60, 120])
def test_a_training_of_few_steps(sources: Sources, frozen: ModelConfig, tmp_path: Path, batch_size: int) -> None:
    training = TrainingConfig(epochs=1, batch_size=batch_size, run=tmp_path / "run", cache=tmp_path / "cache")
    model = dataclasses.replace(frozen, dim=16, hidden=16)
    assert train(sources, model, training, lambda *_: None, lambda _: None).epochs == 1


def test_a_new_row_trains(
    sources: Sources, frozen: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []

    def cosine(products: Tensor, categories: Tensor, on_path: Tensor, scale: Tensor) -> Tensor:
        seen.append(tuple(on_path.shape))
        return -(scale * products @ categories.T)[on_path].mean()

    monkeypatch.setitem(LOSSES, "cosine", cosine)
    name: Any = "cosine"
    training = TrainingConfig(loss=name, epochs=2, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache")
    outcome = train(sources, dataclasses.replace(frozen, dim=16, hidden=16), training, lambda *_: None, lambda _: None)
    assert outcome.epochs == 2
    assert seen
