"""Hybrid search through a live index with categories that training did not see; weights come from valid alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import search_quality

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig, SearchConfig
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.evaluation.summary import row
from clipita.evaluation.systems import MODES
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle


def measure(runs: dict[int, Path], files: list[Path], work: Path) -> dict[str, Any]:
    """Export, ingest valid and test, tune on valid, measure on test, one draw after the other.

    Args:
        runs: draw to its finished training.
        files: train, valid and test.
        work: folder of bundles and node.

    Returns:
        `hybrid`: rows for lexical, vector and hybrid, of seen and of unseen categories, and with the towers' own
        vectors of titles (`zero-shot`); `hybrid_settings`: what valid chose for each.
    """
    local = LocalNode(work / "opensearch")
    was_running = local.status() is not None
    client = connect(OpenSearchConfig(url=local.start(heap="1g").url, timeout=600))
    rows: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}
    try:
        for draw, run in runs.items():
            bundle = export(run, work / "bundles" / run.name, files[1])
            known = {name for path in bundle.categories for name in path}
            valid, test = (TreeProtocol(CatalogueFile(file).products()) for file in files[1:])
            # A shop tunes on the categories that it has.
            valid.select("seen", known)
            alias = f"quality-draw{draw}"
            config = IngestConfig(rejected=work / "rejected.jsonl", thumbnails=False)
            Ingest(client, bundle, config, alias=alias).run([CatalogueFile(file) for file in files[1:]])
            searches = {"clip-ita": ProductSearch(client, alias, bundle, SearchConfig())}
            if draw == min(runs):
                searches["zero-shot"] = search_quality.zero_shot(client, bundle, [valid, test])
            for system, search in searches.items():
                found, tuned = search_quality.tuned(search, valid)
                search.config = tuned
                settings[f"{system}, draw {draw}"] = found
                rows += [entry | {"draw": draw} for entry in _rows(system, search, test, known)]
    finally:
        if not was_running:
            local.stop()
    return {"hybrid": rows, "hybrid_settings": settings}


def targets(result: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """What must hold, what was seen, and whether it does."""

    def mean(system: str, mode: str, subset: str) -> float:
        values = [
            entry["mAP@10"]
            for entry in result["hybrid"]
            if (entry["system"], entry["mode"], entry["subset"]) == (system, mode, subset)
        ]
        return sum(values) / len(values)

    def gain(system: str, subset: str) -> float:
        better = max(mean(system, mode, subset) for mode in ("lexical", "vector"))
        return round(mean(system, "hybrid", subset) - better, 2)

    found = [
        (f"hybrid, live, {subset}: not 0.2 mAP@10 below the better half", gain("clip-ita", subset), -0.2)
        for subset in ("seen", "unseen")
    ]
    found.append(("hybrid, live, zero-shot vectors: 1 mAP@10 above the better half", gain("zero-shot", "all"), 1.0))
    return [(name, value, value >= least) for name, value, least in found]


def export(run: Path, target: Path, catalogue: Path) -> Bundle:
    """Bring a finished training into a bundle by `clipita export-onnx`, compared with PyTorch on the catalogue."""
    words = ["export-onnx", "--run", run, "--out", target, "--catalogue", catalogue, "--json"]
    print("\n$ clipita", *words, flush=True)
    subprocess.run([Path(sys.executable).parent / "clipita", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return Bundle.load(target)


def _rows(system: str, search: ProductSearch, test: TreeProtocol, known: set[str]) -> list[dict[str, Any]]:
    subsets = {
        "all": list(range(len(test.queries))),
        "seen": [at for at, query in enumerate(test.queries) if query.text in known],
        "unseen": [at for at, query in enumerate(test.queries) if query.text not in known],
    }
    rows = []
    for mode in MODES:
        result = search_quality.scored(search, test, System(system, mode, "live"))
        rows += [row(result, subset, chosen) for subset, chosen in subsets.items()]
    return rows
