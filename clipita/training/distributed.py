"""Training on several processes that `torchrun` started: who does what, and what they tell one another.

The towers are what costs time, so their work is split: of every batch each process runs a share through its copy. The
features are then gathered, with gradients, so that every process has the whole batch before it: heads and losses see
all of its products as negatives, and every random draw is the draw that one process would have made. Losses are
therefore those of one process, up to rounding.

Every process computes the whole loss, so the gradient of its own share of the features is complete. Through the towers
each then has the part that its share contributes, and the parts are added up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from clipita.catalogue.product import CategoryPath
from clipita.errors import DeviceError
from clipita.model.clip_ita import ClipIta, ProductFeatures
from clipita.runtime.preprocess import Tokenizer
from clipita.training.features import LearningTexts, Split

LONGEST_WAIT = timedelta(days=2)
"""For the others, while one process reads the catalogue and encodes or decodes its pictures."""
T = TypeVar("T")


@dataclass
class Ranks:
    """One process among those of a training.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        local: its number on this machine.
        device: where its model is.
    """

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
        """Until all have come here."""
        if self.size > 1:
            torch.distributed.barrier()

    def same(self, value: T) -> T:
        """What the first process says (plain data and tensors), to all."""
        if self.size == 1:
            return value
        said = [value]
        torch.distributed.broadcast_object_list(said, src=0, device=torch.device(self.device))
        return said[0]

    def counts(self, length: int) -> list[int]:
        """How many of so many rows each process takes; the first ones take one more where it does not come out even."""
        return [length // self.size + (rank < length % self.size) for rank in range(self.size)]

    def share(self, length: int) -> slice:
        """Rows of a batch that this process takes.

        Where there are too few for all, the last ones work on the first row in vain: towers cannot run on nothing, and
        a process that sits out would leave the others waiting for it.
        """
        counts = self.counts(length)
        start = sum(counts[: self.rank])
        return slice(start, start + counts[self.rank]) if counts[self.rank] else slice(0, 1)

    def gather(self, own: Tensor, length: int) -> Tensor:
        """All shares of a batch in their order, [length, ...], from this process's one; gradients flow back into it."""
        if self.size == 1:
            return own
        whole: Tensor = _Gather.apply(own, self.counts(length), self.rank)
        return whole

    @contextmanager
    def own_chance(self, step: int) -> Iterator[None]:
        """Random numbers of one process alone: dropout in a tower must not shift the draws that all have in common."""
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
                said = value.contiguous()
                torch.distributed.broadcast(said, src=0)
                value.copy_(said)

    def combine_gradients(self, towers: Iterable[nn.Parameter], others: Iterable[nn.Parameter]) -> None:
        """Add up the towers' gradients; the others are the same everywhere but for rounding, and are averaged."""
        if self.size > 1:
            self._sum([value.grad for value in towers if value.grad is not None], 1.0)
            self._sum([value.grad for value in others if value.grad is not None], 1.0 / self.size)

    def average_statistics(self, towers: nn.Module) -> None:
        """Bring together the running statistics of batch normalisation, which each process took from its shares."""
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
    """The place of this process among those that torchrun started; it is alone without torchrun.

    Args:
        device: `cpu`, `cuda` (under torchrun the GPU of the process's number on its machine) or `cuda:N`.

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
    """A split whose towers' work is shared out.

    Args:
        split: whose towers are learning.
        ranks: who takes part.
    """

    def __init__(self, split: Split, ranks: Ranks) -> None:
        self.paths: Sequence[CategoryPath] = split.paths
        self._split = split
        self._ranks = ranks
        self._step = 0

    def features(self, model: ClipIta, rows: Tensor) -> ProductFeatures:
        """Tower features of the rows, of which this process computes a share."""
        self._step += 1
        with self._ranks.own_chance(self._step):
            own = self._split.features(model, rows[self._ranks.share(len(rows))])
        return ProductFeatures(
            *(
                None if part is None else self._ranks.gather(part, len(rows))
                for part in (own.image, own.title, own.attributes)
            )
        )


class SharedTexts:
    """Query texts whose tower is learning; each process encodes a share.

    Args:
        texts: all of them.
        tokenizer: of the tower.
        ranks: who takes part.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer, ranks: Ranks) -> None:
        self._own = LearningTexts(texts[ranks.share(len(texts))], tokenizer)
        self._length = len(texts)
        self._ranks = ranks
        self._step = 0

    def features(self, model: ClipIta) -> Tensor:
        """The tower's present features, float32 [C, text_dim]."""
        self._step -= 1
        with self._ranks.own_chance(self._step):
            own = self._own.features(model)
        return self._ranks.gather(own, self._length)


class _Gather(torch.autograd.Function):
    """All shares to all processes. Back goes a process's own part: each has computed the whole loss by itself."""

    @staticmethod
    def forward(context: Any, own: Tensor, counts: Sequence[int], rank: int) -> Tensor:
        context.counts, context.rank, context.shape = counts, rank, own.shape
        # Shares differ by a row at most, and a collective wants equal ones.
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: counts[rank]] = own[: counts[rank]]
        shares = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(shares, padded)
        return torch.cat([share[:count] for share, count in zip(shares, counts, strict=True)])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        count, start = context.counts[context.rank], sum(context.counts[: context.rank])
        own = gradient.new_zeros(context.shape)
        own[:count] = gradient[start : start + count]
        return own, None, None


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
