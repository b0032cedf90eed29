"""Half an hour of searches over HTTP while all changes: models, indices, nodes and room on the disk.

Three nodes of one cluster, two of them with data. A `clipita serve --models` before them is asked by two threads. A
writer ingests one of two editions of the catalogue, which differ in each product's price, into a new index, every two
minutes, each with a model of another dimension; the alias moves to and fro by rollbacks in between. One node after the
other is stopped and started. In the middle the engine's disk limits are set above the free space for a minute, and it
blocks all writing. `Judge` judges each answer; whatever is not status 200 is a refusal.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from ingest_shop import Shop, documents, first_rows, own_bundle, settings
from record import memory_mib, target
from serve_load import Served
from trust_cluster import Cluster

import clipita
from clipita.catalogue.product import nodes_on, path_text
from clipita.config import OpenSearchConfig
from clipita.errors import ClipItaError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.versions import prune_versions, remove_versions, roll_back
from clipita.runtime import Bundle, TextEncoder

ALIAS = "bench-soak"
STEP = 100_000.0
"""What the second edition's prices have on top."""
SWAP_SECONDS = 120.0
RESTART_SECONDS = 120.0
FULL_SECONDS = 60.0
MEMORY_GROWTH = 0.1
LONGEST_SECONDS = 2.0
NARROW = 64
SWAPS = "swaps to a model of another dimension"


class Judge:
    """Knows what both editions hold, and says what is wrong about a page.

    Wrong is: a product of neither edition; products of two editions on one page; a product twice; a filter not obeyed;
    a total that is not the number of products that pass; facet counts that do not add up to it; a vector's score that
    is not 1 + cosine; an order that is not that of the scores; a walk by cursor that leaves a product out.
    """

    def __init__(self, rows: list[dict[str, Any]], vectors: list[dict[str, np.ndarray]], bundles: list[Bundle]) -> None:
        self.rows = {str(row["product_id"]): row for row in rows}
        self.genders = sorted({gender for row in rows if (gender := _gender(row))})
        self.leaves = sorted({row["category_path"][-1] for row in rows})
        self.paths = sorted(set().union(*map(_nodes, rows)))
        self._vectors = vectors
        encoded = [TextEncoder(bundle).encode(self.leaves) for bundle in bundles]
        self._queries = [dict(zip(self.leaves, one, strict=True)) for one in encoded]

    def editions(self, page: dict[str, Any]) -> set[int]:
        """Which editions the prices of a page are of."""
        return {
            round((hit["source"]["price"] - self.rows[hit["id"]]["price"]) / STEP)
            for hit in page["hits"]
            if hit["id"] in self.rows
        }

    def faults(self, page: dict[str, Any], gender: str | None) -> list[str]:
        """What is wrong about the products of a page, and its facet."""
        ids = [hit["id"] for hit in page["hits"]]
        found = [f"{name} is in no edition" for name in ids if name not in self.rows]
        if len(set(ids)) < len(ids):
            found.append(f"a product twice: {ids}")
        if not self.editions(page) <= {0} and not self.editions(page) <= {1}:
            found.append(f"the editions {self.editions(page)} on one page")
        if gender is not None:
            found += [f"{name} is not of {gender}" for name in ids if _gender(self.rows[name]) != gender]
        return found

    def category_faults(self, page: dict[str, Any], path: str) -> list[str]:
        """What is wrong about the total of a category's page with the facet of genders."""
        there = [row for row in self.rows.values() if path in _nodes(row)]
        found = [] if page["total"] == len(there) else [f"{path}: total {page['total']}, not {len(there)}"]
        expected = Counter(_gender(row) for row in there if _gender(row))
        counts = {one["value"]: one["count"] for one in page["facets"]["gender"]}
        return found + ([] if counts == expected else [f"{path}: facet {counts}, not {dict(expected)}"])

    def ranking_faults(self, page: dict[str, Any], query: str) -> list[str]:
        """What is wrong about scores and order of a vector search."""
        scores = [hit["score"] for hit in page["hits"]]
        found = [] if scores == sorted(scores, reverse=True) else ["the order is not that of the scores"]
        for edition in self.editions(page):
            wanted = self._queries[edition][query]
            for hit in page["hits"]:
                cosine = float(wanted @ self._vectors[edition][hit["id"]])
                if abs(hit["score"] - 1 - cosine) > 1e-3:
                    found.append(f"{hit['id']}: score {hit['score']}, cosine {cosine}")
        return found


class Soak:
    """Everything that runs at once, and the counts."""

    def __init__(self, cluster: Cluster, rows: list[dict[str, Any]], bundles: list[Bundle], files: list[Path]) -> None:
        self.cluster, self.rows, self.bundles, self.files = cluster, rows, bundles, files
        self.config = OpenSearchConfig(url=cluster.url, timeout=10)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.refused: list[str] = []
        self.stop = threading.Event()
        self.answered = time.monotonic()
        self.longest = self.slowest = 0.0
        self.memory: list[dict[str, float]] = []

    def ingest(self, edition: int, *, new_index: bool) -> int:
        """Write an edition; the number of products that were encoded."""
        config = settings(replicas=1, patience=300.0)
        report = clipita.ingest(
            self.files[edition], opensearch=self.config, index=ALIAS, model=self.bundles[edition], config=config,
            new_index=new_index,
        )  # fmt: skip
        return report.encoded

    def begin(self) -> None:
        """Write both editions, and read their vectors."""
        client = connect(self.config)
        vectors = []
        for edition in (0, 1):
            self.ingest(edition, new_index=True)
            vectors.append({name: vector for name, (_, vector) in documents(client, ALIAS).items()})
        client.close()
        self.judge = Judge(self.rows, vectors, self.bundles)

    def write_forever(self) -> None:
        """New index and swap, the same again, roll back and forth, prune."""
        edition = 0
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                self.ingest(edition, new_index=True)
                self.counts[SWAPS] += 1
                if again := self.ingest(edition, new_index=False):
                    self.wrong.append(f"{again} products were encoded again though nothing had changed")
                self.stop.wait(max(0.0, started + SWAP_SECONDS / 2 - time.monotonic()))
                client = connect(self.config)
                try:
                    roll_back(client, ALIAS)
                    self.counts["roll-backs"] += 1
                    _, doomed = prune_versions(client, ALIAS, 1)
                    remove_versions(client, ALIAS, doomed)
                    self.counts["indices pruned"] += len(doomed)
                finally:
                    client.close()
                # The index that was rolled back to holds the other edition.
                self.stop.wait(max(0.0, started + SWAP_SECONDS - time.monotonic()))
            except ClipItaError as error:
                self.counts[f"writer ended: {type(error).__name__}"] += 1
                print(f"writer: {error}", flush=True)
                self.stop.wait(5)
            except Exception:  # noqa: BLE001 - a crash in a thread has to end up in the result
                self.wrong.append(traceback.format_exc()[-1500:])
                self.stop.wait(5)

    def search_forever(self, address: str, seed: int) -> None:
        """Searches of several kinds, one after the other."""
        chance = random.Random(seed)
        while not self.stop.is_set():
            try:
                self._search_once(address, chance)
            except Exception:  # noqa: BLE001 - a crash in a thread has to end up in the result
                self.wrong.append(traceback.format_exc()[-1500:])

    def _search_once(self, address: str, chance: random.Random) -> None:
        judge = self.judge
        kind = chance.choice(("hybrid", "lexical", "vector", "category", "category", "cursor"))
        query, gender, path = chance.choice(judge.leaves), chance.choice(judge.genders), chance.choice(judge.paths)
        asked: dict[str, Any] = {"size": 20}
        if kind == "category":
            asked |= {"category": path, "facet": "gender"}
        elif kind == "cursor":
            self._walk(address)
            return
        else:
            asked |= {"q": query, "mode": kind, "filter[gender]": gender}
        page = self._get(address, asked)
        if page is None:
            return
        self.wrong += judge.faults(page, None if kind == "category" else gender)
        if kind == "category":
            self.wrong += judge.category_faults(page, path)
        if kind == "vector":
            self.wrong += judge.ranking_faults(page, query)
        self.counts[f"answers: {kind}"] += 1

    def _walk(self, address: str) -> None:
        """A category by price, page by page: each product once, if the alias stayed where it was meanwhile."""
        options = {"category": "Apparel", "sort": "price", "size": 100}
        page = self._get(address, options)
        if page is None:
            return
        hits = page["hits"]
        while page["cursor"] is not None:
            page = self._get(address, {**options, "cursor": page["cursor"]})
            if page is None:
                return
            hits += page["hits"]
        if len(self.judge.editions({"hits": hits})) != 1:
            self.counts["answers: walks over a swap, not judged"] += 1
            return
        expected = {name for name, row in self.judge.rows.items() if row["category_path"][0] == "Apparel"}
        if len(hits) != len(expected) or {hit["id"] for hit in hits} != expected:
            self.wrong.append(f"a walk met {len(hits)} products of {len(expected)}")
        self.counts["answers: walks by cursor"] += 1

    def _get(self, address: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        begun = time.monotonic()
        try:
            with urllib.request.urlopen(f"{address}/v1/search?{urllib.parse.urlencode(asked)}", timeout=60) as answer:
                page: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            self.refused.append(f"{error.code} {error.read().decode(errors='replace')[:300]}")
            self.counts[f"refused: {error.code}"] += 1
            return None
        except OSError as error:
            self.refused.append(repr(error))
            self.counts[f"refused: {type(error).__name__}"] += 1
            return None
        now = time.monotonic()
        self.longest, self.answered = max(self.longest, now - self.answered), now
        self.slowest = max(self.slowest, now - begun)
        return page

    def watch(self, server: int, seconds: float) -> None:
        """Restart one node after the other, fill the disks once, and note memory, until the time is over."""
        started = time.monotonic()
        restart, full = started + RESTART_SECONDS, started + seconds / 2
        number = 0
        while (now := time.monotonic()) < started + seconds:
            if now >= restart:
                self.cluster.restart(number % 3)
                number += 1
                self.counts["node restarts"] += 1
                restart = time.monotonic() + RESTART_SECONDS
            if full and now >= full:
                self.cluster.fill_disks(FULL_SECONDS)
                self.counts["full disks"] += 1
                full = 0.0
            entry = {"s": round(now - started, 1), "server_mib": memory_mib(server)}
            self.memory.append(entry | self.cluster.memory())
            time.sleep(2)


def soak(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """The whole of it; the benchmark's own node rests meanwhile."""
    table = pq.read_table(first_rows(options.data / "train.parquet", options.fault_products))
    rows = table.to_pylist()
    folder = shop.bundle.path.parent / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for edition in (0, 1):
        column = table.schema.get_field_index("price")
        changed = table.set_column(column, "price", [[row["price"] + edition * STEP for row in rows]])
        files.append(folder / f"edition-{edition}.parquet")
        pq.write_table(changed, files[-1])
    narrow = own_bundle(options.data, NARROW)
    bundles = [shop.bundle, Bundle.load(narrow)]
    models = folder / "models"
    models.mkdir(exist_ok=True)
    for number, bundle in enumerate(bundles):
        link = models / f"model-{number}"
        link.unlink(missing_ok=True)
        link.symlink_to(bundle.path.resolve())
    with Cluster(folder / "nodes") as cluster:
        run = Soak(cluster, rows, bundles, files)
        run.begin()
        served = Served("--url", cluster.url, "--index", ALIAS, "--models", str(models))
        with served as address:
            run.answered = time.monotonic()
            threads = [threading.Thread(target=run.search_forever, args=(address, seed)) for seed in (1, 2)]
            threads.append(threading.Thread(target=run.write_forever))
            started = time.monotonic()
            for thread in threads:
                thread.start()
            try:
                run.watch(served.pid, options.minutes * 60)
            finally:
                minutes = (time.monotonic() - started) / 60
                run.stop.set()
                for thread in threads:
                    thread.join()
    return _result(run, minutes)


def _result(run: Soak, minutes: float) -> dict[str, Any]:
    server = [entry["server_mib"] for entry in run.memory]
    quarter = max(1, len(server) // 4)
    second, last = float(np.median(server[quarter : 2 * quarter] or server)), float(np.median(server[-quarter:]))
    answers = sum(count for name, count in run.counts.items() if name.startswith("answers"))
    told = f"in {minutes:.0f} minutes, {run.counts[SWAPS]} swaps and {run.counts['node restarts']} node restarts"
    return {
        "minutes": round(minutes, 2), "products": len(run.rows), "answers": answers,
        "counts": dict(sorted(run.counts.items())), "wrong": run.wrong[:20], "refused": run.refused[:20],
        "slowest_answer_s": round(run.slowest, 2), "curve": run.memory,
        "targets": [
            target(f"wrong answers {told}", len(run.wrong), answers and not run.wrong),
            target("searches refused", len(run.refused), answers and not run.refused),
            target("longest time without an answer <= 2 s", round(run.longest, 2), run.longest <= LONGEST_SECONDS),
            target(
                "memory of the server, second and last quarter (MiB): grows <= 10 %",
                [round(second), round(last)],
                last <= (1 + MEMORY_GROWTH) * second,
            ),
        ],
    }  # fmt: skip


def _gender(row: dict[str, Any]) -> str | None:
    return dict(row["attributes"]).get("gender")


def _nodes(row: dict[str, Any]) -> set[str]:
    return {path_text(node) for node in nodes_on([tuple(row["category_path"])])}
