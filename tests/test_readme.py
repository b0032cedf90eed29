"""The README quotes what benchmarks/results holds, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_readmes_tables_are_those_of_the_result_files() -> None:
    check = [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def summary_table(folder: Path) -> list[str]:
    """The rows of the README's first table, made from this folder's results."""
    call = "import sys, pathlib, summary; print(summary.table(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", call, str(folder)]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[2:]


def test_the_summary_says_what_was_measured_and_what_was_missed(tmp_path: Path) -> None:
    assert summary_table(tmp_path) == []
    reached = {"target": "page F1 by exact names >= 88", "value": 88.04}
    missed = {"target": "category pages that are not exactly their products = 0", "value": 2}
    parts = {"ends": {"targets": [reached], "nearest": {"page F1": 16.1}}, "live": {"targets": [missed], "pages": 9}}
    (tmp_path / "page.json").write_text(json.dumps(parts))
    page, sets = summary_table(tmp_path)
    assert "the 400 nearest products 16.1 | 88.0 | ≥ 88 |" in page
    assert "of 9 | 2 | 0, missed |" in sets


def test_the_first_screen_holds_picture_commands_and_numbers() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    screen = "\n".join(lines[: lines.index("<!-- end -->")])
    assert len(screen.splitlines()) < 40
    for wanted in ("make demo", "make test", "| recall@10", "(docs/assets/report.webp)"):
        assert wanted in screen
    assert (ROOT / "docs" / "assets" / "report.webp").stat().st_size < 200_000
