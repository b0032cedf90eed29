"""`clipita train` as a user calls it: exit codes, JSON, and what is wrong with a catalogue."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def learn(tiny_tower: Path) -> tuple[object, ...]:
    """Flags of a training that takes a second."""
    return ("--tower-config", tiny_tower, "--unfreeze", "--dim", 16, "--epochs", 1, "--batch-size", 64)


def write(file: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return file


def test_json(shop: Path, learn: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ("train", shop / "train.parquet", "--valid", shop / "valid.parquet", *learn, "--run", "run", "--json")
    assert clipita(*call) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["system"], result["products"], result["categories"], result["epochs"]) == ("clip-ita", 120, 11, 1)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert "Epoch 1: loss" in err
    assert clipita(*call) == 1
    assert "--force" in capsys.readouterr().err
    assert clipita(*call, "--force") == 0


def test_rejected_products_are_told_and_the_code_is_3(
    shop: Path, learn: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pq.read_table(shop / "train.parquet")
    rows = table.to_pylist()
    rows[4]["image"] = {"bytes": b"text", "path": "not-a-picture.jpg"}
    bad = write(tmp_path / "bad.parquet", rows, table.schema)
    assert clipita("train", bad, "--valid", shop / "valid.parquet", *learn, "--run", "run") == 3
    assert "1 rows could not be used" in capsys.readouterr().err
    (line,) = (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()
    assert rows[4]["product_id"] in line


def test_products_in_two_files_are_told(
    shop: Path, learn: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    train = shop / "train.parquet"
    assert clipita("train", train, "--valid", train, *learn, "--run", "run") == 0
    assert f"{train} and {train} share ids (" in capsys.readouterr().err


def test_settings_come_from_the_file(
    shop: Path, tiny_tower: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clipita.toml").write_text(
        f'[catalogue]\ntrain = "{shop / "train.parquet"}"\nvalid = "{shop / "valid.parquet"}"\n'
        f'[model]\ntower_config = "{tiny_tower}"\nmodalities = "IT"\ndim = 16\n'
        "[training]\nunfreeze = true\nepochs = 1\n"
    )
    assert clipita("train", "--json") == 0
    assert json.loads(capsys.readouterr().out)["system"] == "clip-it"
    assert (tmp_path / "runs" / "clip-ita" / "checkpoint.pt").is_file()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda rows: [], 1, "holds no product"),
        (lambda rows: [row | {"category_path": []} for row in rows], 1, "have no category"),
        (lambda rows: [row | {"category_path": ["Home"]} for row in rows], 1, "in one category (Home)"),
    ],
)
def test_catalogues_that_cannot_be_learnt_from(
    change: Any, code: int, words: str, shop: Path, learn: tuple[object, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table = pq.read_table(shop / "train.parquet")
    bad = write(tmp_path / "bad.parquet", change(table.to_pylist()), table.schema)
    assert clipita("train", bad, "--valid", shop / "valid.parquet", *learn, "--run", "run") == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_roots_alone_are_enough(shop: Path, learn: tuple[object, ...], tmp_path: Path) -> None:
    table = pq.read_table(shop / "train.parquet")
    rows = [row | {"category_path": row["category_path"][:1]} for row in table.to_pylist()]
    flat = write(tmp_path / "flat.parquet", rows, table.schema)
    assert clipita("train", flat, "--valid", shop / "valid.parquet", *learn, "--run", "run") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "No train catalogue is named"),
        (("{train}",), 2, "No valid catalogue is named"),
        (("none.parquet", "--valid", "{train}"), 1, "There is no catalogue file none.parquet"),
        (("{train}", "--valid", "{train}", "--title-field", "titel"), 2, "titel"),
        (("{train}", "--valid", "{train}", "--modalities", "IX"), 2, "names no modalities"),
        (("{train}", "--valid", "{train}", "--tower-config", "none.json"), 1, "none.json"),
        (("{train}", "--valid", "{train}", "--tower-config", "{train}"), 1, "cannot be read"),
        (("{train}", "--valid", "{train}", "--loss", "hinge"), 2, "hinge"),
        (("{train}", "--valid", "{train}", "--lora", "-1"), 2, "--lora"),
        (("{train}", "--valid", "{train}", "--lora", "4"), 2, "--freeze beside --lora"),
    ],
)
def test_errors_say_what_to_do(
    arguments: tuple[str, ...], code: int, words: str, shop: Path, learn: tuple[object, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [argument.replace("{train}", str(shop / "train.parquet")) for argument in arguments]
    assert clipita("train", *learn, *given) == code
    assert words in capsys.readouterr().err


def test_a_wrong_column_names_the_nearest_one(
    shop: Path, learn: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("train", shop / "train.parquet", "--valid", shop / "valid.parquet", *learn, "--category-field", "category")
    assert clipita(*call) == 2
    err = capsys.readouterr().err
    assert "category_path" in err
    assert "product_id" in err


def test_the_papers_recipe_is_one_flag_and_flags_beside_it_win(
    shop: Path, tiny_tower: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = ("--tower-config", tiny_tower, "--pretrained", tiny_weights, "--epochs", 1, "--cache", "cache")
    files = ("train", shop / "train.parquet", "--valid", shop / "valid.parquet", *frozen)
    settings = {}
    for name, flags in {
        "default": (),
        "paper": ("--recipe", "paper"),
        "mixed": ("--recipe", "paper", "--loss", "tree", "--dim", 16),
    }.items():
        assert clipita(*files, "--run", name, *flags) == 0
        config = json.loads((tmp_path / name / "config.json").read_text())
        batch = config["training"]["batch_size"]
        settings[name] = (config["model"]["heads"], config["model"]["dim"], config["training"]["loss"], batch)
    assert settings == {
        "default": ("residual", 384, "tree", 512),
        "paper": ("plain", 256, "infonce", 512),
        "mixed": ("plain", 16, "tree", 512),
    }


def test_held_out_leaves_are_named(
    shop: Path, learn: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("train", shop / "train.parquet", "--valid", shop / "valid.parquet", *learn, "--run", "run", "--json")
    assert clipita(*call, "--hold-out-categories", 2) == 0
    held_out = json.loads(capsys.readouterr().out)["held_out"]
    assert len(held_out) == 2
    assert (tmp_path / "run" / "held_out.txt").read_text().splitlines() == held_out
    again = ("--run", "again", "--hold-out-categories", "run/held_out.txt")
    assert clipita(*call, *again) == 0
    assert json.loads(capsys.readouterr().out)["held_out"] == held_out
    assert clipita(*call, "--force", "--hold-out-categories", "nowhere.txt") == 1
    assert "nowhere.txt cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("content", [{"weights": 1, "code": os.getcwd}, b"junk" * 99, b""])
def test_weights_that_are_no_checkpoint_are_one_line(
    shop: Path, tiny_tower: Path, tmp_path: Path, content: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 2))
    call = ("train", shop / "train.parquet", "--valid", shop / "valid.parquet", "--tower-config", tiny_tower)
    assert clipita(*call, "--pretrained", file) == 1
    err = capsys.readouterr().err
    assert "Internal error" not in err
    assert "weights.pt" in err or "cannot be built" in err
    if not isinstance(content, bytes):
        assert "could run code" in err


def test_weights_that_no_hub_gives_are_one_line_with_the_ways_out(shop: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "clipita.cli", "train", shop / "train.parquet", "--valid", shop / "valid.parquet"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    steps = ("Comparing the files", "Building the towers")
    (line,) = (text for text in done.stderr.splitlines() if not text.startswith(steps))
    assert line.startswith("Error: The weights laion2b_s34b_b79k of ViT-B-32 cannot be downloaded")
    assert "--pretrained FILE" in line
    assert not (tmp_path / "runs").exists()
