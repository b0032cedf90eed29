"""The whole road on the real catalogue: raw data -> trainings -> bundles -> a live index -> one table.

    make bench-fashion        (or: python benchmarks/fashion.py)

Trains the paper's heads: CLIP-I, CLIP-IA and CLIP-ITA with the tree loss and CLIP-ITA with the paper's InfoNCE on
train.parquet, stops by valid.parquet, and reports test.parquet: offline (exact search) and through a live index in a
local OpenSearch. The default recipe is measured by quality.py.
Writes benchmarks/results/fashion.json. Exits 1 if a figure is not reached.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import record
from towers import write_towers

WORK = record.ROOT / "build" / "fashion"
VARIANTS = [("i", "I", "tree"), ("ia", "IA", "tree"), ("ita", "ITA", "tree"), ("ita-infonce", "ITA", "infonce")]
INDEX = "fashion-test"


def main() -> int:
    """Run everything; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=record.FASHION)
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"The real catalogue is not at {options.data}; name its folder with --data.")
    files = [options.data / f"{split}.parquet" for split in ("train", "valid", "test")]
    config, checkpoint = write_towers(WORK / "towers")
    tower = ["--tower-config", str(config), "--pretrained", str(checkpoint)]
    seconds: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for name, modalities, loss in VARIANTS:
        seconds[f"train {name}"] = _train(name, modalities, loss, files, tower, options.seed)
        _clipita("export-onnx", "--run", WORK / "runs" / name, "--out", WORK / name, "--catalogue", files[1])
        rows += [row | {"loss": loss} for row in _evaluate(name, files[2]) if row["system"].startswith("clip-")]
    baselines = [row for row in _evaluate("ita", files[2]) if not row["system"].startswith("clip-")]
    live, products_per_second = _live(files[2])
    result = {
        **record.provenance(["torch", "open_clip_torch", "onnxruntime", "opensearch-py"], files),
        "seed": options.seed,
        "rows": baselines + rows,
        "live": live,
        "seconds": seconds,
        "ingest_products_per_second": products_per_second,
    }
    result["targets"] = targets(result)
    print(f"\nWritten: {record.write('fashion', result)}\n")
    _print(result)
    return 0 if all(target["reached"] for target in result["targets"]) else 1


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, with what was seen."""

    def figure(system: str, loss: str, measure: str) -> float:
        return next(
            float(row[measure]) for row in result["rows"] if row["system"] == system and row.get("loss") == loss
        )

    tree = [figure(name, "tree", "R-precision") for name in ("clip-i", "clip-ia", "clip-ita")]
    vector = next(row for row in result["live"] if row["mode"] == "vector")
    return [
        _target("InfoNCE CLIP-ITA R-precision >= 77", figure("clip-ita", "infonce", "R-precision"), lambda x: x >= 77),
        _target("tree loss CLIP-ITA R-precision >= 88", tree[2], lambda x: x >= 88),
        _target("tree loss CLIP-ITA mAP@10 >= 92", figure("clip-ita", "tree", "mAP@10"), lambda x: x >= 92),
        _target("R-precision I < IA < ITA", tree, lambda x: x[0] < x[1] < x[2]),
        _target(
            "live vector mode within 0.5 R-precision of offline",
            abs(vector["R-precision"] - tree[2]),
            lambda x: x <= 0.5,
        ),
    ]


def _target(name: str, value: Any, holds: Any) -> dict[str, Any]:
    return {"target": name, "value": value, "reached": bool(holds(value))}


def _train(name: str, modalities: str, loss: str, files: list[Path], tower: list[str], seed: int) -> float:
    started = time.monotonic()
    _clipita(
        "train", files[0], "--valid", files[1], *tower, "--recipe", "paper",
        "--modalities", modalities, "--loss", loss, "--seed", seed,
        "--run", WORK / "runs" / name, "--cache", WORK / "features", "--force",
    )  # fmt: skip
    return round(time.monotonic() - started, 1)


def _evaluate(name: str, test: Path, *more: object) -> list[dict[str, Any]]:
    file = WORK / f"evaluate-{name}.json"
    _clipita("evaluate", test, "--model", WORK / name, "--json", file, *more)
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return rows


def _live(test: Path) -> tuple[list[dict[str, Any]], float]:
    """Ingest the test split into a local node and evaluate through it, in all three modes."""
    home = WORK / "opensearch"
    started = json.loads(_clipita("opensearch", "start", "--home", home, "--json", capture=True))
    try:
        url = ["--url", started["url"], "--index", INDEX]
        summary = json.loads(
            _clipita("ingest", test, *url, "--model", WORK / "ita", "--new-index", "--json", capture=True)
        )
        rows = _evaluate("ita", test, *url, "--report", WORK / "report.html")
    finally:
        _clipita("opensearch", "stop", "--home", home)
    return [row for row in rows if row["where"] == "live"], float(summary["products_per_second"])


def _clipita(*arguments: object, capture: bool = False) -> str:
    """Run a command as a user would, printing it first."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ clipita {' '.join(words)}", flush=True)
    done = subprocess.run(
        [Path(sys.executable).parent / "clipita", *words],
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"clipita {words[0]} failed with exit code {done.returncode}")
    return done.stdout or ""


def _print(result: dict[str, Any]) -> None:
    measures = ("P@1", "P@5", "P@10", "mAP@5", "mAP@10", "R-precision")
    print(f"{'system':22} {'mode':8} {'where':8}" + "".join(f"{measure:>12}" for measure in measures))
    for row in result["rows"] + result["live"]:
        name = row["system"] + (f" ({row['loss']})" if "loss" in row else "")
        figures = "".join(f"{row[measure]:12.1f}" for measure in measures)
        print(f"{name:22} {row['mode']:8} {row['where']:8}{figures}")
    print()
    for target in result["targets"]:
        print(f"{'reached' if target['reached'] else 'MISSED':8} {target['target']}: {target['value']}")


if __name__ == "__main__":
    sys.exit(main())
