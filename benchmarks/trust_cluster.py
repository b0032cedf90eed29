"""Three nodes of one cluster on this machine: two with data, and one that only votes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from record import memory_mib

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import LocalNode

HEAP = "512m"
WATERMARK = "cluster.routing.allocation.disk.watermark"
GREEN_SECONDS = 120.0


class Cluster:
    """Starts them all at once, and stops them at the end.

    Attributes:
        url: of the two nodes with data, with a comma between.
    """

    def __init__(self, folder: Path) -> None:
        transport, self._ports = _free_ports(3), _free_ports(3)
        names = [f"node-{number}" for number in range(3)]
        common = {
            "cluster.name": "soak", "discovery.type": None, "cluster.initial_cluster_manager_nodes": names,
            "discovery.seed_hosts": [f"127.0.0.1:{port}" for port in transport],
        }  # fmt: skip
        roles = [["cluster_manager", "data", "ingest"]] * 2 + [["cluster_manager"]]
        self._nodes = [
            LocalNode(
                folder / name, {**common, "node.name": name, "transport.port": port, "node.roles": role}
            )
            for name, port, role in zip(names, transport, roles, strict=True)
        ]  # fmt: skip
        self.url = ",".join(f"http://127.0.0.1:{port}" for port in self._ports[:2])

    def __enter__(self) -> Cluster:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._start, range(3)))
        self._client = connect(OpenSearchConfig(url=self.url, timeout=60))
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        for node in self._nodes:
            node.stop()

    def restart(self, number: int) -> None:
        """Stop a node and start it again, once no shard lacks a copy: as one restarts the nodes of a shop."""
        self._wait(lambda: self._client.cluster.health()["status"] == "green")
        self._nodes[number].stop()
        self._start(number)

    def fill_disks(self, seconds: float) -> None:
        """Move the engine's limits above the free space, so that it blocks writing as on full disks, for a while."""
        limits = {f"{WATERMARK}.{level}": "100tb" for level in ("low", "high", "flood_stage")}
        self._put({**limits, "cluster.info.update.interval": "10s"})
        time.sleep(seconds)
        self._put(dict.fromkeys(limits))

    def memory(self) -> dict[str, float]:
        """Resident memory of each node, MiB."""
        running = [node.status() for node in self._nodes]
        return {f"node_{number}_mib": memory_mib(one.pid) if one else 0.0 for number, one in enumerate(running)}

    def _start(self, number: int) -> None:
        self._nodes[number].start(heap=HEAP, port=self._ports[number])

    def _put(self, settings: dict[str, Any]) -> None:
        self._client.cluster.put_settings(body={"persistent": settings})

    def _wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + GREEN_SECONDS
        while not done() and time.monotonic() < end:
            time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports
