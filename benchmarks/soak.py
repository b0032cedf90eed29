"""Ingest, search, alias swaps and node restarts, mixed, against a real node, for half an hour.

    python benchmarks/soak.py --bundle demo/model --catalogue demo/shop/test.parquet --minutes 30

The catalogue is written in two editions that differ in each product's price. Until the time is over, two threads search
and one ingests an edition into a new index, swaps the alias, ingests it again, rolls back and prunes; every two
minutes the node is stopped and started. Each answer is judged: see `Judge`. Refusals while the node is away are
counted, and have to end. benchmarks/results/soak.json holds counts and memory curves; the exit code is 1 after a wrong
answer.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import provenance, write

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.errors import ClipItaError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.versions import prune_versions, remove_versions, roll_back
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.results import SearchPage
from clipita.runtime import Bundle

ALIAS = "products"
STEP = 100_000.0
"""What the second edition's prices have on top."""


class Judge:
    """Knows what both editions hold, and says what is wrong about a page.

    Wrong is: a product of neither edition; products of two editions on one page; a product twice; a filter not obeyed;
    a total that is not the number of products that pass the filter; a score that is not the cosine; an order that is
    not that of the scores; a walk by cursor that leaves a product out.
    """

    def __init__(self, rows: list[dict[str, Any]], vectors: dict[str, np.ndarray]) -> None:
        self.rows = {str(row["product_id"]): row for row in rows}
        self.vectors = vectors
        self.brands = sorted({str(row["brand"]) for row in rows})

    def faults(self, page: SearchPage, brand: str | None) -> list[str]:
        """What is wrong about the products of a page."""
        ids = [hit.id for hit in page.hits]
        found = [f"{name} is in no edition" for name in ids if name not in self.rows]
        if found:
            return found
        if len(set(ids)) < len(ids):
            found.append(f"a product twice: {ids}")
        editions = set()
        for hit in page.hits:
            added = float(hit.source["price"]) - float(self.rows[hit.id]["price"])
            editions.add(round(added / STEP, 6))
            if brand is not None and self.rows[hit.id]["brand"] != brand:
                found.append(f"{hit.id} is not of {brand}")
        if len(editions) > 1 or not editions <= {0.0, 1.0}:
            found.append(f"prices of the editions {editions} on one page")
        return found

    def ranking_faults(self, page: SearchPage, query: np.ndarray, brand: str) -> list[str]:
        """What is wrong about total, scores and order of a vector search whose k is the whole shop."""
        expected = sum(row["brand"] == brand for row in self.rows.values())
        found = [] if page.total == expected else [f"total {page.total}, not {expected}"]
        scores = [float(hit.score or 0.0) for hit in page.hits]
        if scores != sorted(scores, reverse=True):
            found.append("the order is not that of the scores")
        for hit, score in zip(page.hits, scores, strict=True):
            cosine = float(query @ self.vectors[hit.id])
            # How k-NN scores an inner product.
            if abs(score - (1 + cosine if cosine > 0 else 1 / (1 - cosine))) > 1e-3:
                found.append(f"{hit.id}: score {score}, cosine {cosine}")
        return found


class Soak:
    """Everything that runs at once, and the counts."""

    def __init__(self, folder: Path, bundle: Bundle, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        self.folder, self.bundle, self.rows = folder, bundle, rows
        self.node = LocalNode(folder / "node")
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stop = threading.Event()
        self.last_success = time.monotonic()
        self.longest_outage = 0.0
        self.memory: list[dict[str, float]] = []
        self.editions = []
        for number in (0, 1):
            changed = [{**row, "price": float(row["price"]) + number * STEP} for row in rows]
            file = folder / f"edition-{number}.parquet"
            pq.write_table(pa.Table.from_pylist(changed, schema=schema), file)
            self.editions.append(file)

    def begin(self) -> None:
        """Start the node and write the first edition."""
        status = self.node.start(heap="512m")
        self.port = int(status.url.rpartition(":")[2])
        self.config = OpenSearchConfig(url=status.url, timeout=10)
        self.ingest(0, new_index=False)
        client = connect(self.config)
        hits = client.search(index=ALIAS, body={"size": 10_000, "_source": ["product_vector"]})["hits"]["hits"]
        vectors = {hit["_id"]: np.asarray(hit["_source"]["product_vector"]) for hit in hits}
        assert len(vectors) == len(self.rows), "the first ingest is not whole"
        self.judge = Judge(self.rows, vectors)
        client.close()

    def ingest(self, edition: int, new_index: bool) -> int:
        """Write an edition; the number of products that were encoded."""
        client = connect(self.config)
        try:
            settings = IngestConfig(rejected=self.folder / "rejected.jsonl", patience=90)
            run = Ingest(client, self.bundle, settings, alias=ALIAS, new_index=new_index)
            return run.run([CatalogueFile(self.editions[edition])]).encoded
        finally:
            client.close()

    def write_forever(self) -> None:
        """New index and swap, the same again, roll back, prune."""
        edition = 1
        while not self.stop.is_set():
            try:
                self.ingest(edition, new_index=True)
                self.counts["indices built and swapped in"] += 1
                if again := self.ingest(edition, new_index=False):
                    self.wrong.append(f"{again} products were encoded again though nothing had changed")
                client = connect(self.config)
                try:
                    roll_back(client, ALIAS)
                    self.counts["roll-backs"] += 1
                    _, doomed = prune_versions(client, ALIAS, 1)
                    remove_versions(client, ALIAS, doomed)
                    self.counts["indices pruned"] += len(doomed)
                finally:
                    client.close()
                edition = 1 - edition
            except ClipItaError as error:
                self.counts[f"writer refused: {type(error).__name__}"] += 1
                self.stop.wait(1)
            except Exception:  # noqa: BLE001 - a crash in a thread has to end up in the result
                self.wrong.append(traceback.format_exc()[-1500:])
                self.stop.wait(1)

    def search_forever(self, seed: int) -> None:
        """Searches of several kinds, one after the other."""
        chance = random.Random(seed)
        words = sorted({str(row["category_path"][-1]) for row in self.rows})
        search: ProductSearch | None = None
        while not self.stop.is_set():
            try:
                search = search or ProductSearch(self.config.url, ALIAS, self.bundle)
                self._search_once(search, chance, words)
                self.last_success = time.monotonic()
            except ClipItaError as error:
                self.counts[f"searches refused: {type(error).__name__}"] += 1
                self.longest_outage = max(self.longest_outage, time.monotonic() - self.last_success)
                search = None
                self.stop.wait(0.2)
            except Exception:  # noqa: BLE001 - a crash in a thread has to end up in the result
                self.wrong.append(traceback.format_exc()[-1500:])
                search = None

    def _search_once(self, search: ProductSearch, chance: random.Random, words: list[str]) -> None:
        query, brand = chance.choice(words), chance.choice(self.judge.brands)
        kind = chance.choice(("hybrid", "lexical", "vector", "vector", "cursor"))
        if kind == "cursor":
            self._walk(search)
        elif kind == "vector":
            k = max(200, len(self.rows))
            page = search(query, mode="vector", filters={"brand": brand}, k=k, size=20)
            faults = self.judge.faults(page, brand)
            self.wrong += faults or self.judge.ranking_faults(page, np.asarray(search.vector(query)), brand)
        else:
            page = search(query, mode=kind, filters={"brand": brand}, size=20)
            self.wrong += self.judge.faults(page, brand)
        self.counts[f"searches answered: {kind}"] += 1

    def _walk(self, search: ProductSearch) -> None:
        """All products by price, page by page over one snapshot: each once, all of one edition."""
        options: dict[str, Any] = {"mode": "vector", "k": max(200, len(self.rows)), "sort": ["price"], "size": 100}
        page = search("products", snapshot="2m", **options)
        seen = list(page.hits)
        while page.cursor is not None:
            page = search("products", cursor=page.cursor, **options)
            seen += page.hits
        found = {hit.id for hit in seen}
        if len(seen) != len(self.rows) or found != set(self.judge.rows):
            self.wrong.append(f"a walk met {len(seen)} products, {len(found)} different ones, of {len(self.rows)}")
        editions = {round((float(h.source["price"]) - float(self.judge.rows[h.id]["price"])) / STEP, 6) for h in seen}
        if len(editions) != 1:
            self.wrong.append(f"a walk met the editions {editions}")

    def watch(self, seconds: float, every: float) -> None:
        """Restart the node now and then, and note memory, until the time is over."""
        started = time.monotonic()
        restart = started + every
        while (now := time.monotonic()) < started + seconds:
            if now >= restart:
                self.node.stop()
                self.node.start(heap="512m", port=self.port)
                self.counts["node restarts"] += 1
                restart = time.monotonic() + every
            status = self.node.status()
            self.memory.append({
                "s": round(now - started, 1), "process_mib": _resident("self"),
                "node_mib": _resident(status.pid) if status is not None else 0.0,
            })  # fmt: skip
            time.sleep(2)


def _resident(pid: int | str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return round(next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0) / 1024, 1)


def growth(memory: list[dict[str, float]]) -> dict[str, float]:
    """Median resident memory of the process in the second and in the last quarter, MiB."""
    values = [entry["process_mib"] for entry in memory]
    quarter = max(1, len(values) // 4)
    return {
        "second_quarter_mib": round(float(np.median(values[quarter : 2 * quarter] or values)), 1),
        "last_quarter_mib": round(float(np.median(values[-quarter:])), 1),
    }


def main() -> int:
    """Run it, record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("demo/model"))
    parser.add_argument("--catalogue", type=Path, default=Path("demo/shop/test.parquet"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--restart-every", type=float, default=120, metavar="SECONDS")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    if not options.bundle.is_dir() or not options.catalogue.is_file():
        parser.error("no bundle or catalogue there: run `make demo` first, or name them")
    table = pq.read_table(options.catalogue)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), Bundle.load(options.bundle), table.to_pylist(), table.schema)
        try:
            soak.begin()
            threads = [threading.Thread(target=soak.search_forever, args=(seed,)) for seed in (1, 2)]
            threads.append(threading.Thread(target=soak.write_forever))
            started = time.monotonic()
            for thread in threads:
                thread.start()
            soak.watch(options.minutes * 60, options.restart_every)
            minutes = (time.monotonic() - started) / 60
            soak.stop.set()
            for thread in threads:
                thread.join()
        finally:
            soak.stop.set()
            soak.node.stop()
    result = {
        "minutes": round(minutes, 2), "products": len(soak.rows), "wrong_answers": len(soak.wrong),
        "wrong": soak.wrong[:20], "counts": dict(sorted(soak.counts.items())),
        "longest_outage_s": round(soak.longest_outage, 1), "memory": growth(soak.memory),
    }  # fmt: skip
    print(result)
    if not options.no_record:
        packages = ("opensearch-py", "onnxruntime", "numpy")
        write("soak", {"provenance": provenance(packages, [options.catalogue]), **result, "curve": soak.memory})
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
