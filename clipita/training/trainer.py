"""The training loop: seeded, resumable, stopped early by validation R-precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipita.catalogue.product import CategoryPaths
from clipita.config import TrainingConfig
from clipita.errors import CheckpointError
from clipita.evaluation.measures import r_precision
from clipita.model.checkpoint import FORMAT, learnt_state, read_file, save_atomically
from clipita.model.clip_ita import ClipIta
from clipita.model.lora import install
from clipita.training.dataset import Progress
from clipita.training.distributed import Ranks
from clipita.training.features import QueryTexts, Split, name_matrix, path_classes
from clipita.training.objective import objective
from clipita.training.prepare import Data

STATE = "last.pt"
FINE_TUNING_RATE = 1e-5
LORA_RATE = 2e-4
WARM_UP = 0.1
BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split, numbered from 1.

    `loss` is the mean over its steps, `r_precision` that of the validation split in percent; `best` tells whether it is
    the best so far.
    """

    number: int
    loss: float
    r_precision: float
    seconds: float
    best: bool


class Trainer:
    """Trains a model's heads (and towers, where they are not frozen).

    The state that a later call resumes from is in the folder `run`; one of another `identity` (a hash of settings and
    data) is refused. Pretrained towers that learn get a rate that does not wipe their weights out. Of several processes
    only the first one writes.
    """

    def __init__(
        self,
        model: ClipIta,
        data: Data,
        settings: TrainingConfig,
        run: Path,
        identity: str,
        *,
        pretrained_towers: bool,
        ranks: Ranks | None = None,
    ) -> None:
        self.model = model
        self._ranks = ranks or Ranks()
        self._data = data
        self._settings = settings
        self._state_file = run / STATE
        self._identity = identity
        self._valid_paths = name_matrix(data.names, data.valid.paths)
        self._weights = draw_weights(data.train.paths, settings.balance)
        model.towers.requires_grad_(settings.unfreeze)
        if settings.lora_rank:
            install(model.towers, settings.lora_rank, settings.lora_alpha)
        # Before the model moves: what has a closed form is computed on the CPU.
        self._objective = objective(model, data, settings)
        model.to(self._ranks.device)
        self._ranks.start_alike(model)
        self._steps = -(-len(data.train.paths) // settings.batch_size)
        self._optimizer = torch.optim.AdamW(self._parameter_groups(pretrained_towers), fused=True)
        total = max(3, self._steps * settings.epochs)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            max_lr=[group["lr"] for group in self._optimizer.param_groups],
            total_steps=total,
            # The rise takes more than one step, also of a training of ten.
            pct_start=WARM_UP if WARM_UP * total > 1 else 2 / total,
        )
        self.history: list[Epoch] = []
        self._best_state: dict[str, Tensor] = {}

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept."""
        return max(self.history, key=lambda epoch: epoch.r_precision)

    def resume(self) -> int:
        """Load the state of an interrupted call; returns the epochs that it did.

        Raises:
            CheckpointError: the state is of other settings or data.
        """
        found = read_file(self._state_file) if self._ranks.first and self._state_file.exists() else None
        content = self._ranks.same(found)
        if content is None:
            return 0
        if content["identity"] != self._identity:
            raise CheckpointError(
                f"{self._state_file.parent} holds an unfinished training with other settings or data.",
                hint="Finish that one, choose another folder with --run, or start over with --force.",
            )
        self.model.load_state_dict(content["state"], strict=False)
        self._optimizer.load_state_dict(content["optimizer"])
        self._schedule.load_state_dict(content["schedule"])
        self._best_state = content["best_state"]
        self.history = [Epoch(**epoch) for epoch in content["history"]]
        return len(self.history)

    def run(self, progress: Progress, on_epoch: Callable[[Epoch], None]) -> Epoch:
        """Train until the last epoch or until validation stops improving; the model ends with the best weights."""
        while len(self.history) < self._settings.epochs:
            if self.history and len(self.history) - self.best.number >= self._settings.patience:
                break
            epoch = self._one_epoch(len(self.history) + 1, progress)
            self.history.append(epoch)
            if self._ranks.first:
                self._save()
                on_epoch(epoch)
        self.model.to("cpu")
        self.model.load_state_dict(self._best_state, strict=False)
        self.model.eval()
        self._objective.finish()
        return self.best

    def _parameter_groups(self, pretrained_towers: bool) -> list[dict[str, Any]]:
        rate, decay = self._settings.learning_rate, self._settings.weight_decay
        named = list(self.model.heads.named_parameters())
        groups = [
            {"params": [value for name, value in named if "scale" not in name], "lr": rate, "weight_decay": decay},
            # The scales have to travel far in few steps, and decay would pull them towards a temperature of 1.
            {
                "params": [self.model.log_scale, *(value for name, value in named if "scale" in name)],
                "lr": 10 * rate,
                "weight_decay": 0.0,
            },
        ]
        if learning := [value for value in self.model.towers.parameters() if value.requires_grad]:
            fine = LORA_RATE if self._settings.lora_rank else FINE_TUNING_RATE
            groups.append({"params": learning, "lr": fine if pretrained_towers else rate, "weight_decay": decay})
        return groups

    def _one_epoch(self, number: int, progress: Progress) -> Epoch:
        started = time.monotonic()
        # Seeding by epoch makes a resumed training draw what an unbroken one would have drawn.
        torch.manual_seed(self._settings.seed * 100_003 + number)
        self.model.train()
        if not self._settings.unfreeze:
            # Below adapters too: running statistics and dropout stay as pretrained.
            self.model.towers.eval()
        total = torch.zeros((), device=self._ranks.device)
        order = draw(self._weights)
        for step, rows in enumerate(torch.split(order, self._settings.batch_size), start=1):
            total += self._step(rows)
            progress(f"Epoch {number}/{self._settings.epochs}", step, self._steps)
        if self._settings.unfreeze:
            self._ranks.average_statistics(self.model.towers)
        figure = validate(self.model, self._data.valid, self._data.queries, self._valid_paths)
        # Rounding may differ between processes; the decision to stop must not.
        r_precision = self._ranks.same(figure)
        best = not self.history or r_precision > self.best.r_precision
        if best:
            self._best_state = learnt_state(self.model, learnt_towers=self._settings.unfreeze)
        return Epoch(number, float(total) / self._steps, r_precision, time.monotonic() - started, best)

    def _step(self, rows: Tensor) -> Tensor:
        loss = self._objective.loss(rows)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        others = [value for name, value in self.model.named_parameters() if not name.startswith("towers.")]
        self._ranks.combine_gradients(self.model.towers.parameters(), others)
        self._optimizer.step()
        self._schedule.step()
        return loss.detach()

    def _save(self) -> None:
        save_atomically(
            {
                "format": FORMAT,
                "identity": self._identity,
                "state": learnt_state(self.model, learnt_towers=self._settings.unfreeze),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "best_state": self._best_state,
                "history": [asdict(epoch) for epoch in self.history],
            },
            self._state_file,
        )


def draw_weights(paths: Sequence[CategoryPaths], balance: float) -> Tensor:
    """Probability of drawing each product: its main category's size to the power of -balance."""
    classes = path_classes(paths)
    weights = torch.bincount(classes).double()[classes] ** -balance
    return weights / weights.sum()


def draw(weights: Tensor) -> Tensor:
    """An epoch's rows, int64 [N]: each once where all weigh the same, otherwise drawn with replacement."""
    if (weights == weights[0]).all():
        return torch.randperm(len(weights))
    edges = weights.cumsum(dim=0)
    return torch.searchsorted(edges, torch.rand(len(weights), dtype=edges.dtype) * edges[-1]).clamp(max=len(edges) - 1)


@torch.no_grad()
def validate(model: ClipIta, split: Split, queries: QueryTexts, relevant: Tensor) -> float:
    """R-precision in percent; puts the model into evaluation mode. `relevant` is bool [products, queries]."""
    model.eval()
    rows = torch.arange(len(split.paths))
    products = torch.cat([model.product(split.features(model, batch)) for batch in torch.split(rows, BATCH)])
    return mean_r_precision((model.query(queries.features(model)) @ products.T).cpu(), relevant.T)


def mean_r_precision(scores: Tensor, relevant: Tensor) -> float:
    """R-precision in percent, mean over the queries with a relevant product; both arguments are [queries, products]."""
    values = []
    for score, relevance in zip(scores, relevant, strict=True):
        count = int(relevance.sum())
        if count:
            values.append(r_precision(relevance[score.topk(count).indices].numpy(), count))
    return 100.0 * sum(values) / max(1, len(values))
