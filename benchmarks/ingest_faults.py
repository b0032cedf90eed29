"""Faults: killed runs, a killed node, a proxy that spoils requests, hostile rows. Nothing lost, nothing twice."""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import record
from ingest_shop import WORK, Shop, difference, first_rows, is_same, settings
from opensearchpy import OpenSearch
from record import target

from clipita.catalogue.reader import CatalogueFile
from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect

BULK = 16
PATIENCE = 300.0
SOME_REJECTED = 3


def kill(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Runs that are killed with SIGKILL at random moments, each finished by the same command."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    started = time.monotonic()
    if _command(shop, file, "bench-unbroken").wait() not in (0, SOME_REJECTED):
        raise RuntimeError(f"the unbroken run failed; see {WORK / 'command.log'}")
    length = time.monotonic() - started
    chance = random.Random(options.seed)
    runs = []
    for number in range(options.runs):
        alias = f"bench-killed-{number}"
        moment, length = _kill_one(shop, file, alias, length, chance)
        there = _count(shop.client, alias)
        code = _command(shop, file, alias).wait()
        found = difference(shop.client, "bench-unbroken", alias)
        runs.append({"moment": round(moment, 2), "written_before": there, "exit": code, **found})
        shop.client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
    same = sum(is_same(run) and run["exit"] in (0, SOME_REJECTED) for run in runs)
    return {
        "unbroken_seconds": round(length, 2),
        "runs": runs,
        "targets": [
            target(
                f"killed runs that the same command finished, of {len(runs)}: the index of an unbroken run",
                same,
                bool(runs) and same == len(runs),
            )
        ],
    }


def _kill_one(shop: Shop, file: Path, alias: str, length: float, chance: random.Random) -> tuple[float, float]:
    """Kill a run at a random moment; gives the moment, and how long a whole run takes.

    A run that ends before its moment came is begun again: other work on the machine makes `length` change.
    """
    while True:
        moment = chance.uniform(0.1, 1.0) * length
        started = time.monotonic()
        run = _command(shop, file, alias)
        try:
            run.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            return moment, length
        length = time.monotonic() - started
        shop.client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})


def node(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """The node killed with SIGKILL in mid-run, several times in one run, and started again."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    config = settings(batch_size=BULK, bulk_documents=BULK, patience=PATIENCE)
    shop.ingest(file, "bench-whole", config)
    done = 0
    reports: list[Any] = []

    def note(count: int, _: int | None) -> None:
        nonlocal done
        done = count

    client = connect(OpenSearchConfig(url=shop.url, timeout=30))
    run = threading.Thread(
        target=lambda: reports.append(shop.ingest(file, "bench-restarted", config, client=client, progress=note))
    )
    run.start()
    kills = []
    for number in range(options.node_kills):
        aim = options.fault_products * (number + 1) / (options.node_kills + 2)
        while done < aim and run.is_alive():
            time.sleep(0.01)
        if not run.is_alive():
            break
        status = shop.local.status()
        if status is None:
            raise RuntimeError("the node does not run")
        os.kill(status.pid, signal.SIGKILL)
        kills.append(done)
        while shop.local.status() is not None:
            time.sleep(0.05)
        shop.local.start(heap="1g", port=int(urlsplit(shop.url).port or 0))
    run.join()
    client.close()
    found = difference(shop.client, "bench-whole", "bench-restarted")
    finished = bool(reports) and reports[0].finished
    return {
        "killed_at": kills,
        "counts": reports[0].counts if reports else None,
        **found,
        "targets": [
            target(
                f"node killed {options.node_kills} times in one run: nothing lost, nothing twice",
                {"kills": len(kills), "finished": finished, "same": is_same(found)},
                len(kills) == options.node_kills and finished and is_same(found),
            )
        ],
    }


def proxy(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """A proxy that answers 429, 503, a reset, half an answer or some refused items to 30 % of the bulks."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    config = settings(batch_size=BULK, bulk_documents=BULK, patience=PATIENCE)
    shop.ingest(file, "bench-whole", config)
    between = _tests_tools().FaultyProxy(shop.url, 0.3, seed=options.seed)
    client = connect(OpenSearchConfig(url=between.url, timeout=30))
    try:
        report = shop.ingest(file, "bench-spoilt", config, client=client)
    finally:
        client.close()
        between.close()
    found = difference(shop.client, "bench-whole", "bench-spoilt")
    return {
        "bulks": between.bulks,
        "spoilt": dict(between.spoilt),
        "counts": report.counts,
        **found,
        "targets": [
            target(
                f"{sum(between.spoilt.values())} of {between.bulks} bulks spoilt: nothing lost, nothing twice",
                is_same(found),
                is_same(found) and between.spoilt.total() > 0,
            )
        ],
    }


def hostile(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Rows fuzzed from real ones: each has an outcome, and none ends the run."""
    file = WORK / "hostile.jsonl"
    rows = _write_hostile(shop.file, file, options.hostile_rows, options.seed)
    report = shop.ingest(file, "bench-hostile", settings(batch_size=options.batch_size))
    shop.client.indices.refresh(index="bench-hostile")
    there = _count(shop.client, "bench-hostile")
    present = report.products - report.left_out
    return {
        "rows": rows,
        "counts": report.counts,
        "reasons": report.reasons,
        "in_the_index": there,
        "targets": [
            target("hostile rows without an outcome", rows - report.products, rows == report.products),
            target("documents in the index beyond or below those counted", there - present, there == present),
        ],
    }


def _command(shop: Shop, file: Path, alias: str) -> subprocess.Popen[bytes]:
    clipita = Path(sys.executable).parent / "clipita"
    words = ["ingest", str(file), "--model", str(shop.bundle.path), "--url", shop.url, "--index", alias,
             "--batch-size", str(BULK)]  # fmt: skip
    environment = os.environ | {"CLIPITA_INGEST_BULK_DOCUMENTS": str(BULK)}
    log = (WORK / "command.log").open("ab")
    with log:
        return subprocess.Popen([clipita, *words], cwd=WORK, env=environment, stdout=log, stderr=log)


def _count(client: OpenSearch, alias: str) -> int:
    if not client.indices.exists(index=alias):
        return 0
    client.indices.refresh(index=alias)
    return int(client.count(index=alias)["count"])


def _tests_tools() -> ModuleType:
    """The integration tests' tools, whose proxy is the one that the tests use too."""
    file = record.ROOT / "tests" / "integration" / "ingest" / "conftest.py"
    spec = importlib.util.spec_from_file_location("ingest_tests_tools", file)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of a module look it up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _write_hostile(source: Path, target_file: Path, rows: int, seed: int) -> int:
    chance = random.Random(seed)
    real = [_as_row(product) for product in CatalogueFile(source).products(lambda _: None)]
    with target_file.open("wb") as stream:
        for number in range(rows):
            row = dict(chance.choice(real)) | {"product_id": f"row-{number}"}
            line = json.dumps(_spoilt(row, chance), ensure_ascii=False).encode("utf-8", "surrogatepass")
            # A line break inside a row would make two rows of it, and the count would prove nothing.
            stream.write((_garbled(line, chance) if chance.random() < 0.1 else line).replace(b"\n", b" ") + b"\n")
    return rows


def _as_row(product: Any) -> dict[str, Any]:
    row = {
        "title": product.title,
        "attributes": dict(product.attributes),
        "category_path": list(product.category_path),
        "price": product.extra.get("price"),
    }
    if product.image is not None and product.image.data is not None:
        row["image"] = "data:image/jpeg;base64," + base64.b64encode(product.image.data).decode()
    return row


def _spoilt(row: dict[str, Any], chance: random.Random) -> Any:
    """One to three cells of a row in a shape that nobody expects; at times the whole row."""
    if chance.random() < 0.02:
        return chance.choice([None, [], 7, "row", [row], {}])
    for _ in range(chance.randint(1, 3)):
        row[chance.choice(list(row))] = _value(row, chance)
    return row


def _value(row: dict[str, Any], chance: random.Random) -> Any:
    image = row.get("image")
    head, _, body = image.partition(",") if isinstance(image, str) else ("data:image/jpeg;base64", "", "/9j/4AAQ")
    cut = body[: chance.randrange(len(body) + 1) // 4 * 4]
    huge = "long " * chance.choice([10, 1000, 40_000])
    return chance.choice(
        [
            None, True, -1, 0, 10**400, 1e308, "", " ", "\x00", "\ud800", "👟﷽‏\u202e", "\u0301" * 500, huge, [], {},
            [[[]]], [None, 1, "a"], {"": ""}, {"a": {"b": {"c": []}}}, {"bytes": 1, "path": {}}, f"{head},{cut}",
            f"{head},{body}AA", "data:,", "file:///etc/passwd", "../../etc/passwd", "x" * 600, ["", "Shoes"], "NaN",
        ]
    )  # fmt: skip


def _garbled(line: bytes, chance: random.Random) -> bytes:
    """The line cut short, or with bytes that are no UTF-8 in it."""
    place = chance.randrange(1, max(2, len(line)))
    return (
        line[:place]
        if chance.random() < 0.5
        else line[:place] + bytes(chance.choices(range(128, 256), k=3)) + line[place:]
    )
