"""What the parts of ingest.py and trust.py share: the shop, its model, how parts are run, comparing two indices."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import record
from opensearchpy import OpenSearch
from towers import write_towers

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.ingest.context import Progress
from clipita.opensearch.ingest.index_source import scan
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.runtime import Bundle, ProductEncoder, ProductInput

WORK = record.ROOT / "build" / "ingest"
PACKAGES = ("onnxruntime", "opensearch-py", "numpy")
VECTOR_FIELD = "product_vector"
SAME_VECTOR = 1e-6
"""Largest difference of a component: a product shares its batch with others after a kill, which moves the last bit."""


@dataclass(frozen=True)
class Shop:
    """Where a part runs.

    Attributes:
        local: the node.
        url: its address.
        client: connected to it.
        bundle: the model.
        file: real products.
    """

    local: LocalNode
    url: str
    client: OpenSearch
    bundle: Bundle
    file: Path

    def ingest(
        self,
        file: Path,
        alias: str,
        config: IngestConfig,
        client: OpenSearch | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """One run, in this process."""
        run = Ingest(client or self.client, self.bundle, config, alias=alias, progress=progress)
        return run.run([CatalogueFile(file)])


Part = Callable[[Shop, argparse.Namespace], dict[str, Any]]


def parser_of(description: str | None, parts: Mapping[str, Part]) -> argparse.ArgumentParser:
    """The options that `run_parts` reads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="an exported model of this catalogue; default: make one")
    parser.add_argument("--data", type=Path, default=record.FASHION)
    parser.add_argument("--only", action="append", choices=list(parts), help="a part; may be given several times")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def run_parts(name: str, parts: Mapping[str, Part], options: argparse.Namespace) -> int:
    """Run the chosen parts against a local node, and record each as it ends; gives the exit code."""
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
        for part in options.only or parts:
            print(f"{part} …", flush=True)
            client.indices.delete(index="bench-*", ignore=[404], params={"expand_wildcards": "all"})
            shop = Shop(local, url, client, bundle, first_rows(source, options.products))
            busy, started = os.getloadavg(), time.monotonic()
            found = parts[part](shop, options)
            results[part] = {
                **record.provenance(PACKAGES, [source]),
                "bundle": {"fingerprint": bundle.fingerprint, "dim": bundle.dim},
                "load_average": {"before": busy, "after": os.getloadavg()},
                "seconds": round(time.monotonic() - started, 1),
                **found,
            }
            print(json.dumps(found, indent=1), flush=True)
            save(name, parts, part, results[part])
    finally:
        if not was_running:
            local.stop()
    targets = [target for result in results.values() for target in result["targets"]]
    for target in targets:
        print(f"{'reached' if target['reached'] else 'MISSED ':8} {target['target']}: {target['value']}")
    return 0 if all(target["reached"] for target in targets) else 1


def save(name: str, parts: Mapping[str, Part], part: str, result: dict[str, Any]) -> None:
    """Put one part's result among those that are there."""
    file = record.RESULTS / f"{name}.json"
    present = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    merged = present | {part: result}
    record.write(name, {each: merged[each] for each in parts if each in merged})


def own_bundle(data: Path, dim: int | None = None) -> Path:
    """A bundle of the default recipe, trained on the catalogue's smaller files; made once a length of vectors."""
    target = WORK / ("model" if dim is None else f"model-{dim}")
    if (target / "manifest.json").exists():
        return target
    train, valid = data / "valid.parquet", data / "test.parquet"
    clipita = Path(sys.executable).parent / "clipita"
    if not (WORK / "run" / "checkpoint.pt").exists():
        config, checkpoint = write_towers(WORK / "towers")
        words = ["train", train, "--valid", valid, "--tower-config", config, "--pretrained", checkpoint,
                 "--run", WORK / "run", "--cache", WORK / "features", "--force"]  # fmt: skip
        subprocess.run([clipita, *map(str, words)], check=True)
    words = ["export-onnx", "--run", WORK / "run", "--out", target, "--catalogue", valid]
    subprocess.run([clipita, *map(str, [*words, *([] if dim is None else ["--dim", dim])])], check=True)
    return target


class FixedVectors(ProductEncoder):
    """The labelled no-op: pictures are decoded as ever, and every product gets the same unit vector."""

    def encode(self, inputs: Sequence[ProductInput]) -> npt.NDArray[np.float32]:
        """[len(inputs), dim]; nothing is computed."""
        vector = np.full(self.bundle.dim, self.bundle.dim**-0.5, dtype=np.float32)
        return np.tile(vector, (len(inputs), 1))


def settings(**changes: Any) -> IngestConfig:
    """The defaults, with rejected rows kept out of the repository."""
    return IngestConfig(**{"rejected": WORK / "rejected.jsonl", **changes})


def first_rows(source: Path, rows: int) -> Path:
    """A Parquet file of a file's first rows."""
    target = WORK / f"{source.stem}-{rows}.parquet"
    if not target.exists():
        pq.write_table(pq.read_table(source).slice(0, rows), target, row_group_size=1000)
    return target


def documents(
    client: OpenSearch, index: str, numbers: Sequence[str] = (VECTOR_FIELD,)
) -> dict[str, tuple[str, npt.NDArray[np.float32]]]:
    """Every document: id -> SHA-256 of all but the fields `numbers`, and these, one behind the other."""
    client.indices.refresh(index=index)
    found: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}
    # By point in time: see docs/reliability.md for what scrolls do to a k-NN index.
    for hit in scan(client, index, {"match_all": {}}, Backoff(), True):
        source = dict(hit["_source"])
        vector = np.concatenate([np.asarray(source.pop(field, ()), dtype=np.float32) for field in numbers])
        found[hit["_id"]] = (hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest(), vector)
    count = int(client.count(index=index)["count"])
    if count != len(found):
        raise RuntimeError(f"{index} counts {count} documents, but {len(found)} were read.")
    return found


def difference(client: OpenSearch, whole: str, other: str, numbers: Sequence[str] = (VECTOR_FIELD,)) -> dict[str, Any]:
    """How an index differs from one that was written without a break; `numbers` as of `documents`."""
    expected, seen = documents(client, whole, numbers), documents(client, other, numbers)
    both = expected.keys() & seen.keys()
    gaps = [_gap(expected[key][1], seen[key][1]) for key in both]
    return {
        "documents": len(expected),
        "missing": len(expected.keys() - seen.keys()),
        "surplus": len(seen.keys() - expected.keys()),
        "other_fields_differ": sum(expected[key][0] != seen[key][0] for key in both),
        "vectors_not_bit_equal": sum(gap > 0 for gap in gaps),
        "largest_vector_difference": max(gaps, default=0.0),
    }


def _gap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max(initial=0)) if one.shape == other.shape else float("inf")


def is_same(found: dict[str, Any]) -> bool:
    """Whether nothing is lost, twice or other than it should be."""
    wrong = found["missing"] + found["surplus"] + found["other_fields_differ"]
    return not wrong and found["largest_vector_difference"] <= SAME_VECTOR
