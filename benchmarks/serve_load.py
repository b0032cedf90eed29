"""The server as a process, and load: clients that each send the next request when they have the answer to the last."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop


class Served:
    """`clipita serve` as a process of its own."""

    def __init__(self, *flags: str, **environ: str) -> None:
        words = [sys.executable, "-m", "clipita.cli", "serve", "--port", "0", *flags]
        self.log: list[str] = []
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def __enter__(self) -> str:
        stream = self._process.stderr
        assert stream is not None
        said = []
        for line in stream:
            said.append(line)
            if found := re.search(r"at (http://\S+)", line):
                # Or its log fills the pipe, and the server stands still.
                threading.Thread(target=lambda: self.log.extend(stream), daemon=True).start()
                return found[1]
        raise SystemExit(f"clipita serve did not start: {''.join(said)}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)


def run(address: str, bodies: Sequence[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """POST the bodies in turn for some seconds.

    Returns:
        requests, errors, per_second, and p50_ms, p95_ms, p99_ms of the answers.
    """
    return uvloop.run(_load(address, bodies, clients, seconds))


def processor_seconds(process: int) -> float:
    """Processor time that a process has taken so far (proc(5): utime and stime of /proc/<pid>/stat)."""
    numbers = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


async def _load(address: str, bodies: Sequence[bytes], clients: int, seconds: float) -> dict[str, Any]:
    times: list[float] = []
    errors = 0
    queue = itertools.cycle(bodies)
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector, headers={"content-type": "application/json"}) as session:
        started = time.perf_counter()
        end = started + seconds

        async def client() -> None:
            nonlocal errors
            while (begun := time.perf_counter()) < end:
                async with session.post(address, data=next(queue)) as answer:
                    await answer.read()
                    errors += answer.status != 200
                times.append(time.perf_counter() - begun)

        await asyncio.gather(*(client() for _ in range(clients)))
        took = time.perf_counter() - started
    p50, p95, p99 = (np.percentile(times, [50, 95, 99]) * 1000).round(1).tolist()
    return {
        "requests": len(times),
        "errors": errors,
        "per_second": round(len(times) / took, 1),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
    }
