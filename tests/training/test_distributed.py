"""Two processes under torchrun (gloo, CPU) learn what one process learns from the same global batches."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import DeviceError
from clipita.model.checkpoint import CHECKPOINT
from clipita.training.distributed import Ranks, joined
from clipita.training.prepare import Sources
from clipita.training.run import train
from clipita.training.trainer import Trainer

SETTINGS = {
    "towers learn": {"unfreeze": True},
    "towers learn, infonce": {"unfreeze": True, "loss": "infonce"},
    "frozen": {},
}
# Every step's loss goes to a file of the process. All trainings in one launch: starting processes is what takes time.
SCRIPT = """
import pickle, sys, json
from pathlib import Path
from clipita.training import trainer
from clipita.training.distributed import joined
from clipita.training.run import train

calls, out = Path(sys.argv[1]), Path(sys.argv[2])
losses, step = [], trainer.Trainer._step

def watched(self, rows):
    loss = step(self, rows)
    losses.append(float(loss))
    return loss

trainer.Trainer._step = watched
said = {}
with joined("cpu") as ranks:
    for name, call in pickle.loads(calls.read_bytes()).items():
        losses.clear()
        outcome = train(*call, lambda *_: None, lambda _: None, ranks=ranks)
        figures = [outcome.best.number, outcome.epochs, outcome.best.r_precision]
        said[name] = {"size": ranks.size, "losses": list(losses), "figures": figures}
    (out / f"{ranks.rank}.json").write_text(json.dumps(said))
"""

Call = tuple[Sources, ModelConfig, TrainingConfig]


def with_torchrun(calls: dict[str, Call], folder: Path) -> list[dict[str, Any]]:
    """Train in two processes; what each of them has to say."""
    (folder / "calls.pickle").write_bytes(pickle.dumps(calls))
    (folder / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, folder / "script.py", folder / "calls.pickle", folder],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def in_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    losses: list[float] = []
    step = Trainer._step

    def watched(self: Trainer, rows: torch.Tensor) -> torch.Tensor:
        loss = step(self, rows)
        losses.append(float(loss))
        return loss

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", watched)
        train(*call, lambda *_: None, lambda _: None)
    return losses


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The learnt weights, but for the bias of attention's keys.

    It shifts all scores of a query alike, so that its gradient is nothing but rounding, which Adam makes large.
    """
    state: dict[str, torch.Tensor] = torch.load(folder / CHECKPOINT, weights_only=True)["state"]
    for name, value in state.items():
        if name.endswith("attn.in_proj_bias"):
            queries, _, values = value.chunk(3)
            state[name] = torch.cat([queries, values])
    return state


def test_two_processes_learn_what_one_learns(
    sources: Sources, frozen: ModelConfig, tiny_tower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads' dropout, dropped modalities and all other draws included. The last batch has one product for two."""
    ones, twos, losses = {}, {}, {}
    for name, setting in SETTINGS.items():
        model = replace(frozen, tower_config=tiny_tower, pretrained=None) if "unfreeze" in setting else frozen
        base = replace(TrainingConfig(epochs=2, batch_size=17, patience=9), **setting)
        ones[name] = (sources, model, replace(base, run=tmp_path / f"{name}-one", cache=tmp_path / "one"))
        twos[name] = (sources, model, replace(base, run=tmp_path / f"{name}-two", cache=tmp_path / "two"))
        losses[name] = in_one(ones[name], monkeypatch)
        assert len(losses[name]) == 2 * 8
    said = with_torchrun(twos, tmp_path)
    for name in SETTINGS:
        for process in said:
            assert process[name]["size"] == 2
            assert process[name]["losses"] == pytest.approx(losses[name], rel=1e-5, abs=1e-6), name
        # Both stop where the first one says.
        assert said[0][name]["figures"] == said[1][name]["figures"]
        one, two = ones[name][2].run, twos[name][2].run
        ours, theirs = weights(one), weights(two)
        assert ours.keys() == theirs.keys()
        for part, value in ours.items():
            torch.testing.assert_close(
                value, theirs[part], atol=5e-5, rtol=1e-4, msg=lambda text, at=f"{name}, {part}": f"{at}: {text}"
            )
        # The second process writes nothing.
        assert {file.name for file in two.iterdir()} == {file.name for file in one.iterdir()}
        assert len((two / "metrics.jsonl").read_text().splitlines()) == 2


def test_shares_are_contiguous_and_cover_a_batch() -> None:
    for size in (1, 2, 3, 8):
        for length in (1, 2, 7, 8, 9, 100):
            ranks = [Ranks(rank, size) for rank in range(size)]
            counts = ranks[0].counts(length)
            assert sum(counts) == length
            taken = [row for rank in ranks if counts[rank.rank] for row in range(length)[rank.share(length)]]
            assert taken == list(range(length))


def test_a_device_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="cuda:7"), joined("cuda:7"):
        pass
