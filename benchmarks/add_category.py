"""Adding a category beside an index of a million products.

    python benchmarks/add_category.py --bundle build/model

A real node with one shard and as many documents as `--products` says: ids and unit vectors of the bundle's dimension,
without a k-NN graph, which adding a category does not read. Then `clipita.add_category` with five examples, three
times. Writes benchmarks/results/add_category.json; exits 1 if a call takes 10 s or more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
import record
from opensearchpy import OpenSearch

import clipita
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index import categories
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD, mapping_body
from clipita.opensearch.local.node import LocalNode
from clipita.runtime import Bundle

ALIAS = "add-category"
BULK = 2000
VECTORS = 1000
"""Different vectors; products repeat them."""
CALLS = 3
AIM = 10.0
PACKAGES = ["onnxruntime", "opensearch-py"]


def main() -> int:
    """Run it; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="An exported model; it is copied.")
    parser.add_argument("--products", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(shutil.copytree(options.bundle, Path(folder) / "model"))
        local = LocalNode(Path(folder) / "opensearch")
        client = connect(OpenSearchConfig(url=local.start(heap="1g").url, timeout=600))
        try:
            _fill(client, Bundle.load(model), options.products)
            seconds = [_add(client, model, f"Clogs {number}") for number in range(CALLS)]
        finally:
            local.stop()
    target = record.target(f"add a category < {AIM:.0f} s", max(seconds), max(seconds) < AIM)
    result = {
        **record.provenance(PACKAGES, []),
        "products": options.products,
        "seconds of each call": seconds,
        "targets": [target],
    }
    print(f"Written: {record.write('add_category', result)}; seconds: {seconds}")
    return 0 if target["reached"] else 1


def _fill(client: OpenSearch, bundle: Bundle, products: int) -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(VECTORS, bundle.dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = [orjson.dumps(row) for row in rows.round(5).tolist()]
    body = mapping_body(bundle, "lucene", IngestConfig())
    properties = {
        ID_FIELD: {"type": "keyword"},
        VECTOR_FIELD: {"type": "float", "index": False},
        "clipita": {"properties": {"categories": {"type": "keyword"}}},
    }
    mappings = {"dynamic": False, "_meta": body["mappings"]["_meta"], "properties": properties}
    settings = {"index": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}}
    name = f"{ALIAS}-1"
    client.indices.create(index=name, body={"settings": settings, "aliases": {ALIAS: {}}, "mappings": mappings})
    line = b'{"index":{"_id":"%d"}}\n{"%s":"%d","%s":%s}\n'
    for start in range(0, products, BULK):
        lines = (
            line % (one, ID_FIELD.encode(), one, VECTOR_FIELD.encode(), vectors[one % VECTORS])
            for one in range(start, min(products, start + BULK))
        )
        answer = client.bulk(index=name, body=b"".join(lines), params={"filter_path": "errors"})
        assert not answer["errors"]
    client.indices.refresh(index=name)
    assert client.count(index=name)["count"] == products
    categories.publish(client, ALIAS, name, bundle, [])


def _add(client: OpenSearch, model: Path, name: str) -> float:
    began = time.perf_counter()
    clipita.add_category(name, ["3", "17", "29", "41", "58"], cluster=client, index=ALIAS, model=model)
    return round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    sys.exit(main())
