"""Trainings of the quality benchmarks: kept when finished and not repeated."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from paper_relevance import Setup

from clipita.config import FieldsConfig, ModelConfig, TrainingConfig, override
from clipita.training.distributed import Ranks
from clipita.training.prepare import Sources, prepared_data
from clipita.training.recipes import apply_recipe
from clipita.training.run import describe, fit

FINISHED = (0, 3)
"""Exit codes of a training that ended with a model; 3 says that rows of the catalogue were rejected."""


def train(
    run: Path, cache: Path, files: list[Path], tower: tuple[Path, Path], labels: Setup = "all", **options: Any
) -> float:
    """Train into `run`, unless that was done; gives the seconds that it took.

    Args:
        run: the folder of the training.
        cache: where features of frozen towers are kept.
        files: the catalogue's train and valid splits; what follows is not read.
        tower: an open_clip config file and its checkpoint.
        labels: categories that a product is labelled with: `all` on its path, as `clipita train` does; or one alone,
            the root (`general`) or the last one (`specific`).
        options: of `clipita train`: recipe, modalities, batch_size, seed, hold_out_categories.

    Raises:
        SystemExit: the training failed.
    """
    note = run / "seconds.json"
    if (run / "checkpoint.pt").exists() and note.exists():
        return float(json.loads(note.read_text()))
    started = time.monotonic()
    if labels == "all":
        _by_command(run, cache, files, tower, options)
    else:
        print("\n$ train", run, labels, options, flush=True)
        with_labels(run, cache, files, tower, labels, **options)
    seconds = round(time.monotonic() - started, 1)
    note.write_text(json.dumps(seconds))
    return seconds


def _by_command(run: Path, cache: Path, files: list[Path], tower: tuple[Path, Path], options: dict[str, Any]) -> None:
    words = [
        "train", files[0], "--valid", files[1], "--tower-config", tower[0], "--pretrained", tower[1],
        "--run", run, "--cache", cache,
    ]  # fmt: skip
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", value]
    print("\n$ clipita", *words, flush=True)
    ended = subprocess.run([Path(sys.executable).parent / "clipita", *map(str, words)])
    if ended.returncode not in FINISHED:
        raise SystemExit(f"The training in {run} failed.")


def with_labels(
    run: Path,
    cache: Path,
    files: list[Path],
    tower: tuple[Path, Path],
    labels: Setup,
    recipe: Any = "default",
    modalities: str = "ITA",
    hold_out_categories: Path | None = None,
    **options: Any,
) -> None:
    """The same with one label a product; the tree, and with it what counts as seen, stays whole."""
    model, training = apply_recipe(recipe, ModelConfig(), TrainingConfig())
    model = replace(model, tower_config=tower[0], pretrained=str(tower[1]), modalities=modalities)
    training = override(training, run=run, cache=cache, **options)
    sources = Sources(files[0], files[1], FieldsConfig(), hold_out=hold_out_categories)
    kept = slice(None, 1) if labels == "general" else slice(-1, None)
    with prepared_data(sources, model, training, lambda *_: None) as data:
        for split in (data.train, data.valid):
            split.paths = [tuple(path[kept] for path in paths) for paths in split.paths]
        described = {**describe(sources, model, training), "labels": labels}
        fit(data, model, training, described, lambda *_: None, lambda epoch: print(epoch, flush=True), Ranks())
