"""A shop's trainings on frozen towers: a CLIP as small as it can be, with weights in a checkpoint file."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita.config import ModelConfig
from clipita.training.prepare import Sources


@pytest.fixture
def sources(shop: Path) -> Sources:
    """The shop's files to learn from and to stop by."""
    return Sources(shop / "train.parquet", shop / "valid.parquet")


@pytest.fixture
def frozen(tiny_tower: Path, tiny_weights: Path) -> ModelConfig:
    """A small model on frozen towers."""
    return ModelConfig(tower_config=tiny_tower, pretrained=str(tiny_weights), dim=16, hidden=32)
