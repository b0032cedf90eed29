"""Training on several processes that `torchrun` started.

The towers cost most of the time, so each process runs a share of every batch through its copy. The features are then
gathered, so that heads and losses see the whole batch in every process, and every random draw is the one that a single
process makes. Losses equal those of one process, up to rounding. The towers' gradients are summed over the shares.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn

from clipita.catalogue.product import CategoryPaths
from clipita.errors import DeviceError
from clipita.model.clip_ita import ClipIta, ProductFeatures
from clipita.runtime.preprocess import Tokenizer
from clipita.training.features import Split

LONGEST_WAIT = timedelta(days=2)
"""Timeout of the others while one process reads the catalogue and encodes or decodes its images."""
T = TypeVar("T")


@dataclass
class Ranks:
    """One process among those of a training; `local` is its number on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether it writes the run folder and decides when training ends."""
        return self.rank == 0

    @property
    def prepares(self) -> bool:
        """Whether it fills the feature cache of its machine, which the others there then read."""
        return self.local == 0

    def wait(self) -> None:
        """Wait until all processes call this."""
        if self.size > 1:
            torch.distributed.barrier()

    def same(self, value: T) -> T:
        """The first process's value (plain data and tensors), in all processes."""
        if self.size == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0, device=torch.device(self.device))
        return values[0]

    def counts(self, length: int) -> list[int]:
        """How many of `length` rows each process takes; the first ones take the remainder."""
        return [length // self.size + (rank < length % self.size) for rank in range(self.size)]

    def share(self, length: int) -> slice:
        """Rows of a batch that this process takes.

        With fewer rows than processes, the last ones encode the first row for nothing: towers need at least one row,
        and the others wait for every process.
        """
        counts = self.counts(length)
        start = sum(counts[: self.rank])
        return slice(start, start + counts[self.rank]) if counts[self.rank] else slice(0, 1)

    def gather(self, own: Tensor, length: int) -> Tensor:
        """All shares of a batch in their order, [length, ...]; gradients flow into this process's own share."""
        if self.size == 1:
            return own
        counts = self.counts(length)
        own = own[: counts[self.rank]]
        # A collective takes equal shapes, and shares differ by one row at most.
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own.detach()
        shares = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(shares, padded)
        parts = [share[:count] for share, count in zip(shares, counts, strict=True)]
        # Every process computes the whole loss, so the gradient of its own share is complete.
        parts[self.rank] = own
        return torch.cat(parts)

    @contextmanager
    def own_chance(self, step: int) -> Iterator[None]:
        """Random numbers of this process alone: dropout in a tower must not shift the draws that all share."""
        if self.size == 1:
            yield
            return
        with torch.random.fork_rng(devices=[self.device] if self.device != "cpu" else []):
            torch.manual_seed(torch.initial_seed() + 7_919 * (step * self.size + self.rank + 1))
            yield

    def start_alike(self, model: nn.Module) -> None:
        """Give every copy the first one's weights."""
        if self.size > 1:
            for value in model.state_dict().values():
                shared = value.contiguous()
                torch.distributed.broadcast(shared, src=0)
                value.copy_(shared)

    def combine_gradients(self, towers: Iterable[nn.Parameter], others: Iterable[nn.Parameter]) -> None:
        """Sum the towers' gradients; average the others, which differ by rounding only."""
        if self.size > 1:
            self._sum([value.grad for value in towers if value.grad is not None], 1.0)
            self._sum([value.grad for value in others if value.grad is not None], 1.0 / self.size)

    def average_statistics(self, towers: nn.Module) -> None:
        """Average the running statistics of batch normalisation, which each process takes from its shares."""
        if self.size > 1:
            names = ("running_mean", "running_var")
            self._sum([value for name, value in towers.named_buffers() if name.endswith(names)], 1.0 / self.size)

    def _sum(self, values: Sequence[Tensor], factor: float) -> None:
        if not values:
            return
        flat = torch.cat([value.reshape(-1).float() for value in values])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat * factor, [value.numel() for value in values])
        for value, part in zip(values, parts, strict=True):
            value.copy_(part.reshape(value.shape))


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The process among those that torchrun started; a single one without torchrun.

    `cuda` means, under torchrun, the GPU of the process's number on its machine.

    Raises:
        DeviceError: PyTorch has no such device here.
    """
    if not torch.distributed.is_torchelastic_launched():
        yield Ranks(device=_checked(device))
        return
    local = int(os.environ["LOCAL_RANK"])
    chosen = _checked(f"cuda:{local}" if device == "cuda" else device)
    if chosen != "cpu":
        torch.cuda.set_device(chosen)
    torch.distributed.init_process_group("gloo" if chosen == "cpu" else "nccl", timeout=LONGEST_WAIT)
    try:
        yield Ranks(torch.distributed.get_rank(), torch.distributed.get_world_size(), local, chosen)
    finally:
        torch.distributed.destroy_process_group()


class SharedSplit:
    """A split whose towers are learning; each process encodes a share."""

    def __init__(self, split: Split, ranks: Ranks) -> None:
        self.paths: Sequence[CategoryPaths] = split.paths
        self._split = split
        self._ranks = ranks
        self._step = 0

    def features(self, model: ClipIta, rows: Tensor) -> ProductFeatures:
        """Tower features of the rows, of which this process computes a share."""
        self._step += 1
        with self._ranks.own_chance(self._step):
            own = self._split.features(model, rows[self._ranks.share(len(rows))])
        return own.map(lambda part: self._ranks.gather(part, len(rows)))


class SharedTexts:
    """Query texts whose tower is learning; each process encodes a share."""

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer, ranks: Ranks) -> None:
        self._ids = torch.from_numpy(tokenizer(texts[ranks.share(len(texts))]))
        self._length = len(texts)
        self._ranks = ranks
        self._step = 0

    def features(self, model: ClipIta) -> Tensor:
        """The tower's present features, float32 [C, text_dim]."""
        self._step -= 1
        with self._ranks.own_chance(self._step):
            own = model.towers.encode_text(self._ids.to(model.log_scale.device))
        return self._ranks.gather(own, self._length)


def _checked(device: str) -> str:
    if device == "cpu":
        return device
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"PyTorch cannot use the device {device}: {error}",
            hint="Use --device cpu, or a PyTorch built for this GPU.",
        ) from error
    return device
