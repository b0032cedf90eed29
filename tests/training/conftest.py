"""A shop's trainings on frozen towers: a CLIP as small as it can be, with weights in a checkpoint file."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita.config import ModelConfig
from clipita.training.prepare import Sources


@pytest.fixture(scope="session")
def tiny_weights(tiny_tower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint for the tiny tower."""
    return write_weights(tiny_tower, tmp_path_factory.mktemp("weights") / "tiny.pt", seed=1)


def write_weights(tower: Path, file: Path, seed: int) -> Path:
    """Random weights as an open_clip checkpoint."""
    import open_clip
    import torch

    torch.manual_seed(seed)
    open_clip.add_model_config(tower)
    torch.save(open_clip.create_model(tower.stem, force_custom_text=True).state_dict(), file)
    return file


@pytest.fixture
def sources(shop: Path) -> Sources:
    """The shop's files to learn from and to stop by."""
    return Sources(shop / "train.parquet", shop / "valid.parquet")


@pytest.fixture
def frozen(tiny_tower: Path, tiny_weights: Path) -> ModelConfig:
    """A small model on frozen towers."""
    return ModelConfig(tower_config=tiny_tower, pretrained=str(tiny_weights), dim=16, hidden=32)
