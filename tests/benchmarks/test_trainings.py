"""Trainings on the paper's labels: they reach the loss, and the tree stays whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from clipita.model.checkpoint import load_run

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from trainings import train


def test_each_set_of_labels_trains_another_model(
    shop: Path, tiny_tower: Path, tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files, heads = [shop / "train.parquet", shop / "valid.parquet"], {}
    for labels in ("all", "general", "specific"):
        run = tmp_path / labels
        options = {"recipe": "paper", "batch_size": 8, "seed": 1, "labels": labels}
        seconds = train(run, tmp_path / "cache", files, (tiny_tower, tiny_weights), **options)
        assert seconds == train(run, tmp_path / "cache", files, (tiny_tower, tiny_weights), **options)
        trained = load_run(run)
        assert trained.training["batch_size"] == 8
        assert trained.training["loss"] == "infonce"
        assert len(trained.categories) == 11, "labels are taken away, categories are not"
        heads[labels] = torch.cat([value.flatten() for value in trained.model.heads.state_dict().values()])
    assert not torch.equal(heads["general"], heads["specific"])
    assert not torch.equal(heads["all"], heads["specific"])
