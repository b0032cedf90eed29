"""Whole trainings: what they leave behind, that they repeat, resume, stop and refuse."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import CheckpointError, ConfigError, TrainingError
from clipita.model.checkpoint import CHECKPOINT, load_run
from clipita.training.prepare import Sources
from clipita.training.row_store import ENTRY_BYTES
from clipita.training.run import Outcome, train
from clipita.training.trainer import STATE, Epoch


@pytest.fixture
def short(tmp_path: Path) -> TrainingConfig:
    return TrainingConfig(epochs=3, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache")


def run(sources: Sources, model: ModelConfig, training: TrainingConfig, *, force: bool = False) -> Outcome:
    return train(sources, model, training, lambda *_: None, lambda _: None, force=force)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / CHECKPOINT, weights_only=True)["state"]
    return state


def assert_same_weights(left: Path, right: Path) -> None:
    ours, theirs = weights(left), weights(right)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("modalities", ["I", "A", "T", "IA", "IT", "TA", "ITA"])
def test_every_subset_of_modalities_trains(
    modalities: str, sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    outcome = run(sources, replace(frozen, modalities=modalities), replace(short, epochs=1))
    assert outcome.trained.name == f"clip-{modalities.lower()}"
    again = load_run(short.run)
    assert again.model.modalities == modalities
    assert again.categories == outcome.trained.categories


@pytest.mark.parametrize("loss", ["tree", "infonce"])
def test_it_learns(loss: str, sources: Sources, frozen: ModelConfig, short: TrainingConfig) -> None:
    losses: list[float] = []
    train(
        sources,
        frozen,
        replace(short, loss=loss, epochs=6, patience=6, learning_rate=1e-2),
        lambda *_: None,
        lambda epoch: losses.append(epoch.loss),
    )
    assert losses[-1] < losses[0]


def test_the_run_folder(sources: Sources, frozen: ModelConfig, short: TrainingConfig) -> None:
    outcome = run(sources, frozen, short)
    names = {file.name for file in short.run.iterdir()}
    assert names == {"config.json", "metrics.jsonl", "rejected.jsonl", "held_out.txt", CHECKPOINT}
    config = json.loads((short.run / "config.json").read_text())
    assert config["training"]["seed"] == 0
    assert len(config["data"]["train"]["sha256"]) == 64
    epochs = [json.loads(line) for line in (short.run / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["number"] for epoch in epochs] == [1, 2, 3]
    assert max(epoch["r_precision"] for epoch in epochs) == outcome.best.r_precision
    assert outcome.trained.metrics["valid R-precision"] == outcome.best.r_precision
    assert (outcome.products, outcome.categories, outcome.rejected) == (120, 11, 0)


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "rejected.jsonl"])
def test_a_full_disk_is_told_and_room_makes_the_run_go_on(
    name: str, sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    short.run.mkdir(parents=True)
    (short.run / name).symlink_to("/dev/full")
    # A file of no rejected row is empty, and that fits.
    sources = replace(sources, train=with_a_row_that_is_rejected(sources.train, short.run.parent))
    with pytest.raises(CheckpointError, match=r"cannot be written: No space left on device\..*Free some disk space"):
        run(sources, frozen, short)
    (short.run / name).unlink()
    assert run(sources, frozen, short).epochs == 3


def with_a_row_that_is_rejected(catalogue: Path, folder: Path) -> Path:
    table = pq.read_table(catalogue)
    file = folder / "train.parquet"
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), file)
    return file


def test_the_saved_model_is_the_best_epochs(sources: Sources, frozen: ModelConfig, short: TrainingConfig) -> None:
    from clipita.evaluation.measures import r_precision
    from clipita.training.features import name_matrix
    from clipita.training.prepare import prepared_data

    outcome = run(sources, frozen, short)
    model = load_run(short.run).model
    with prepared_data(sources, frozen, short, lambda *_: None) as data, torch.no_grad():
        products = model.product(data.valid.features(model, torch.arange(len(data.valid.paths))))
        scores = model.query(data.queries.features(model)) @ products.T
        relevant = name_matrix(data.names, data.valid.paths).T
        values = [
            r_precision(right[score.argsort(descending=True)].numpy(), int(right.sum()))
            for score, right in zip(scores, relevant, strict=True)
            if right.any()
        ]
    assert 100 * sum(values) / len(values) == pytest.approx(outcome.best.r_precision, abs=1e-6)


def test_a_seed_repeats_a_training_to_the_bit(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tmp_path: Path
) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        run(sources, frozen, replace(short, seed=seed, run=tmp_path / name))
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same_weights(tmp_path / "a", tmp_path / "c")


def test_it_stops_when_validation_no_longer_rises(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are given here, since which epoch is best on real ones is a matter of luck."""
    figures = iter([10.0, 30.0, 20.0, 29.0, 30.0, 99.0])
    monkeypatch.setattr("clipita.training.trainer.validate", lambda *_: next(figures))
    outcome = run(sources, frozen, replace(short, epochs=6, patience=3))
    assert (outcome.best.number, outcome.epochs) == (2, 5)


def test_a_killed_training_goes_on_and_ends_as_if_unbroken(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tmp_path: Path
) -> None:
    whole, broken = (
        replace(short, run=tmp_path / "whole", patience=9),
        replace(short, run=tmp_path / "broken", patience=9),
    )
    run(sources, frozen, whole)
    (tmp_path / "call.pickle").write_bytes(pickle.dumps((sources, frozen, broken)))
    code = textwrap.dedent(
        """
        import os, pickle, signal, sys
        from pathlib import Path
        from clipita.training.run import train

        def die(epoch):
            if epoch.number == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        train(*pickle.loads(Path(sys.argv[1]).read_bytes()), lambda *_: None, die)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "call.pickle"], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (broken.run / STATE).exists()
    assert not (broken.run / CHECKPOINT).exists()
    outcome = run(sources, frozen, broken)
    assert (outcome.resumed, outcome.epochs) == (2, 3)
    assert not (broken.run / STATE).exists()
    assert_same_weights(whole.run, broken.run)
    assert len((broken.run / "metrics.jsonl").read_text().splitlines()) == 3


def stopped_after_one_epoch(sources: Sources, model: ModelConfig, training: TrainingConfig) -> None:
    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sources, model, training, lambda *_: None, stop)


def test_other_settings_do_not_go_on_with_it(sources: Sources, frozen: ModelConfig, short: TrainingConfig) -> None:
    stopped_after_one_epoch(sources, frozen, short)
    with pytest.raises(CheckpointError, match="other settings or data"):
        run(sources, frozen, replace(short, seed=1))
    assert run(sources, frozen, replace(short, seed=1), force=True).resumed == 0


def test_a_finished_run_is_not_overwritten(sources: Sources, frozen: ModelConfig, short: TrainingConfig) -> None:
    run(sources, frozen, replace(short, epochs=1))
    with pytest.raises(CheckpointError, match="finished training"):
        run(sources, frozen, short)
    assert run(sources, frozen, short, force=True).epochs == 3


def test_features_are_computed_once(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sources, frozen, short)
    (folder,) = short.cache.iterdir()
    before = {file.name: file.stat().st_size for file in folder.iterdir()}
    run(sources, frozen, short, force=True)
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == before
    assert before["images.keys"] == ENTRY_BYTES * 160


def test_another_tower_makes_its_own_features(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tiny_weights: Path, tmp_path: Path
) -> None:
    run(sources, frozen, short)
    state = torch.load(tiny_weights, weights_only=True)
    other = tmp_path / "other.pt"
    torch.save({name: value + 0.01 if value.is_floating_point() else value for name, value in state.items()}, other)
    run(sources, replace(frozen, pretrained=str(other)), short, force=True)
    assert len(list(short.cache.iterdir())) == 2


def test_damaged_features_are_never_trained_on(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tmp_path: Path
) -> None:
    run(sources, frozen, short)
    (folder,) = short.cache.iterdir()
    for name in ("images.rows", "texts.rows", "texts.keys"):
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
        (folder / name).write_bytes(data)
    run(sources, frozen, replace(short, run=tmp_path / "again"))
    assert_same_weights(short.run, tmp_path / "again")


def test_features_left_half_written_are_made_again(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tmp_path: Path
) -> None:
    run(sources, frozen, short)
    (folder,) = short.cache.iterdir()
    for name in ("images.rows", "texts.rows"):
        os.truncate(folder / name, (folder / name).stat().st_size // 2 + 3)
    run(sources, frozen, replace(short, run=tmp_path / "again"))
    assert_same_weights(short.run, tmp_path / "again")


def test_towers_that_changed_since_are_refused(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig, tiny_weights: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.pt"
    moved.write_bytes(tiny_weights.read_bytes())
    run(sources, replace(frozen, pretrained=str(moved)), short)
    state = torch.load(moved, weights_only=True)
    torch.save({name: value + 0.01 if value.is_floating_point() else value for name, value in state.items()}, moved)
    with pytest.raises(CheckpointError, match="not those that"):
        load_run(short.run)


@pytest.mark.parametrize("heads", ["plain", "residual"])
@pytest.mark.parametrize("gap", ["image", "title", "attributes"])
def test_a_product_without_a_modality_gets_a_vector_of_its_own(
    heads: Literal["plain", "residual"], gap: str, sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    from clipita.training.prepare import prepared_data

    # Residual heads start without any say of picture and attributes, and learn it slowly.
    run(sources, replace(frozen, heads=heads), replace(short, learning_rate=1e-2))
    model = load_run(short.run).model
    with prepared_data(sources, frozen, short, lambda *_: None) as data, torch.no_grad():
        whole = data.valid.features(model, torch.arange(8))
        vectors = model.product(replace(whole, **{gap: torch.zeros_like(getattr(whole, gap))}))
        assert torch.allclose(vectors.norm(dim=1), torch.ones(8), atol=1e-5)
        assert not torch.allclose(vectors, model.product(whole), atol=1e-3)
        assert len({tuple(vector) for vector in vectors.round(decimals=4).tolist()}) > 1


def test_cut_vectors_are_the_leading_numbers_of_whole_ones(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    run(sources, frozen, short)
    model = load_run(short.run).model
    texts = torch.nn.functional.normalize(torch.randn(5, model.towers.text_dim), dim=1)
    with torch.no_grad():
        whole = model.query(texts)
        model.truncate(8)
        cut = model.query(texts)
    assert model.dim == 8
    assert torch.allclose(cut, torch.nn.functional.normalize(whole[:, :8], dim=1), atol=1e-6)


def test_names_as_typed_are_answered_like_the_name(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    """The gate knows the variants, so that they get the category's own vector."""
    from clipita.training.prepare import prepared_data

    run(sources, frozen, short)
    model = load_run(short.run).model
    with prepared_data(sources, frozen, short, lambda *_: None) as data, torch.no_grad():
        assert data.variants is not None
        names = model.query(data.queries.features(model))
        typed = model.query(data.variants.features)
    nearest = (typed @ names.T).argmax(dim=1)
    assert (nearest == data.variants.owners).float().mean() > 0.9


def test_frozen_towers_without_weights_are_refused(
    sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    with pytest.raises(TrainingError, match="no pretrained weights"):
        run(sources, replace(frozen, pretrained=None), short)


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"modality_dropout": 1.0},
        {"learning_rate": 0.0},
        {"balance": -1.0},
    ],
)
def test_impossible_settings_are_refused(
    bad: dict[str, float], sources: Sources, frozen: ModelConfig, short: TrainingConfig
) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        run(sources, frozen, replace(short, **bad))


def test_a_broken_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(CheckpointError, match="broken"):
        load_run(tmp_path)
    with pytest.raises(CheckpointError, match="no trained model"):
        load_run(tmp_path / "nowhere")


def test_products_without_a_modality_are_trained_on(
    shop: Path, frozen: ModelConfig, short: TrainingConfig, tmp_path: Path
) -> None:
    table = pq.read_table(shop / "train.parquet")
    rows = table.to_pylist()
    for number, gap in enumerate(("image", "title", "attributes", "image")):
        rows[number][gap] = None
    rows[3]["title"] = "  "
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "gaps.parquet")
    outcome = run(Sources(tmp_path / "gaps.parquet", shop / "valid.parquet"), frozen, short)
    assert outcome.products == 120
    assert all(torch.isfinite(value).all() for value in weights(short.run).values())
