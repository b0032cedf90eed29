"""`/v1/search` by category under 64 clients, against the same request bodies sent straight to the node.

    make bench-serve BUNDLE=model     (or: python benchmarks/serve.py --bundle model)

Node, server and clients are on this machine, in two arrangements: the node has half of the cores for itself, as where
it is a machine of its own; and all share all cores, so that what the server takes is missing to the node. The ways take
turns, round by round, and each ratio comes from neighbouring rounds. Besides, a second server, which may give an answer
again for a second, shows what that is worth (it does not count for the figure), and the blocking client in threads is
compared with the asynchronous one. Writes benchmarks/results/serve.json. Exits 1 if a figure is not reached.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import record
import serve_load

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

WORK = record.ROOT / "build" / "serve"
INDEX = "products"
CLIENTS = 64
OPTIONS: dict[str, Any] = {"facets": ["colour", "gender"], "size": 24}
FLOOR = 0.9
APART, SHARED = "the node on cores of its own", "all sharing all cores"
KEEPING = "serve, answers kept 1 s"
MEDIANS = ("p50_ms", "p95_ms", "p99_ms", "node_cpu_ms", "server_cpu_ms", "clients_cpu_ms")


def main() -> int:
    """Run everything; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="an exported model of this catalogue")
    parser.add_argument("--data", type=Path, default=record.FASHION)
    parser.add_argument("--home", type=Path, default=WORK / "opensearch", help="folder of the local node")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of a round")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"The real catalogue is not at {options.data}; name its folder with --data.")
    files = [options.data / f"{split}.parquet" for split in ("train", "valid", "test")]
    node = LocalNode(options.home)
    was_running = node.status() is not None
    url = node.start(heap="1g").url
    try:
        products, index = prepare(url, files, options.bundle)
        status = node.status()
        assert status is not None
        result = measure(url, index, status.pid, options)
    finally:
        if not was_running:
            node.stop()
    packages = ["starlette", "uvicorn", "aiohttp", "opensearch-py", "onnxruntime"]
    result = {**record.provenance(packages, files), "products": products, "load_before": LOAD, **result}
    result["targets"] = targets(result)
    print(f"\nWritten: {record.write('serve', result)}\n")
    for target in result["targets"]:
        print(f"{'reached' if target['reached'] else 'MISSED ':8} {target['target']}: {target['value']}")
    return 0 if all(target["reached"] for target in result["targets"]) else 1


LOAD = [round(value, 1) for value in os.getloadavg()]
"""The machine's load when this began: what else ran here."""


def prepare(url: str, files: list[Path], bundle_path: Path) -> tuple[int, str]:
    """Ingest what is missing; gives the number of products and the index."""
    WORK.mkdir(parents=True, exist_ok=True)
    client = connect(OpenSearchConfig(url=url, timeout=600))
    bundle = Bundle.load(bundle_path)
    config = IngestConfig(rejected=WORK / "rejected.jsonl")
    ingest = Ingest(client, bundle, config, alias=INDEX)
    report = ingest.run([CatalogueFile(file) for file in files])
    categories.publish(client, INDEX, report.index, bundle, ingest.paths)
    products = int(client.count(index=INDEX)["count"])
    client.close()
    return products, report.index


def measure(url: str, index: str, node: int, options: argparse.Namespace) -> dict[str, Any]:
    """Both comparisons."""
    search = ProductSearch(url, INDEX)
    paths = [list(entry.path) for entry in search.categories]
    asked = [{"category": path, "page": page, **OPTIONS} for path in paths for page in (1, 2)]
    bodies = [json.dumps(search.body(**request)).encode() for request in asked]
    sent = [json.dumps(request).encode() for request in asked]
    words = ["--url", url, "--index", INDEX, "--model", str(options.bundle)]
    server, keeping = serve_load.Served(*words), serve_load.Served(*words, CLIPITA_SERVE_FRESH_SECONDS="1")
    with server as address, keeping as kept_address:
        same_hits(url, address, bodies[:20], sent[:20])
        ways = {
            "node": (f"{url}/{index}/_search", bodies),
            "serve": (f"{address}/v1/search", sent),
            KEEPING: (f"{kept_address}/v1/search", sent),
        }
        processes = {"node": node, "server": server.pid, "clients": os.getpid()}
        arranged = {}
        for name, cores in arrangements().items():
            for process in (node, server.pid, keeping.pid, os.getpid()):
                pin(process, cores["node" if process == node else "others"])
            print(name, flush=True)
            arranged[name] = summary(take_turns(ways, options.rounds, options.seconds, processes))
    clients = compare_clients(url, asked)
    search.client.close()
    return {
        "clients": CLIENTS,
        "distinct_requests": len(asked),
        "options": OPTIONS,
        "arrangements": arranged,
        "client_kinds": clients,
    }


def arrangements() -> dict[str, dict[str, set[int]]]:
    """Which cores the node and all others run on; the one where they share all comes last and stays."""
    cores = sorted(os.sched_getaffinity(0))
    half = max(1, len(cores) // 2)
    shared = {"node": set(cores), "others": set(cores)}
    if len(cores) == 1:
        return {SHARED: shared}
    return {APART: {"node": set(cores[:half]), "others": set(cores[half:])}, SHARED: shared}


def pin(process: int, cores: set[int]) -> None:
    """Hold every thread of a process to these cores."""
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:
            continue  # This thread has ended meanwhile.


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians by way, and the ratios."""
    ways = {
        way: {
            "per_second": round(statistics.median(one[way]["per_second"] for one in rounds), 1),
            **{p: round(statistics.median(one[way][p] for one in rounds), 2) for p in MEDIANS},
            "requests": sum(one[way]["requests"] for one in rounds),
            "errors": sum(one[way]["errors"] for one in rounds),
        }
        for way in rounds[0]
    }
    ratios = [round(one["serve"]["per_second"] / one["node"]["per_second"], 3) for one in rounds]
    return {"ways": ways, "ratios": ratios, "ratio": statistics.median(ratios), "rounds": rounds}


def same_hits(node: str, address: str, bodies: list[bytes], sent: list[bytes]) -> None:
    """Both ways answer alike, or the comparison means nothing."""

    async def ask() -> None:
        async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:
            for body, request in zip(bodies, sent, strict=True):
                async with session.post(f"{node}/{INDEX}/_search", data=body) as answer:
                    plain = [hit["_id"] for hit in (await answer.json())["hits"]["hits"]]
                async with session.post(f"{address}/v1/search", data=request) as answer:
                    served = [hit["id"] for hit in (await answer.json())["hits"]]
                if plain != served:
                    raise SystemExit(f"The answers differ: {request.decode()}")

    asyncio.run(ask())


def take_turns(
    ways: dict[str, tuple[str, list[bytes]]], rounds: int, seconds: float, processes: dict[str, int]
) -> list[dict[str, Any]]:
    """Rounds of every way, in alternating order after a warm-up, with the processor time that each process took."""
    for address, bodies in ways.values():
        serve_load.run(address, bodies, CLIENTS, min(seconds, 4.0))
    found = []
    for number in range(rounds):
        order = list(ways) if number % 2 else list(reversed(ways))
        one = {way: _timed(*ways[way], seconds, processes) for way in order}
        print({way: one[way]["per_second"] for way in ways}, flush=True)
        found.append(one)
    return found


def _timed(address: str, bodies: list[bytes], seconds: float, processes: dict[str, int]) -> dict[str, Any]:
    before = {name: serve_load.processor_seconds(process) for name, process in processes.items()}
    found = serve_load.run(address, bodies, CLIENTS, seconds)
    for name, process in processes.items():
        spent = serve_load.processor_seconds(process) - before[name]
        found[f"{name}_cpu_ms"] = round(1000 * spent / found["requests"], 2)
    return found


def compare_clients(url: str, asked: list[dict[str, Any]]) -> dict[str, float]:
    """Searches a second in one process: the blocking client in 64 threads, and the asynchronous one in 64 tasks."""
    total = min(256, len(asked))
    requests = [asked[number % len(asked)] for number in range(total)]
    rates: dict[str, list[float]] = {"threads": [], "async": []}
    patient = OpenSearchConfig(url=url, timeout=600)
    blocking = ProductSearch(None, INDEX, opensearch=patient)
    blocking(**asked[0])
    for _ in range(2):
        with ThreadPoolExecutor(CLIENTS) as pool:
            start = time.perf_counter()
            list(pool.map(lambda request: blocking(**request), requests))
            rates["threads"].append(total / (time.perf_counter() - start))
        rates["async"].append(asyncio.run(_asynchronous(patient, requests)))
    blocking.client.close()
    return {kind: round(statistics.median(values), 1) for kind, values in rates.items()}


async def _asynchronous(patient: OpenSearchConfig, requests: list[dict[str, Any]]) -> float:
    async with await AsyncProductSearch.open(None, INDEX, opensearch=patient) as search:
        await search(**requests[0])
        waiting = iter(requests)

        async def client() -> None:
            for request in waiting:
                await search(**request)

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return len(requests) / (time.perf_counter() - start)


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, with what was seen."""
    found = []
    for name, arranged in result["arrangements"].items():
        ratio, served = arranged["ratio"], arranged["ways"]["serve"]
        target = f"throughput >= {FLOOR} of the node's, {name}"
        found.append({"target": target, "value": ratio, "reached": ratio >= FLOOR})
        errors = served["errors"] + arranged["ways"][KEEPING]["errors"]
        found.append({"target": f"errors = 0, {name}", "value": errors, "reached": errors == 0})
        print(f"p99 of /v1/search, {name}: {served['p99_ms']} ms")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
