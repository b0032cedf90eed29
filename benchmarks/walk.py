"""The whole way of docs/howto/existing-index.md, each command timed, as a shop with a cluster of its own goes it.

    python benchmarks/walk.py                     100,000 products
    python benchmarks/walk.py --products 2000 --train-products 2000 --no-record

Before the clock runs: products are drawn, their pictures written as files, and their documents put into an index of
other field names, in a real OpenSearch node behind nginx with TLS, client certificates and passwords
(docker/security/nginx.conf.template as it stands). Then the wheel goes into an empty environment, and nothing but its
commands is called, as the user `clipita-ingest`, and for the pages as `clipita-search`. Towers are the demo's small
ones, trained from nothing, since no pretrained ones can be had on a machine without a model hub.

Writes benchmarks/results/walk.json. Exits 1 if a command failed, if a product is not in the new index, or if hybrid
category pages do not rank better than BM25.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import record
from opensearchpy import OpenSearch, helpers

from clipita.catalogue.sample.products import draw_products
from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import LocalNode

ALIAS, OWN = "products", "products-2025"
FIELDS = (
    "--title-field", "name", "--category-field", "shelf", "--category-separator", "/", "--image-field", "photo",
    "--attribute-field", "maker", "--attribute-field", "specs.*",
)  # fmt: skip
MAPPINGS = {
    "dynamic": "strict",
    "properties": {
        "name": {"type": "text", "analyzer": "english"},
        "maker": {"type": "keyword"},
        "shelf": {"type": "keyword"},
        "specs": {"type": "object", "dynamic": True},
        "photo": {"type": "keyword", "index": False, "doc_values": False},
        "price_eur": {"type": "scaled_float", "scaling_factor": 100},
    },
}


class Walk:
    """Commands in one folder, one after the other, with the seconds that each took."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.seconds: dict[str, float] = {}

    def step(self, name: str, *words: str | Path, **changes: str) -> str:
        """Run a command; its standard output.

        Raises:
            SystemExit: it failed.
        """
        print(f"$ {' '.join(map(str, words))}", flush=True)
        started = time.monotonic()
        environment = {**self.environment, **changes}
        done = subprocess.run(
            list(map(str, words)), cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
        self.seconds[name] = round(time.monotonic() - started, 1)
        if done.returncode:
            raise SystemExit(f"{name}: exit code {done.returncode}\n{done.stdout[-2000:]}")
        print(f"  {self.seconds[name]} s", flush=True)
        return done.stdout


def main() -> int:
    """Prepare, walk, record; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--train-products", type=int, default=5_000, help="how many of them the model learns from")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipita-walk-") as name:
        folder = Path(name)
        node = LocalNode(folder / "node")
        proxy: subprocess.Popen[bytes] | None = None
        try:
            status = node.start(heap="1g")
            admin = connect(OpenSearchConfig(url=status.url))
            prepared = prepare(admin, folder / "pictures", options.products)
            (folder / "proxy").mkdir()
            security = secure_proxy()
            security.issue_certificates(folder / "proxy")
            proxy, port = security.start_nginx(folder / "proxy", urlsplit(status.url).netloc)
            found = walk(folder, security, f"https://127.0.0.1:{port}", options)
            found["products_in_new_index"] = int(admin.count(index=ALIAS)["count"])
            found["alias_points_to"] = sorted(admin.indices.get_alias(name=ALIAS))
            admin.close()
        finally:
            if proxy is not None:
                proxy.terminate()
                proxy.wait()
            node.stop()
    result = {
        **record.provenance(("torch", "open_clip_torch", "onnxruntime", "opensearch-py"), []),
        "products": options.products, "trained_on": options.train_products, "preparation_seconds": prepared,
        **found, "targets": targets(found, options.products),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if not options.no_record:
        record.write("walk", result)
    return 0 if all(target["reached"] for target in result["targets"]) else 1


def secure_proxy() -> ModuleType:
    """The tests' nginx, certificates and users: what is timed is what is tested."""
    spec = spec_from_file_location("secure_proxy", record.ROOT / "tests" / "security" / "conftest.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/security/conftest.py is not there")
    module = module_from_spec(spec)
    sys.modules["secure_proxy"] = module
    spec.loader.exec_module(module)
    return module


def prepare(client: OpenSearch, pictures: Path, products: int) -> float:
    """Fill the shop's own index; the seconds that it took."""
    started = time.monotonic()
    pictures.mkdir()
    body = {"settings": {"number_of_replicas": 0}, "mappings": MAPPINGS, "aliases": {ALIAS: {}}}
    client.indices.create(index=OWN, body=body)

    def documents() -> Iterator[dict[str, Any]]:
        for product in draw_products(products, 7):
            assert product.image is not None
            assert product.image.data is not None
            file = pictures / f"{product.id}.jpg"
            file.write_bytes(product.image.data)
            source = {
                "name": product.title, "maker": product.extra["brand"], "price_eur": product.extra["price"],
                "shelf": "/".join(product.category_path), "specs": product.attributes, "photo": file.name,
            }  # fmt: skip
            yield {"_index": OWN, "_id": product.id, "_source": source}

    helpers.bulk(client, documents())
    client.indices.refresh(index=OWN)
    return round(time.monotonic() - started, 1)


def walk(folder: Path, security: ModuleType, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every command of the how-to; seconds a step, and what the pages are worth."""
    wheel = build_wheel(folder)
    certificates = folder / "proxy"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPITA_")} | {
        "CLIPITA_OPENSEARCH_URL": url, "CLIPITA_OPENSEARCH_USERNAME": security.INGEST_USER,
        "CLIPITA_OPENSEARCH_PASSWORD": security.INGEST_PASSWORD,
        "CLIPITA_OPENSEARCH_CA_CERTS": str(certificates / "ca.pem"),
        "CLIPITA_OPENSEARCH_CLIENT_CERT": str(certificates / "client.pem"),
        "CLIPITA_OPENSEARCH_CLIENT_KEY": str(certificates / "client.key"),
        "CLIPITA_CATALOGUE_IMAGE_ROOT": str(folder / "pictures"),
    }  # fmt: skip
    visitor = {
        "CLIPITA_OPENSEARCH_USERNAME": security.SEARCH_USER, "CLIPITA_OPENSEARCH_PASSWORD": security.SEARCH_PASSWORD
    }  # fmt: skip
    work = folder / "work"
    work.mkdir()
    demo = record.ROOT / "cli" / "demo_tower.json"
    (work / "tower.json").write_bytes(demo.read_bytes())
    steps = Walk(work, environment)
    python, clipita = folder / "venv" / "bin" / "python", folder / "venv" / "bin" / "clipita"
    uv = Path(sys.executable).with_name("uv")
    steps.step("empty environment", sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    steps.step("pip install", uv, "pip", "install", "--quiet", "--python", python, f"{wheel}[cpu,train]")
    steps.step("doctor", clipita, "doctor")
    steps.step("index export", clipita, "index", "export", ALIAS, "shop", "--products", str(options.train_products),
               *FIELDS)  # fmt: skip
    steps.step(
        "train", clipita, "train", "shop/train.jsonl.gz", "--valid", "shop/valid.jsonl.gz", "--recipe", "paper",
        "--loss", "tree", "--tower-config", "tower.json", "--unfreeze", "--dim", "128",
        "--epochs", str(options.epochs), "--batch-size", "64",
    )  # fmt: skip
    steps.step("export-onnx", clipita, "export-onnx", "--catalogue", "shop/valid.jsonl.gz")
    ingested = json.loads(steps.step("ingest", clipita, "ingest", "--from-index", ALIAS, *FIELDS, "--json"))
    steps.step("index list", clipita, "index", "list")
    page = json.loads(steps.step("one hybrid page", clipita, "search", "running shoes", "--facet", "maker", "--json",
                                 **visitor))  # fmt: skip
    with gzip.open(work / "shop" / "test.jsonl.gz") as stream:
        category = " > ".join(json.loads(next(iter(stream)))["category_path"])
    by_category = json.loads(steps.step("one page by category", clipita, "search", "--category", category, "--json",
                                        **visitor))  # fmt: skip
    steps.step("evaluate", clipita, "evaluate", "shop/test.jsonl.gz", "--index", ALIAS, "--json", "results.json",
               **visitor)  # fmt: skip
    evaluated = json.loads((work / "results.json").read_text(encoding="utf-8"))
    steps.seconds["in all"] = round(sum(steps.seconds.values()), 1)
    rows = {row["mode"]: row["R-precision"] for row in evaluated["rows"] if row["where"] == "live"}
    return {
        "seconds": steps.seconds, "ingested": ingested, "r_precision": rows,
        "hits": {"running shoes": len(page["hits"]), category: len(by_category["hits"])},
    }  # fmt: skip


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    uv = [str(Path(sys.executable).with_name("uv")), "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist")]
    subprocess.run([*uv, "--python", sys.executable, str(record.ROOT)], check=True)
    return next((folder / "dist").glob("*.whl"))


def targets(found: dict[str, Any], products: int) -> list[dict[str, Any]]:
    """What must hold, with what was seen."""
    rows = found["r_precision"]
    return [
        {"target": "every product is in the new index", "value": found["products_in_new_index"],
         "reached": found["products_in_new_index"] == products},
        {"target": "the alias points to the new index alone", "value": found["alias_points_to"],
         "reached": len(found["alias_points_to"]) == 1 and found["alias_points_to"] != [OWN]},
        {"target": "both pages have hits", "value": found["hits"], "reached": all(found["hits"].values())},
        {"target": "hybrid category pages rank better than BM25", "value": rows,
         "reached": rows["hybrid"] > rows["lexical"]},
        {"target": "under 20 minutes", "value": found["seconds"]["in all"],
         "reached": found["seconds"]["in all"] < 1200},
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
