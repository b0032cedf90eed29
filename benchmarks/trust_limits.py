"""Hostile images, bodies and files: how much memory they take, and how long others wait meanwhile.

A server is asked by a patient visitor all the time, while others send it what is hostile. Each hostile file is read by
a `clipita catalogue check` of its own, whose peak is measured.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import io
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ingest_shop import WORK, Shop, first_rows, settings
from PIL import Image
from record import memory_mib, target
from serve_load import Served

import clipita

MOST_MIB = 1024
LONGEST_SECONDS = 1.0
ATTACK_SECONDS = 15.0
ATTACKERS = 8
SLOW_BODIES = 400
ROWS = 64
EXPECTED = (0, 1, 3)
HEAD = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{"


def limits(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Both halves."""
    file = first_rows(options.data / "train.parquet", options.fault_products)
    clipita.ingest(file, cluster=shop.client, index="bench-limits", model=shop.bundle, config=settings())
    served = Served("--url", shop.url, "--index", "bench-limits", "--model", str(shop.bundle.path))
    with served as address:
        attacks = {name: _attack(address, attack) for name, attack in ATTACKS.items()}
        server = round(memory_mib(served.pid, "VmHWM"))
    files = {name: _check(name, make) for name, make in FILES.items()}
    waited = max(one["longest_s"] for name, one in attacks.items() if name != "none")
    heaviest = max(one["peak_mib"] for one in files.values())
    ended = {name: one["exit"] for name, one in files.items() if one["exit"] not in EXPECTED}
    return {
        "attacks": attacks,
        "server_peak_mib": server,
        "files": files,
        "targets": [
            target("peak memory of the server <= 1 GB (MiB)", server, server <= MOST_MIB),
            target("longest wait of others <= 1 s", waited, waited <= LONGEST_SECONDS),
            target("peak memory of a check of a hostile file <= 1 GB (MiB)", heaviest, heaviest <= MOST_MIB),
            target("checks that ended otherwise than with 0, 1 or 3 (rows left out)", ended, not ended),
        ],
    }


def _attack(address: str, attack: Callable[[str, threading.Event], Counter[Any]]) -> dict[str, Any]:
    """Run one attack, and ask as a visitor meanwhile."""
    over = threading.Event()
    answers: Counter[Any] = Counter()
    count = ATTACKERS if attack is not slow_bodies else 1
    threads = [threading.Thread(target=lambda: answers.update(attack(address, over))) for _ in range(count)]
    for thread in threads:
        thread.start()
    waits, refused = [], 0
    end = time.monotonic() + ATTACK_SECONDS
    while time.monotonic() < end:
        for path in ("/healthz", "/v1/search?q=red+shirt", "/v1/search?category=Apparel"):
            begun = time.monotonic()
            refused += _ask(address + path) != 200
            waits.append(time.monotonic() - begun)
        time.sleep(0.02)
    over.set()
    for thread in threads:
        thread.join()
    waits.sort()
    return {
        "asked": len(waits), "refused": refused, "median_s": round(waits[len(waits) // 2], 3),
        "longest_s": round(waits[-1], 3), "answers_to_the_attack": {str(name): n for name, n in answers.items()},
    }  # fmt: skip


def _ask(url: str, body: bytes | None = None) -> int | str:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        return type(error).__name__


def nobody(_address: str, _over: threading.Event) -> Counter[Any]:
    """What the visitor waits without any attack."""
    return Counter()


def _posting(body: Callable[[], bytes]) -> Callable[[str, threading.Event], Counter[Any]]:
    def attack(address: str, over: threading.Event) -> Counter[Any]:
        content, answers = body(), Counter[Any]()
        while not over.is_set():
            answers[_ask(f"{address}/v1/embed/product", content)] += 1
        return answers

    return attack


def slow_bodies(address: str, over: threading.Event) -> Counter[Any]:
    """Connections that send a body's first byte and then nothing."""
    parts = urlsplit(address)
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_BODIES):
            connection = stack.enter_context(socket.create_connection((str(parts.hostname), parts.port or 80)))
            connection.sendall(HEAD)
        over.wait()
    return Counter({"connections": SLOW_BODIES})


def _large_image() -> str:
    """7,000 x 7,000 pixels of one bit in 6 kB, base64."""
    stream = io.BytesIO()
    Image.new("1", (7000, 7000)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def _images(count: int) -> bytes:
    return json.dumps({"products": [{"image": _large_image()}] * count}).encode()


ATTACKS: dict[str, Callable[[str, threading.Event], Counter[Any]]] = {
    "none": nobody,
    "32 PNGs of 49 megapixels a request": _posting(lambda: _images(32)),
    "2 PNGs of 49 megapixels a request": _posting(lambda: _images(2)),
    "bodies of 31 MB": _posting(lambda: b'{"products": [{"title": "' + b"x" * 31_000_000 + b'"}]}'),
    "deep JSON": _posting(lambda: b"[" * 200_000),
    f"{SLOW_BODIES} slow bodies": slow_bodies,
}


def _check(name: str, make: Callable[[Path], Path]) -> dict[str, Any]:
    """`clipita catalogue check` of a hostile file: its exit code, peak memory and seconds."""
    folder = WORK / "hostile"
    folder.mkdir(parents=True, exist_ok=True)
    file = make(folder)
    started = time.monotonic()
    command = [Path(sys.executable).parent / "clipita", "catalogue", "check", str(file)]
    with (folder / "said.txt").open("w+", encoding="utf-8", errors="replace") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=stream)
        peak = 0
        # Not the peak that wait4 gives: a child's begins with its parent's.
        while process.poll() is None:
            peak = round(memory_mib(process.pid, "VmHWM")) or peak
            time.sleep(0.01)
        stream.seek(0)
        said = stream.read().splitlines()
    size = file.stat().st_size
    file.unlink()
    print(f"{name}: {peak} MiB", flush=True)
    return {
        "file_bytes": size, "exit": process.returncode, "peak_mib": peak,
        "seconds": round(time.monotonic() - started, 1), "said": said[-1][:300] if said else "",
    }  # fmt: skip


def _parquet(**columns: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made = {name: column() for name, column in columns.items()}
        count = len(next(iter(made.values())))
        table = pa.table({"product_id": [str(n) for n in range(count)], "title": ["shoe"] * count, **made})
        pq.write_table(table, folder / "feed.parquet", compression="zstd", store_schema=False)
        return folder / "feed.parquet"

    return make


def _repeated(value: Any) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([value]))


def _zeros() -> Any:
    return pa.ListArray.from_arrays(
        pa.array(range(0, ROWS * 2**20 + 1, 2**20), pa.int32()), pa.array(np.zeros(ROWS * 2**20, np.int8))
    )


def _written(name: str, content: Callable[[], Iterator[bytes]], packed: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        file = folder / name
        with _opened(file, packed) as stream:
            for part in content():
                stream.write(part)
        return file

    return make


@contextmanager
def _opened(file: Path, packed: bool) -> Iterator[Any]:
    with gzip.open(file, "wb", 1) if packed else file.open("wb") as stream:
        yield stream


def _open_quote() -> Iterator[bytes]:
    yield b'product_id,title\n1,"never closed\n'
    for number in range(40):
        yield b"".join(b"%d,shoe %d\n" % (n, n) for n in range(number * 10_000, (number + 1) * 10_000))


def _long_rows() -> Iterator[bytes]:
    for number in range(20):
        yield b'{"product_id": "%d", "title": "' % number
        yield from (b"x" * 1_000_000 for _ in range(50))
        yield b'"}\n'


def _wide() -> Iterator[bytes]:
    for number in range(200):
        names = ", ".join(f'"name {number}-{n}": "value {n}"' for n in range(5_000))
        yield f'{{"product_id": "{number}", "title": "shoe", "attributes": {{{names}}}}}\n'.encode()


def _bombs() -> Iterator[bytes]:
    image = _large_image()
    for number in range(64):
        yield f'{{"product_id": "{number}", "title": "shoe", "image": "data:image/png;base64,{image}"}}\n'.encode()


def _one_document() -> Iterator[bytes]:
    yield b'{"products": ['
    yield b"[" * 500_000
    yield b"]}"


FILES: dict[str, Callable[[Path], Path]] = {
    "Parquet: a list column of zeros": _parquet(extra=_zeros),
    "Parquet: a dictionary with a text of 60 MB": _parquet(extra=lambda: _repeated("x" * 60_000_000)),
    "Parquet: titles of 40 MB in a dictionary": _parquet(name=lambda: _repeated("x" * 40_000_000)),
    "Parquet: images of 49 megapixels": _parquet(image=lambda: _repeated(base64.b64decode(_large_image()))),
    "CSV: a quote that never closes": _written("feed.csv", _open_quote),
    "JSON Lines: rows of 50 MB": _written("feed.jsonl", _long_rows),
    "JSON Lines, packed: rows of 50 MB": _written("feed.jsonl.gz", _long_rows, packed=True),
    "JSON Lines: a million attribute names": _written("feed.jsonl", _wide),
    "JSON Lines: images of 49 megapixels": _written("feed.jsonl", _bombs),
    "JSON: half a million brackets": _written("feed.json", _one_document),
}
