"""Faults: killed runs, a killed node, a proxy that spoils answers. Nothing lost, nothing twice."""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import record
from ingest_shop import VECTOR_FIELD, WORK, Shop, difference, first_rows, is_same, settings
from opensearchpy import OpenSearch
from record import target
from trust_hostile import as_row

import clipita
from clipita.catalogue.reader import CatalogueFile
from clipita.config import FieldsConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.categories import SUFFIX
from clipita.opensearch.index.index import resolve
from clipita.opensearch.ingest.context import Progress

BULK = 16
PATIENCE = 300.0
SOME_REJECTED = 3
ENDS = (0, SOME_REJECTED)
SAME_THRESHOLD = 1e-3
"""Largest difference of a threshold: it is fitted on vectors that may differ in the last bit."""

SHOP = "bench-shop"
SHOP_MAPPING: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "name": {"type": "text"}, "shelf": {"type": "keyword"}, "specs": {"type": "object"},
        "photo": {"type": "binary"}, "price": {"type": "float"},
    },
}  # fmt: skip
FIELDS = FieldsConfig(title="name", category_path="shelf", attributes=("specs",), image="photo")


@dataclass(frozen=True)
class Way:
    """One of the three ways of writing, into indices of its own: `file`, `copy` or `in place`."""

    name: str
    file: Path

    def prepare(self, shop: Shop, run: str) -> None:
        """The shop's own index, where documents are added to that."""
        if self.name == "in place":
            body = {"settings": {"index": {"knn": True}}, "mappings": SHOP_MAPPING}
            shop.client.indices.create(index=run, body=body)
            move = {"source": {"index": SHOP}, "dest": {"index": run}}
            shop.client.reindex(body=move, params={"refresh": "true"})

    def command(self, shop: Shop, run: str) -> subprocess.Popen[bytes]:
        """`clipita ingest` as a process of its own."""
        sources = {
            "file": [str(self.file), "--index", run],
            "copy": ["--from-index", SHOP, "--index", run],
            "in place": ["--from-index", run, "--in-place"],
        }
        words = ["ingest", *sources[self.name], "--model", str(shop.bundle.path), "--url", shop.url,
                 "--batch-size", str(BULK)]  # fmt: skip
        if self.name != "file":
            words += ["--title-field", FIELDS.title, "--category-field", FIELDS.category_path,
                      "--attribute-field", "specs", "--image-field", FIELDS.image]  # fmt: skip
        environment = os.environ | {"CLIPITA_INGEST_BULK_DOCUMENTS": str(BULK)}
        with (WORK / "command.log").open("ab") as log:
            return subprocess.Popen(
                [Path(sys.executable).parent / "clipita", *words], cwd=WORK, env=environment, stdout=log, stderr=log
            )

    def call(self, shop: Shop, run: str, progress: Progress) -> None:
        """`clipita.ingest` in this process."""
        sources: dict[str, dict[str, Any]] = {
            "file": {"files": self.file, "index": run},
            "copy": {"from_index": SHOP, "index": run, "fields": FIELDS},
            "in place": {"from_index": run, "in_place": True, "fields": FIELDS},
        }
        config = settings(batch_size=BULK, bulk_documents=BULK, patience=PATIENCE)
        client = connect(OpenSearchConfig(url=shop.url, timeout=30))
        try:
            clipita.ingest(cluster=client, model=shop.bundle, config=config, progress=progress, **sources[self.name])
        finally:
            client.close()

    def difference(self, shop: Shop, whole: str, run: str) -> dict[str, Any]:
        """How products and categories of a run differ from those of an unbroken one; `same` is the verdict."""
        products = difference(shop.client, whole, run)
        of_both = [f"{resolve(shop.client, name)}{SUFFIX}" for name in (whole, run)]
        vectors = difference(shop.client, *of_both, numbers=("vector", "thresholds"))
        return {"products": products, "categories": vectors, "same": is_same(products) and _alike(vectors)}


def kill(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Runs that are killed with SIGKILL at random moments, each finished by the same command."""
    ways = _ways(shop, options)
    lengths = {way.name: _unbroken(way, shop) for way in ways}
    unbroken = dict(lengths)
    chance = random.Random(options.seed)
    runs = []
    for number in range(options.kills):
        way, run = ways[number % len(ways)], f"bench-killed-{number}"
        moment, lengths[way.name] = _kill_one(way, shop, run, lengths[way.name], chance)
        there = _count(shop.client, run)
        code = way.command(shop, run).wait()
        found = way.difference(shop, _whole(way), run)
        runs.append({"way": way.name, "moment": round(moment, 2), "written_before": there, "exit": code, **found})
        print(f"{number + 1}/{options.kills} {way.name}: {moment:.1f} s, {there} there, {found['same']}", flush=True)
        _remove(shop, run)
    same = sum(run["same"] and run["exit"] in ENDS for run in runs)
    return {
        "unbroken_seconds": unbroken,
        "runs": runs,
        "targets": [
            target(
                f"killed runs that the same command finished, of {len(runs)} in three ways: products, vectors and "
                "categories of an unbroken run",
                same,
                bool(runs) and same == len(runs),
            )
        ],
    }


def node(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """The node killed with SIGKILL in mid-run, several times in each way of writing, and started again."""
    ways = _ways(shop, options)
    runs = []
    for number, way in enumerate(ways):
        _unbroken(way, shop)
        wanted = options.node_kills * (number + 1) // len(ways) - options.node_kills * number // len(ways)
        runs.append(_kill_node(way, shop, f"bench-restarted-{number}", options.fault_products, wanted))
        print(runs[-1], flush=True)
    kills = sum(len(run["killed_at"]) for run in runs)
    well = all(run["same"] and run["error"] is None for run in runs)
    return {
        "runs": runs,
        "targets": [
            target(
                f"node killed {options.node_kills} times in three runs: nothing lost, nothing twice",
                {"kills": kills, "same": well},
                kills == options.node_kills and well,
            )
        ],
    }


def _kill_node(way: Way, shop: Shop, run: str, products: int, wanted: int) -> dict[str, Any]:
    done = 0
    errors: list[BaseException] = []

    def note(count: int, _: int | None) -> None:
        nonlocal done
        done = count

    def ingest() -> None:
        try:
            way.call(shop, run, note)
        except BaseException as error:  # noqa: BLE001 - it has to end up in the result
            errors.append(error)

    way.prepare(shop, run)
    thread = threading.Thread(target=ingest)
    thread.start()
    kills: list[int] = []
    # The last of them comes when all products are done, in what follows then.
    for aim in [products * (number + 1) // wanted for number in range(wanted)]:
        while done < aim and thread.is_alive():
            time.sleep(0.01)
        if not thread.is_alive():
            break
        status = shop.local.status()
        if status is None:
            raise RuntimeError("the node does not run")
        os.kill(status.pid, signal.SIGKILL)
        kills.append(done)
        while shop.local.status() is not None:
            time.sleep(0.05)
        shop.local.start(heap="1g", port=int(urlsplit(shop.url).port or 0))
    thread.join()
    error = repr(errors[0]) if errors else None
    found = {"same": False} if errors else way.difference(shop, _whole(way), run)
    return {"way": way.name, "killed_at": kills, "error": error, **found}


def proxy(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """A proxy that spoils 30 % of the bulks or of the answers to them, in every way that the tests know."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    config = settings(batch_size=BULK, bulk_documents=BULK, patience=PATIENCE)
    shop.ingest(file, "bench-whole", config)
    tools = _tests_tools()
    kinds = (*tools.FAULTS, *tools.WHOLE, *tools.ITEMS)
    between = tools.FaultyProxy(shop.url, 0.3, seed=options.seed, faults=kinds)
    client = connect(OpenSearchConfig(url=between.url, timeout=30))
    runs = []
    try:
        while not runs or (len(between.spoilt) < len(kinds) and len(runs) < len(kinds)):
            report = shop.ingest(file, f"bench-spoilt-{len(runs)}", config, client=client)
            found = difference(shop.client, "bench-whole", f"bench-spoilt-{len(runs)}")
            runs.append({"counts": report.counts, **found})
    finally:
        client.close()
        between.close()
    same = sum(map(is_same, runs))
    return {
        "bulks": between.bulks,
        "spoilt": dict(between.spoilt),
        "runs": runs,
        "targets": [
            target(
                f"{sum(between.spoilt.values())} of {between.bulks} bulks spoilt in {len(between.spoilt)} ways, over "
                f"{len(runs)} runs: runs in which nothing is lost and nothing twice",
                same,
                same == len(runs) and len(between.spoilt) >= 20,
            )
        ],
    }


def _ways(shop: Shop, options: argparse.Namespace) -> list[Way]:
    """All three; the shop's own index holds the products of the file, with their images in the documents."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    shop.client.indices.create(index=SHOP, body={"settings": {"index": {"knn": True}}, "mappings": SHOP_MAPPING})
    lines: list[dict[str, Any]] = []
    for product in CatalogueFile(file).products(lambda _: None):
        row = as_row(product)
        document = {
            "name": row["title"], "shelf": " > ".join(row["category_path"]), "specs": row["attributes"],
            "photo": row.get("image"), "price": row["price"],
        }  # fmt: skip
        lines += [{"index": {"_id": product.id}}, {key: value for key, value in document.items() if value}]
    for start in range(0, len(lines), 200):
        answer = shop.client.bulk(index=SHOP, body=lines[start : start + 200])
        if answer["errors"]:
            raise RuntimeError(f"the shop's own index refused documents: {answer}"[:1000])
    shop.client.indices.refresh(index=SHOP)
    return [Way(name, file) for name in ("file", "copy", "in place")]


def _whole(way: Way) -> str:
    return f"bench-whole-{way.name.replace(' ', '-')}"


def _unbroken(way: Way, shop: Shop) -> float:
    """Make the index that all others are compared with; seconds."""
    way.prepare(shop, _whole(way))
    started = time.monotonic()
    if way.command(shop, _whole(way)).wait() not in ENDS:
        raise RuntimeError(f"the unbroken run failed; see {WORK / 'command.log'}")
    return round(time.monotonic() - started, 2)


def _kill_one(way: Way, shop: Shop, run: str, length: float, chance: random.Random) -> tuple[float, float]:
    """Kill a run at a random moment; gives the moment, and how long a whole run takes.

    A run that ends before its moment came is begun again: other work on the machine makes `length` change.
    """
    while True:
        moment = chance.uniform(0.1, 1.0) * length
        way.prepare(shop, run)
        started = time.monotonic()
        process = way.command(shop, run)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return moment, length
        length = time.monotonic() - started
        _remove(shop, run)


def _remove(shop: Shop, run: str) -> None:
    shop.client.indices.delete(index=f"{run}*", ignore=[404], params={"expand_wildcards": "all"})


def _alike(categories: dict[str, Any]) -> bool:
    wrong = categories["missing"] + categories["surplus"] + categories["other_fields_differ"]
    return not wrong and categories["largest_vector_difference"] <= SAME_THRESHOLD


def _count(client: OpenSearch, name: str) -> int:
    if not client.indices.exists(index=name):
        return 0
    client.indices.refresh(index=name)
    body = {"query": {"exists": {"field": VECTOR_FIELD}}}
    return int(client.count(index=name, body=body)["count"])


def _tests_tools() -> ModuleType:
    """The tests' tools, whose proxy is the one that the tests use too."""
    file = record.ROOT / "tests" / "opensearch" / "conftest.py"
    spec = importlib.util.spec_from_file_location("ingest_tests_tools", file)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of a module look it up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
