"""A run folder: one training from its settings to its checkpoint.

::

    runs/clip-ita/
      config.json      settings, data files with their SHA-256, seed
      metrics.jsonl    one line per epoch
      held_out.txt     names of categories that training did not see
      rejected.jsonl   products that could not be used, with the reason
      checkpoint.pt    the best epoch's weights
      last.pt          while it is unfinished: what the same command resumes from
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import clipita
from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import CheckpointError, ConfigError
from clipita.model.checkpoint import CHECKPOINT, TrainedModel, save_checkpoint
from clipita.model.clip_ita import ClipIta
from clipita.model.lora import remove
from clipita.training.dataset import Progress
from clipita.training.distributed import Ranks
from clipita.training.prepare import Data, Sources, prepared_data
from clipita.training.trainer import STATE, Epoch, Trainer

HELD_OUT = "held_out.txt"


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Attributes:
        trained: the model with the best epoch's weights.
        best: that epoch.
        epochs: how many were run in all.
        resumed: how many of them an earlier, interrupted call did.
        products: in the training split.
        categories: nodes of the tree.
        rejected: rows that could not be used.
        held_out: categories that training did not see.
    """

    trained: TrainedModel
    best: Epoch
    epochs: int
    resumed: int
    products: int
    categories: int
    rejected: int
    held_out: list[str]


def train(
    sources: Sources,
    model: ModelConfig,
    training: TrainingConfig,
    progress: Progress,
    on_epoch: Callable[[Epoch], None],
    *,
    force: bool = False,
    ranks: Ranks | None = None,
) -> Outcome:
    """Train a model into `training.run`, or go on where an interrupted call stopped.

    `force` replaces what the run folder holds. Of several processes (see `distributed.joined`) the first one writes,
    and all get the same outcome.

    Raises:
        CheckpointError: the folder holds a finished training, or one with other settings.
        TrainingError, CatalogueError: see `prepared_data`.
    """
    ranks = ranks or Ranks(device=training.device)
    _check_settings(training)
    if training.learns_towers:
        # An anchor is fitted to features that do not change.
        model = replace(model, heads="plain")
    described = describe(sources, model, training)
    if ranks.first:
        _clear_or_refuse(training.run, force=force)
    if not ranks.prepares:
        ranks.wait()
    with prepared_data(sources, model, training, progress, ranks) as data:
        if ranks.prepares:
            ranks.wait()
        return fit(data, model, training, described, progress, on_epoch, ranks)


def fit(
    data: Data,
    model: ModelConfig,
    training: TrainingConfig,
    described: dict[str, Any],
    progress: Progress,
    on_epoch: Callable[[Epoch], None],
    ranks: Ranks,
) -> Outcome:
    """Train on prepared data and write the run folder; see `train`."""
    folder = training.run

    def report(epoch: Epoch) -> None:
        with _writing(folder), (folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(epoch)) + "\n")
        on_epoch(epoch)

    identity = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    if ranks.first:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
            (folder / "rejected.jsonl").write_bytes(b"".join(row.to_json_line() for row in data.rejected))
            (folder / HELD_OUT).write_text("".join(f"{name}\n" for name in data.held_out), encoding="utf-8")
    known = (len(data.variants.owners), len(data.names)) if data.variants is not None else (0, 0)
    network = ClipIta(data.towers, model.modalities, model.dim, model.hidden, model.dropout, model.heads, known)
    pretrained = data.towers.source.pretrained_text
    trainer = Trainer(network, data, training, folder, identity, pretrained_towers=pretrained, ranks=ranks)
    resumed = trainer.resume()
    best = trainer.run(progress, report)
    adapters = None
    if training.lora_rank:
        adapters = remove(network.towers, training.lora_rank, training.lora_alpha)
        adapters.merge(network.towers)
    trained = TrainedModel(
        network,
        [category.path for category in data.tree.categories],
        {"valid R-precision": best.r_precision},
        {
            **described["training"],
            "data": described["data"],
            "heads": described["model"]["heads"],
            "held_out": data.held_out,
            "products": len(data.train.paths),
            "epochs_run": len(trainer.history),
            "best_epoch": best.number,
            "clipita": described["clipita"],
        },
        training.learns_towers,
        pretrained,
        adapters,
    )
    if ranks.first:
        save_checkpoint(trained, folder / CHECKPOINT)
        (folder / STATE).unlink(missing_ok=True)
    return Outcome(
        trained,
        best,
        len(trainer.history),
        resumed,
        len(data.train.paths),
        len(data.tree),
        len(data.rejected),
        data.held_out,
    )


def describe(sources: Sources, model: ModelConfig, training: TrainingConfig) -> dict[str, Any]:
    """All settings and data that decide the result; two equal descriptions train the same model."""
    settings = {key: value for key, value in asdict(training).items() if key not in {"run", "cache", "device"}}
    return {
        "clipita": clipita.__version__,
        "data": sources.describe(),
        "fields": json.loads(json.dumps(asdict(sources.fields))),
        "model": {key: str(value) if isinstance(value, Path) else value for key, value in asdict(model).items()},
        "training": settings,
    }


def _check_settings(training: TrainingConfig) -> None:
    bounds: list[tuple[tuple[str, ...], Callable[[float], bool], str]] = [
        (("balance", "distillation", "lora_rank"), lambda value: value >= 0, "must not be negative"),
        (("learning_rate", "lora_alpha"), lambda value: value > 0, "must be positive"),
        (("epochs", "batch_size", "patience"), lambda value: value >= 1, "must be at least 1"),
        (("modality_dropout",), lambda value: 0 <= value < 1, "must be in [0, 1)"),
    ]
    for names, holds, bound in bounds:
        for name in names:
            if not holds(getattr(training, name)):
                raise ConfigError(f"training {name} is {getattr(training, name)}; it {bound}.")
    if training.lora_rank and training.unfreeze:
        raise ConfigError(
            "Adapters (--lora, lora_rank) leave the towers' own weights as they are, and --unfreeze trains those.",
            hint="Use one of the two: --freeze beside --lora, or --lora 0 beside --unfreeze.",
        )
    for template in training.query_templates:
        if "{}" not in template:
            raise ConfigError(
                f"The query template {template!r} has no place for the name.", hint="Write {} where the name goes."
            )


def _clear_or_refuse(folder: Path, *, force: bool) -> None:
    if force:
        for name in (CHECKPOINT, STATE, "metrics.jsonl"):
            (folder / name).unlink(missing_ok=True)
    elif (folder / CHECKPOINT).exists():
        raise CheckpointError(
            f"{folder} holds a finished training.",
            hint="Export it with `clipita export-onnx`, train into another folder with --run, or replace it: --force.",
        )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"The run folder {folder} cannot be written: {error.strerror}.",
            hint="Free some disk space or correct its owner, then run the same command again.",
        ) from error
