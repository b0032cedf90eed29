"""Trainings of the quality benchmarks: by `clipita train`, kept when finished and not repeated."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

FINISHED = (0, 3)
"""Exit codes of a training that ended with a model; 3 says that rows of the catalogue were rejected."""


def train(run: Path, cache: Path, files: list[Path], tower: tuple[Path, Path], *flags: object) -> float:
    """Train into `run`, unless that was done; gives the seconds that it took.

    Args:
        run: the folder of the training.
        cache: where features of frozen towers are kept.
        files: the catalogue's train and valid splits; what follows is not read.
        tower: an open_clip config file and its checkpoint.
        flags: of `clipita train`, beside those.

    Raises:
        SystemExit: the training failed.
    """
    note = run / "seconds.json"
    if (run / "checkpoint.pt").exists() and note.exists():
        return float(json.loads(note.read_text()))
    words = [
        "train", files[0], "--valid", files[1], "--tower-config", tower[0], "--pretrained", tower[1],
        "--run", run, "--cache", cache, *flags,
    ]  # fmt: skip
    print("\n$ clipita", *words, flush=True)
    started = time.monotonic()
    ended = subprocess.run([Path(sys.executable).parent / "clipita", *map(str, words)])
    if ended.returncode not in FINISHED:
        raise SystemExit(f"The training in {run} failed.")
    seconds = round(time.monotonic() - started, 1)
    note.write_text(json.dumps(seconds))
    return seconds
