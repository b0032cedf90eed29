"""The README quotes what benchmarks/results holds, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_readmes_tables_are_those_of_the_result_files() -> None:
    check = [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
