"""Trained models on disk. A checkpoint holds tensors and plain data only, and is loaded as such (no pickled code)."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from clipita.catalogue.product import CategoryPath
from clipita.errors import CheckpointError
from clipita.files import replacing
from clipita.model.clip_ita import ClipIta
from clipita.model.lora import Adapters, is_adapter
from clipita.model.towers import Towers, TowerSource, build_towers

FORMAT = 2
CHECKPOINT = "checkpoint.pt"


@dataclass
class TrainedModel:
    """A model in evaluation mode, and facts about its training.

    Attributes:
        categories: paths that training saw.
        metrics: validation figures of the kept epoch, percent.
        training: loss, epochs, seed, data and so on, for the manifest.
        learnt_towers: whether training changed the towers' weights.
        adapters: updates of a low-rank adaptation, which the model's weights already include.
    """

    model: ClipIta
    categories: list[CategoryPath]
    metrics: dict[str, float]
    training: dict[str, Any] = field(default_factory=dict)
    learnt_towers: bool = False
    pretrained_towers: bool = True
    adapters: Adapters | None = None

    @property
    def name(self) -> str:
        """The system's name in tables: clip-i, clip-ia, clip-it, clip-ita."""
        return f"clip-{self.model.modalities.lower()}"


def learnt_state(model: ClipIta, *, learnt_towers: bool) -> dict[str, torch.Tensor]:
    """The weights that training changes: all of them, or everything but the towers' own (adapters on them count)."""
    return {
        name: value.detach().clone()
        for name, value in model.state_dict().items()
        if learnt_towers or not name.startswith("towers.") or is_adapter(name)
    }


def save_checkpoint(trained: TrainedModel, file: Path) -> None:
    """Write a model atomically."""
    model, adapters = trained.model, trained.adapters
    # Hash of the weights that the towers must come with; None where the checkpoint holds them.
    base = None
    if adapters is not None:
        base = adapters.base
    elif not trained.learnt_towers:
        base = model.towers.weights_hash()
    content = {
        "format": FORMAT,
        "source": asdict(model.towers.source),
        "towers_hash": base,
        "model": model.shape,
        "state": learnt_state(model, learnt_towers=trained.learnt_towers and adapters is None),
        "adapters": adapters and adapters.to_plain(),
        "categories": [list(path) for path in trained.categories],
        "metrics": trained.metrics,
        "training": trained.training,
        "learnt_towers": trained.learnt_towers,
        "pretrained_towers": trained.pretrained_towers,
    }
    save_atomically(content, file)


def save_atomically(content: dict[str, Any], file: Path) -> None:
    """torch.save through a temporary name.

    Raises:
        CheckpointError: the disk refuses.
    """
    try:
        with replacing(file) as draft:
            torch.save(content, draft)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as RuntimeError
        raise CheckpointError(f"{file} cannot be written: {error}.", hint="Free some disk space and go on.") from error


def read_file(file: Path) -> dict[str, Any]:
    """Tensors and plain data of a file that `save_atomically` wrote.

    Raises:
        CheckpointError: missing, broken, or of another format.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"There is no trained model at {file}.", hint="Train one with: clipita train") from None
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file} is broken: {error}.", hint="Train again with: clipita train --force") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{file} is not a checkpoint of this version.", hint="Train again: clipita train --force")
    return content


def load_run(run: Path, towers: Towers | None = None) -> TrainedModel:
    """Read a run folder's model. Its towers are built from their source, unless they are given to save the time.

    Raises:
        CheckpointError: no model there, a broken one, or frozen towers whose weights changed since the training.
        TrainingError: the towers cannot be built.
    """
    content = read_file(run / CHECKPOINT)
    source = TowerSource(**content["source"])
    towers = towers or build_towers(source, seed=int(content["training"].get("seed", 0)))
    if content["towers_hash"] is not None and content["towers_hash"] != towers.weights_hash():
        raise CheckpointError(
            f"The towers' weights ({source.tower}, {source.pretrained}) are not those that {run} was trained on.",
            hint="Restore the checkpoint file that was used then, or train again: clipita train --force",
        )
    model = ClipIta(towers, **content["model"])
    missing, unexpected = model.load_state_dict(content["state"], strict=False)
    if unexpected or any(not name.startswith("towers.") for name in missing):
        raise CheckpointError(f"{run / CHECKPOINT} does not fit its own configuration.")
    adapters = Adapters.from_plain(content["adapters"]) if content.get("adapters") else None
    if adapters is not None:
        adapters.merge(towers)
    return TrainedModel(
        model.eval(),
        [tuple(path) for path in content["categories"]],
        content["metrics"],
        content["training"],
        content["learnt_towers"],
        content["pretrained_towers"],
        adapters,
    )
