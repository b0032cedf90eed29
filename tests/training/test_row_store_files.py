"""Training reads the files it was given and no other one, least of all the test split."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded

_watched: list[str] = []
_watching = threading.Event()


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching.is_set():
        _watched.append(str(arguments[0]))


def test_training_opens_no_test_file(
    shop: Path, tiny_tower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings name the test file, beside the others, and it cannot be read without an error."""
    monkeypatch.chdir(tmp_path)
    for name in ("train", "valid"):
        (tmp_path / f"{name}.parquet").write_bytes((shop / f"{name}.parquet").read_bytes())
    (tmp_path / "test.parquet").write_bytes(b"whoever opens this fails")
    (tmp_path / "clipita.toml").write_text(
        '[catalogue]\ntrain = "train.parquet"\nvalid = "valid.parquet"\ntest = "test.parquet"\n'
        f'[model]\ntower_config = "{tiny_tower}"\ndim = 16\n[training]\nunfreeze = true\nepochs = 1\n'
    )
    sys.addaudithook(_hook)
    _watching.set()
    try:
        assert run_guarded(group, ["train"]) == 0
    finally:
        _watching.clear()
    opened = {Path(name).name for name in _watched}
    assert {"train.parquet", "valid.parquet"} <= opened
    assert "test.parquet" not in opened
