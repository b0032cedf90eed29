"""Trainings by low-rank adapters on the towers: what is kept, that they resume, what comes out, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import CheckpointError, ConfigError, TrainingError
from clipita.exporters.bundle import export_bundle
from clipita.model.checkpoint import CHECKPOINT, load_run
from clipita.model.towers import TowerSource, build_towers
from clipita.runtime.bundle import Bundle
from clipita.training.prepare import Sources
from clipita.training.run import Outcome, train
from clipita.training.trainer import Epoch


@pytest.fixture
def adapting(tmp_path: Path) -> TrainingConfig:
    return TrainingConfig(
        epochs=4, patience=4, batch_size=32, lora_rank=4, learning_rate=1e-2, run=tmp_path / "run",
        cache=tmp_path / "cache",
    )  # fmt: skip


def run(sources: Sources, model: ModelConfig, training: TrainingConfig, on_epoch: Any = lambda _: None) -> Outcome:
    return train(sources, model, training, lambda *_: None, on_epoch)


def content(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=True)
    return loaded


def test_the_run_keeps_the_updates_and_not_the_towers(
    sources: Sources, frozen: ModelConfig, adapting: TrainingConfig
) -> None:
    losses: list[float] = []
    outcome = run(sources, frozen, adapting, lambda epoch: losses.append(epoch.loss))
    assert losses[-1] < losses[0]
    saved = content(adapting.run)
    assert not any(name.startswith("towers.") for name in saved["state"])
    # 4 linear weights in a transformer block of each tower: the packed attention, its output, and two of the MLP.
    assert len(saved["adapters"]["updates"]) == 8
    assert all(up.any() for _, up in saved["adapters"]["updates"].values())
    came = build_towers(TowerSource.from_config(frozen))
    assert saved["towers_hash"] == came.weights_hash()
    assert not any(adapting.cache.glob("*/texts.rows")), "features of towers that learn must not be cached"
    again = load_run(adapting.run)
    assert again.learnt_towers
    assert again.model.shape["heads"] == "plain"
    ours, theirs = outcome.trained.model.state_dict(), again.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not torch.equal(again.model.towers.text.transformer.resblocks[0].mlp.c_fc.weight,
                           came.text.transformer.resblocks[0].mlp.c_fc.weight)  # fmt: skip


def test_an_interrupted_training_ends_as_if_unbroken(
    sources: Sources, frozen: ModelConfig, adapting: TrainingConfig, tmp_path: Path
) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    whole, broken = replace(adapting, run=tmp_path / "whole"), replace(adapting, run=tmp_path / "broken")
    run(sources, frozen, whole)
    with pytest.raises(KeyboardInterrupt):
        run(sources, frozen, broken, stop)
    assert run(sources, frozen, broken).resumed == 2
    left, right = content(whole.run), content(broken.run)
    assert all(torch.equal(value, right["state"][name]) for name, value in left["state"].items())
    for name, halves in left["adapters"]["updates"].items():
        for ours, theirs in zip(halves, right["adapters"]["updates"][name], strict=True):
            assert torch.equal(ours, theirs), name


def test_the_bundle_is_an_ordinary_one(
    sources: Sources, frozen: ModelConfig, adapting: TrainingConfig, tmp_path: Path
) -> None:
    run(sources, frozen, replace(adapting, epochs=1))
    bundle, _ = export_bundle(
        load_run(adapting.run),
        CatalogueFile(sources.valid),
        tmp_path / "model",
        lowest_cosine=0.9999,
        products=40,
        command="tests",
        report=lambda _: None,
    )
    assert isinstance(bundle, Bundle)


def test_towers_that_changed_since_are_refused(
    sources: Sources, frozen: ModelConfig, adapting: TrainingConfig, tiny_weights: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.pt"
    moved.write_bytes(tiny_weights.read_bytes())
    run(sources, replace(frozen, pretrained=str(moved)), replace(adapting, epochs=1))
    state = torch.load(moved, weights_only=True)
    torch.save({name: value + 0.01 if value.is_floating_point() else value for name, value in state.items()}, moved)
    with pytest.raises(CheckpointError, match="not those that"):
        load_run(adapting.run)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"lora_rank": -1}, ConfigError, "lora_rank is -1"),
        ({"lora_alpha": 0.0}, ConfigError, "lora_alpha is 0.0"),
        ({"unfreeze": True}, ConfigError, "--unfreeze"),
        ({"lora_rank": 33}, TrainingError, "rank 33 are larger than any layer"),
    ],
)
def test_impossible_settings_are_refused(
    bad: dict[str, Any], error: type[Exception], words: str, sources: Sources, frozen: ModelConfig,
    adapting: TrainingConfig,
) -> None:  # fmt: skip
    with pytest.raises(error, match=words):
        run(sources, frozen, replace(adapting, **bad))
    assert not adapting.run.exists()


def test_adapters_on_random_towers_are_refused(sources: Sources, frozen: ModelConfig, adapting: TrainingConfig) -> None:
    with pytest.raises(TrainingError, match="no pretrained weights"):
        run(sources, replace(frozen, pretrained=None), adapting)
