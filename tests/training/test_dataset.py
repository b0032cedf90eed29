"""Categories that training must not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clipita.catalogue.product import CategoryTree
from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import TrainingError
from clipita.model.checkpoint import load_run
from clipita.training.dataset import held_out_names
from clipita.training.prepare import Sources, prepared_data
from clipita.training.run import train

TREE = CategoryTree([("Home", "Plates"), ("Home", "Boards"), ("Toys", "Kites"), ("Toys", "Balls"), ("Toys", "Home")])


def test_leaves_are_drawn_by_the_seed() -> None:
    names = held_out_names(3, TREE, 5)
    assert names == held_out_names(3, TREE, 5)
    assert len(names) == 3
    assert names <= {"Plates", "Boards", "Kites", "Balls"}, "Home is a root's name too"
    assert len({held_out_names(2, TREE, seed) for seed in range(20)}) > 1


@pytest.mark.parametrize("count", [0, 4, 9])
def test_some_must_go_and_some_must_stay(count: int) -> None:
    with pytest.raises(TrainingError, match="4 leaves"):
        held_out_names(count, TREE, 0)


def test_a_file_of_names_and_paths(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("# new next season\nKites\n\n Home > Plates \n", encoding="utf-8")
    assert held_out_names(file, TREE, 0) == {"Kites", "Plates"}


@pytest.mark.parametrize(
    ("text", "words"), [("Kite\n", "Did you mean Kites"), ("\n# none\n", "names no category"), (None, "cannot be read")]
)
def test_files_that_cannot_be_used(text: str | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError) as told:
        held_out_names(file, TREE, 0)
    assert words in str(told.value)


def test_nothing_of_a_held_out_category_reaches_the_model(
    sources: Sources, frozen: ModelConfig, tmp_path: Path
) -> None:
    file = tmp_path / "names.txt"
    file.write_text("Footballs\nPlates\n", encoding="utf-8")
    training = TrainingConfig(epochs=1, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache")
    held = replace(sources, hold_out=file)
    with prepared_data(held, frozen, training, lambda *_: None) as data:
        for split in (data.train, data.valid):
            assert split.paths
            assert not any({"Footballs", "Plates"} & set(path) for path in split.paths)
        assert not {"Footballs", "Plates", "Round Plates"} & set(data.names)
    outcome = train(held, frozen, training, lambda *_: None, lambda _: None)
    assert outcome.held_out == ["Footballs", "Plates"]
    assert (training.run / "held_out.txt").read_text().split() == ["Footballs", "Plates"]
    assert not any("Footballs" in path for path in load_run(training.run).categories)
