"""`clipita sample`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clipita.cli", *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_shop_passes_the_check_and_init_guesses_its_columns(tmp_path: Path) -> None:
    drawn = run("sample", "--products", "150", "--json", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    counts = json.loads(drawn.stdout)
    assert counts["train"] + counts["valid"] + counts["test"] == counts["products"] == 150
    checked = run("catalogue", "check", "sample/train.parquet", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    guessed = run("init", "--catalogue", "sample/train.parquet", cwd=tmp_path)
    assert guessed.returncode == 0, guessed.stderr
    settings = (tmp_path / "clipita.toml").read_text()
    for line in ('id = "product_id"', 'image = "image"', 'valid = "sample/valid.parquet"'):
        assert line in settings


def test_an_earlier_shop_is_kept_unless_forced(tmp_path: Path) -> None:
    run("sample", "shop", "--products", "5", cwd=tmp_path)
    refused = run("sample", "shop", "--products", "6", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert run("sample", "shop", "--products", "6", "--force", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("words", [("--products", "0"), ("--seed", "-1"), ("--products", "many")])
def test_nonsense_is_refused(words: tuple[str, str], tmp_path: Path) -> None:
    assert run("sample", *words, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "sample").exists()
