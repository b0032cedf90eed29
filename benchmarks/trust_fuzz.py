"""Every target of fuzz.py in turn, the server with a real node behind it included."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import record
from fuzz_outside import SERVER
from fuzz_targets import TARGETS
from ingest_shop import Shop, first_rows, settings
from record import target
from serve_load import Served

import clipita

LEAST = 500_000
SLOW_INPUTS = 20_000


def fuzz(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Fuzz all targets. The server takes longest, and gets `SLOW_INPUTS`; the others share the rest equally."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    clipita.ingest(file, cluster=shop.client, index="bench-fuzz", model=shop.bundle, config=settings())
    share = -(-(options.inputs - SLOW_INPUTS) // (len(TARGETS) - 1))
    found = {}
    with Served("--url", shop.url, "--index", "bench-fuzz", "--no-model") as address:
        for name in TARGETS:
            words = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "--target", name]
            inputs = SLOW_INPUTS if name == "requests" else share
            words += ["--inputs", str(inputs), "--seed", str(options.seed)]
            code = subprocess.run(words, env={**os.environ, SERVER: address}, check=False).returncode
            result = json.loads((record.RESULTS / f"fuzz-{name}.json").read_text(encoding="utf-8"))
            kept = ("inputs", "distinct", "outcomes", "crashes", "hangs", "findings", "slowest_input_s", "wall_s")
            found[name] = {"exit": code, **{key: result[key] for key in kept}}
    tried = sum(one["inputs"] for one in found.values())
    wrong = {name: one["findings"] for name, one in found.items() if one["findings"] or one["exit"]}
    return {
        "fuzzed": found,
        "targets": [
            target(
                f"crashes and hangs in {tried:,} fuzzed inputs of {len(found)} kinds (at least {LEAST:,})",
                wrong or 0,
                not wrong and tried >= LEAST,
            )
        ],
    }
