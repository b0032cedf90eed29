"""The sizing tables of docs/scale.md are what benchmarks/scale.py computes, and it computes what is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_page_says_what_is_computed() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "scale.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("precision", "gigabytes"), [("fp32", 2.39), ("fp16", 1.27), ("byte", 0.70), ("binary", 0.21)])
def test_the_formula_gives_the_published_figures(
    precision: str, gigabytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 million vectors of 512 dimensions with m = 16."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scale

    assert scale.vector_bytes(precision, 10**6, dim=512, m=16) / 10**9 == pytest.approx(gigabytes, abs=0.005)
    assert scale.machines(96e9) == 2
    assert scale.machines(96.1e9) == 3
