"""Labels of the paper's set-ups reach the loss and the figure that training stops by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clipita.config import ModelConfig, TrainingConfig
from clipita.training.dataset import Examples
from clipita.training.features import name_matrix
from clipita.training.prepare import Sources, labelled, prepared_data
from clipita.training.run import train

PATHS = [("Home", "Plates", "Round Plates"), ("Toys",)]


@pytest.mark.parametrize(
    ("setup", "paths"),
    [
        ("all", PATHS),
        ("general", [("Home",), ("Toys",)]),
        ("specific", [("Round Plates",), ("Toys",)]),
    ],
)
def test_labels(setup: str, paths: list[tuple[str, ...]]) -> None:
    given = Examples(titles=["a", "b"], attributes=[[], []], paths=list(PATHS), image_keys=[None, None])
    kept = labelled(given, setup)
    assert kept.paths == paths
    assert kept.titles == given.titles


@pytest.mark.parametrize(("setup", "asked"), [("all", 11), ("general", 2), ("specific", 5)])
def test_the_tree_stays_whole_and_the_labels_do_not(
    setup: str, asked: int, sources: Sources, frozen: ModelConfig, tmp_path: Path
) -> None:
    training = TrainingConfig(epochs=1, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache")
    training = replace(training, setup=setup, loss="infonce")
    with prepared_data(sources, replace(frozen, heads="plain"), training, lambda *_: None) as data:
        for split in (data.train, data.valid):
            assert int(name_matrix(data.names, split.paths).any(dim=0).sum()) == asked
        assert len(data.tree) == 11
        assert len(data.names) == 11


def test_each_setup_trains_another_model(sources: Sources, frozen: ModelConfig, tmp_path: Path) -> None:
    model = replace(frozen, heads="plain")
    heads = {}
    for setup in ("general", "specific"):
        training = TrainingConfig(epochs=2, batch_size=8, run=tmp_path / setup, cache=tmp_path / "cache")
        training = replace(training, setup=setup, loss="infonce", learning_rate=1e-2)
        outcome = train(sources, model, training, lambda *_: None, lambda _: None)
        assert outcome.trained.training["setup"] == setup
        assert outcome.categories == 11
        heads[setup] = torch.cat([value.flatten() for value in outcome.trained.model.heads.state_dict().values()])
    assert not torch.equal(heads["general"], heads["specific"])
