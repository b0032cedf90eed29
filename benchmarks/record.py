"""What every result file says about its making: command, commit, machine, versions, data."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clipita.files import sha256

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FASHION = ROOT.parent / "shared" / "data" / "fashion-products"


def provenance(packages: Sequence[str], data: Sequence[Path]) -> dict[str, Any]:
    """Who, what, where and on what data; part of every result file.

    Results of other benchmarks that are not committed yet change nothing of what runs, so they do not count.
    """
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
        ),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {name: version(name) for name in ("clipita", *packages)} | {"python": platform.python_version()},
        "data": {file.name: sha256(file) for file in data},
    }


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    model = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
    }


def memory_mib(process: int | str, field: str = "VmRSS") -> float:
    """A process's resident memory, or with `VmHWM` its largest so far, MiB; 0 once it has ended (proc(5))."""
    lines = [line.split() for line in _read(f"/proc/{process}/status") if line.startswith(f"{field}:")]
    return round(int(lines[0][1]) / 1024, 1) if lines else 0.0


def target(name: str, value: Any, reached: Any) -> dict[str, Any]:
    """An aim of a result file, what was measured, and whether that reaches it."""
    return {"target": name, "value": value, "reached": bool(reached)}


def write(name: str, content: dict[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def _read(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
