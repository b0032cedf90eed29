"""Search on the whole real catalogue: latency, exact pages and facets, quality, recall, on a real local node.

    make bench-search BUNDLE=model     (or: python benchmarks/search.py --bundle model)

Ingests train, valid and test of the catalogue with the bundle (only what is missing, when the work folder is there
from an earlier run), tunes the weights on valid, and measures. All ratios come from one run, with the systems
interleaved request by request. Writes benchmarks/results/search.json. Exits 1 if a figure is not reached.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import record
import search_exact
import search_latency
import search_quality
from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryPath, CategoryTree
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig, SearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index import categories
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.index import remember
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.quality import thresholds
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

WORK = record.ROOT / "build" / "search"
INDEX = "products"
MEASURED_BY_OTHERS = [
    "/v1/search under 64 clients: benchmarks/serve.py",
    "min_max and rrf by the neural-search plugin: tests/opensearch/search/test_fusion.py checks their scores",
]


def main() -> int:
    """Run everything; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="an exported model of this catalogue")
    parser.add_argument("--data", type=Path, default=record.FASHION)
    parser.add_argument("--home", type=Path, default=WORK / "opensearch", help="folder of the local node")
    parser.add_argument("--rounds", type=int, default=3, help="how often each request is timed")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"The real catalogue is not at {options.data}; name its folder with --data.")
    files = [options.data / f"{split}.parquet" for split in ("train", "valid", "test")]
    node = LocalNode(options.home)
    was_running = node.status() is not None
    url = node.start(heap="1g").url
    try:
        result = measure(url, files, Bundle.load(options.bundle), options.rounds)
    finally:
        if not was_running:
            node.stop()
    result = {**record.provenance(["onnxruntime", "opensearch-py", "numpy"], files), **result}
    result["targets"] = targets(result)
    print(f"\nWritten: {record.write('search', result)}\n")
    for target in result["targets"]:
        print(f"{'reached' if target['reached'] else 'MISSED ':8} {target['target']}: {target['value']}")
    return 0 if all(target["reached"] for target in result["targets"]) else 1


def measure(url: str, files: list[Path], bundle: Bundle, rounds: int) -> dict[str, Any]:
    """All measurements."""
    busy = os.getloadavg()
    client = connect(OpenSearchConfig(url=url, timeout=600))
    paths = _ingest(client, bundle, files)
    documents = int(client.count(index=INDEX)["count"])
    names = sorted({category.name for category in CategoryTree(paths).categories})
    print(f"{documents:,} products, {len(names)} category names; quality …", flush=True)
    quality, tuned = search_quality.measure(client, INDEX, bundle, files)
    print(json.dumps(quality, indent=1))
    search = ProductSearch(client, INDEX, bundle, tuned)
    print("Pages, facets, recall …", flush=True)
    exact = search_exact.measure(search, client, INDEX, bundle, tuned, names)
    print("Latency of the k nearest …", flush=True)
    nearest = search_latency.measure(search, names, rounds)
    print("Latency of pages that end …", flush=True)
    thresholds.refit(client, search.index.name, bundle, Backoff())
    latency = search_latency.measure(ProductSearch(client, INDEX, bundle, tuned), names, rounds)
    print(json.dumps(latency, indent=1))
    return {
        "bundle": {"fingerprint": bundle.fingerprint, "dim": bundle.dim},
        "products": documents,
        "load_average": {"before": busy, "after": os.getloadavg()},
        "settings": dataclasses.asdict(tuned),
        "defaults": dataclasses.asdict(SearchConfig()),
        "quality": quality,
        "latency": latency,
        "latency of the k nearest": nearest,
        "exact": exact,
        "not_measured": MEASURED_BY_OTHERS,
    }


def _ingest(client: OpenSearch, bundle: Bundle, files: list[Path]) -> set[CategoryPath]:
    """Put the whole catalogue into the index, unless it is there; gives the category paths."""
    catalogues = [CatalogueFile(file) for file in files]
    present = indices.find(client, INDEX)
    rows = sum(catalogue.rows for catalogue in catalogues)
    if present is None or not present.complete or client.count(index=INDEX)["count"] != rows:
        print("Ingesting what is missing …", flush=True)
        config = IngestConfig(rejected=record.ROOT / "build" / "rejected.jsonl")
        Ingest(client, bundle, config, alias=INDEX).run(catalogues)
        present = indices.require(client, INDEX)
    indices.check_fingerprint(present, bundle, INDEX)
    paths = {path for one in catalogues for product in one.products() for path in product.category_paths}
    categories.publish(client, INDEX, present.name, bundle, paths)
    # Of an earlier run: the exact figures are of the k nearest.
    remember(client, f"{present.name}{categories.SUFFIX}", thresholds=None)
    return paths


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, with what was seen."""
    found = []
    for name, shape in result["latency"]["shapes"].items():
        for percentile in ("p50", "p95"):
            # As before pages had an end: the words, or the k nearest.
            before = result["latency of the k nearest"]["shapes"][name]
            slower = max(before[mode][percentile] for mode in ("lexical", "vector"))
            ratio = round(shape["hybrid"][percentile] / slower, 3)
            found.append(record.target(f"hybrid {percentile} <= 1.3 x the slower half, {name}", ratio, ratio <= 1.3))
    share = result["latency"]["python_ms"]["p50"]
    found.append(record.target("p50 in our Python <= 1 ms", share, share <= 1))
    text = result["latency"]["free_text"]
    found.append(record.target("free text: forward passes <= 1", text["forward_passes"], text["forward_passes"] <= 1))
    found.append(
        record.target("a repeated text adds <= 0.2 ms", text["repeated_ms_p50"], text["repeated_ms_p50"] <= 0.2)
    )
    for check in ("pages", "facets", "totals"):
        wrong = [entry for entry in result["exact"][check] if not entry["equal"]]
        found.append(record.target(f"{check} equal in all {len(result['exact'][check])} cases", len(wrong), not wrong))
    recall = result["exact"]["recall"][0]["recall@10"]
    found.append(record.target("recall@10 of the k-NN field at the defaults >= 0.99", recall, recall >= 0.99))
    zero, trained = result["quality"]["zero-shot"], result["quality"]["trained"]
    gain = round(zero["hybrid"]["mAP@10"] - max(zero[mode]["mAP@10"] for mode in ("lexical", "vector")), 2)
    found.append(record.target("zero-shot: hybrid >= better half + 1 mAP@10 (test)", gain, gain >= 1))
    gain = round(trained["hybrid"]["mAP@10"] - max(trained[mode]["mAP@10"] for mode in ("lexical", "vector")), 2)
    found.append(record.target("trained: hybrid >= better half - 0.2 mAP@10 (test)", gain, gain >= -0.2))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
