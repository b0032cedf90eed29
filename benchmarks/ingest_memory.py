"""Memory of the ingesting process over a long catalogue of generated products without pictures."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ingest_shop import WORK, FixedVectors, Shop, settings
from ingest_speed import NO_OP
from record import target

WORDS = [
    "red",
    "blue",
    "green",
    "linen",
    "cotton",
    "leather",
    "running",
    "walking",
    "winter",
    "summer",
    "shoe",
    "shirt",
    "bag",
    "watch",
    "belt",
]
FIRST = 10_000
GROWTH = 1.1
BYTES_A_PRODUCT = 64
"""A run remembers every id, to tell a second product of one id and what left the catalogue: in the file and over all
files, 12 bytes a slot of a table that is filled to between 35 and 70 %."""
GRAPH = {"m": 2, "ef_construction": 2}
"""The smallest k-NN graph: equal vectors tell nothing about one, and the node's time is not what is measured."""


def memory(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory after 10,000 products, and on to the last."""
    file = _generated(options.memory_products)
    marks = [count for step in (1, 2, 5) for count in (step * 10**power for power in range(4, 8))]
    waiting = sorted({count for count in marks if count < options.memory_products})
    curve: list[dict[str, float]] = []

    def look(done: int, _: int | None) -> None:
        if waiting and done >= waiting[0]:
            del waiting[0]
            gc.collect()
            curve.append({"products": done, "resident_mib": _resident_mib()})

    config = settings(batch_size=options.batch_size, **GRAPH)
    with patch("clipita.opensearch.ingest.run.ProductEncoder", FixedVectors):
        report = shop.ingest(file, "bench-memory", config, progress=look)
    curve.append({"products": report.products, "resident_mib": _resident_mib()})
    grown = curve[-1]["resident_mib"] - curve[0]["resident_mib"]
    allowed = curve[0]["resident_mib"] * (GROWTH - 1) + report.products * BYTES_A_PRODUCT / 2**20
    return {
        "encoder": NO_OP,
        "graph": GRAPH,
        "products": report.products,
        "seconds_of_the_run": round(report.seconds, 1),
        "curve": curve,
        "targets": [
            target(
                f"memory grows <= 10 % and {BYTES_A_PRODUCT} bytes an id from 10,000 to {report.products:,} (MiB)",
                round(grown, 1),
                grown <= allowed,
            )
        ],
    }


def _generated(products: int) -> Path:
    file = WORK / f"generated-{products}.jsonl"
    chance = random.Random(0)
    with file.open("w", encoding="utf-8") as stream:
        for number in range(products):
            row = {
                "product_id": f"generated-{number}",
                "title": " ".join(chance.choices(WORDS, k=6)),
                "category_path": ["All", chance.choice(WORDS)],
                "attributes": {"colour": chance.choice(WORDS), "size": str(number % 50)},
                "price": number % 300,
            }
            stream.write(json.dumps(row) + "\n")
    return file


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
