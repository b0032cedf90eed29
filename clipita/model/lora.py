"""Low-rank adaptation of the towers: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.

A frozen weight W is read as W + alpha / rank * up @ down (section 4.1 of the paper); down and up are learnt. They
change the weight and not the layer's output: open_clip's towers read weights without calling their layers (packed
attention, the attention pooling of its ResNets).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from clipita.errors import TrainingError
from clipita.model.towers import Towers

ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
PACKED = ("in_proj_weight", "qkv.weight")
"""Query, key and value projections in one matrix; each third gets a rank of its own, as if they were apart."""


class LowRank(nn.Module):
    """The update of one weight, [rows, columns] or a 1x1 convolution's [rows, columns, 1, 1]; it starts at zero.

    The rows are divided into equal blocks, each with an update of at most `rank`, which counts alpha / rank times.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float, blocks: int) -> None:
        super().__init__()
        rows, columns = weight.shape[0] // blocks, weight.shape[1]
        own = min(rank, rows, columns)
        self._scale = alpha / rank
        # Uniform as nn.Linear's own start, which is what the paper's code takes for this half.
        self.down = nn.Parameter(weight.new_empty((blocks, own, columns)).uniform_(-(columns**-0.5), columns**-0.5))
        self.up = nn.Parameter(weight.new_zeros((blocks, rows, own)))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as the tower reads it, of the same shape."""
        return weight + low_rank_update(self.down, self.up, self._scale, weight)


@dataclass(frozen=True)
class Adapters:
    """Learnt updates: down [blocks, rank, columns] and up [blocks, rows, rank] of each adapted weight, by its name.

    `base` is the SHA-256 of the towers' weights below them.
    """

    rank: int
    alpha: float
    base: str
    updates: dict[str, tuple[Tensor, Tensor]]

    @torch.no_grad()
    def merge(self, towers: Towers) -> None:
        """Add the updates to the towers' weights."""
        for name, (down, up) in self.updates.items():
            weight = towers.get_parameter(name)
            weight.add_(low_rank_update(down, up, self.alpha / self.rank, weight))

    def to_plain(self) -> dict[str, Any]:
        """Tensors and plain data for a checkpoint."""
        updates = {name: list(pair) for name, pair in self.updates.items()}
        return {"rank": self.rank, "alpha": self.alpha, "base": self.base, "updates": updates}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_plain`."""
        updates = {name: (down, up) for name, (down, up) in content["updates"].items()}
        return cls(content["rank"], content["alpha"], content["base"], updates)


def low_rank_update(down: Tensor, up: Tensor, scale: float, weight: Tensor) -> Tensor:
    """The change of a weight, in its shape: scale * up @ down, block by block."""
    return scale * (up @ down).reshape(weight.shape)


def check_rank(towers: Towers, rank: int) -> None:
    """Refuse a rank that no layer can have.

    Raises:
        TrainingError: it is above every layer's.
    """
    widest = max((min(module.get_parameter(name).shape[:2]) for module, name, _ in _adaptable(towers)), default=0)
    if rank > widest:
        raise TrainingError(
            f"Adapters of rank {rank} are larger than any layer of {towers.source.tower}, whose layers have ranks up "
            f"to {widest}.",
            hint="Choose a lower rank (8 is usual) with --lora, or train all weights with --unfreeze.",
        )


def install(towers: Towers, rank: int, alpha: float) -> None:
    """Freeze the towers and put adapters that learn on every linear layer, 1x1 convolutions included."""
    towers.requires_grad_(False)
    for module, name, blocks in list(_adaptable(towers)):
        adapter = LowRank(module.get_parameter(name), rank, alpha, blocks)
        parametrize.register_parametrization(module, name, adapter)


def remove(towers: Towers, rank: int, alpha: float) -> Adapters:
    """Take the adapters off, which restores the towers; rank and alpha are those of `install`."""
    updates = {}
    for path, module in list(towers.named_modules()):
        if not parametrize.is_parametrized(module):
            continue
        for name, (adapter,) in list(module.parametrizations.items()):
            updates[f"{path}.{name}"] = (adapter.down.detach().clone(), adapter.up.detach().clone())
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
    return Adapters(rank, alpha, towers.weights_hash(), updates)


def is_adapter(name: str) -> bool:
    """Whether a name in a state dict is that of an adapter's half."""
    return ".parametrizations." in name and name.endswith((".down", ".up"))


def _adaptable(towers: Towers) -> Iterator[tuple[nn.Module, str, int]]:
    """Module, name and number of blocks of every weight that a vector is multiplied with."""
    for path, module in towers.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            names = [name for name in ATTENTION_WEIGHTS if getattr(module, name, None) is not None]
        else:
            pointwise = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
            names = ["weight"] if pointwise or isinstance(module, nn.Linear) else []
        for name in names:
            yield module, name, 3 if f"{path}.{name}".endswith(PACKED) else 1
