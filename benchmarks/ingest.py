"""Ingest on the real catalogue, against a real local node: speed, memory, and what faults do to it.

    make bench-ingest                                      (trains and exports a small model by itself)
    python benchmarks/ingest.py --bundle model             (a model that is there)
    python benchmarks/ingest.py --bundle model --only kill --runs 20

Each part writes its result into benchmarks/results/ingest.json as it ends, with the command and the commit that made
it, so that a run may be split. All ratios come from one part, with the sides taking turns. Exits 1 if a figure of the
parts that were run is not reached. The whole is laid out for half an hour on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ingest_faults
import ingest_memory
import ingest_speed
import record
from ingest_shop import WORK, Shop, first_rows
from towers import write_towers

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import LocalNode
from clipita.runtime import Bundle

PACKAGES = ("onnxruntime", "opensearch-py", "numpy")
PARTS: dict[str, Callable[[Shop, argparse.Namespace], dict[str, Any]]] = {
    "encoder": ingest_speed.encoder,
    "host": ingest_speed.host,
    "unchanged": ingest_speed.unchanged,
    "memory": ingest_memory.memory,
    "kill": ingest_faults.kill,
    "node": ingest_faults.node,
    "proxy": ingest_faults.proxy,
    "hostile": ingest_faults.hostile,
}


def main() -> int:
    """Run the parts; gives the exit code."""
    options = _options()
    if not options.data.is_dir():
        raise SystemExit(f"The real catalogue is not at {options.data}; name its folder with --data.")
    WORK.mkdir(parents=True, exist_ok=True)
    source = options.data / "train.parquet"
    bundle = Bundle.load((options.bundle or own_bundle(options.data)).resolve())
    local = LocalNode(WORK / "opensearch")
    was_running = local.status() is not None
    url = local.start(heap="1g").url
    results: dict[str, Any] = {}
    try:
        client = connect(OpenSearchConfig(url=url, timeout=600))
        for part in options.only or PARTS:
            print(f"{part} …", flush=True)
            client.indices.delete(index="bench-*", ignore=[404], params={"expand_wildcards": "all"})
            shop = Shop(local, url, client, bundle, first_rows(source, options.products))
            busy, started = os.getloadavg(), time.monotonic()
            found = PARTS[part](shop, options)
            results[part] = {
                **record.provenance(PACKAGES, [source]),
                "bundle": {"fingerprint": bundle.fingerprint, "dim": bundle.dim},
                "load_average": {"before": busy, "after": os.getloadavg()},
                "seconds": round(time.monotonic() - started, 1),
                **found,
            }
            print(json.dumps(found, indent=1), flush=True)
            save(part, results[part])
    finally:
        if not was_running:
            local.stop()
    targets = [target for result in results.values() for target in result["targets"]]
    for target in targets:
        print(f"{'reached' if target['reached'] else 'MISSED ':8} {target['target']}: {target['value']}")
    return 0 if all(target["reached"] for target in targets) else 1


def save(part: str, result: dict[str, Any]) -> None:
    """Put one part's result among those that are there."""
    file = record.RESULTS / "ingest.json"
    present = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    merged = present | {part: result}
    record.write("ingest", {name: merged[name] for name in PARTS if name in merged})


def own_bundle(data: Path) -> Path:
    """A bundle of the default recipe, trained on the catalogue's smaller files; made once."""
    target = WORK / "model"
    if (target / "manifest.json").exists():
        return target
    config, checkpoint = write_towers(WORK / "towers")
    train, valid = data / "valid.parquet", data / "test.parquet"
    clipita = Path(sys.executable).parent / "clipita"
    for words in (
        ["train", train, "--valid", valid, "--tower-config", config, "--pretrained", checkpoint,
         "--run", WORK / "run", "--cache", WORK / "features", "--force"],
        ["export-onnx", "--run", WORK / "run", "--out", target, "--catalogue", valid],
    ):  # fmt: skip
        subprocess.run([clipita, *map(str, words)], check=True)
    return target


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="an exported model of this catalogue; default: make one")
    parser.add_argument("--data", type=Path, default=record.FASHION)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part; may be given several times")
    parser.add_argument("--products", type=int, default=30_000, help="real products of unchanged and hostile")
    parser.add_argument("--encoder-products", type=int, default=10_000, help="real products of the encoder's ratio")
    parser.add_argument("--host-products", type=int, default=30_000, help="real products of the host side's ratio")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side of a ratio is timed")
    parser.add_argument("--memory-products", type=int, default=1_000_000, help="generated products of the memory curve")
    parser.add_argument("--fault-products", type=int, default=600, help="real products of kill, node and proxy")
    parser.add_argument("--runs", type=int, default=20, help="runs that are killed")
    parser.add_argument("--node-kills", type=int, default=5)
    parser.add_argument("--hostile-rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
