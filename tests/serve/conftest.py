"""A shop in the real node, and the real `clipita serve` in front of it."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle

ALIAS = "serve-shop"
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=document.title='taken'> plate"
TEMPLATE = "{{7*7}} ${7*7} {{constructor.constructor('document.title=1')()}} plate"
AWKWARD: list[dict[str, Any]] = [
    {"product_id": "x-script", "title": html.escape(SCRIPT), "brand": "<b onclick=alert(1)>Bold</b>", "price": 10.0},
    {"product_id": "x-template", "title": TEMPLATE, "brand": "{{brand}}", "price": 11.0},
    {"product_id": "x-none", "title": None, "attributes": {"colour": "red"}},
]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running `clipita serve`."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=64, retries=False))

    def __call__(self, path: str, body: Any = None, *, method: str | None = None, **headers: str) -> Answer:
        """Ask; a body that is no bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.pool.request(
            method or ("GET" if data is None else "POST"), self.url + path, body=data, headers=sent
        )
        return Answer(answer.status, answer.headers, answer.data)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


Launch = Callable[..., Server]


@pytest.fixture(scope="session")
def served_shop(node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The alias of a shop of 203 products, categories published."""
    folder = tmp_path_factory.mktemp("serve")
    awkward = folder / "awkward.jsonl"
    awkward.write_text("".join(json.dumps(row) + "\n" for row in AWKWARD), encoding="utf-8")
    client = connect(OpenSearchConfig(url=node.url))
    bundle = Bundle.load(tiny_bundle)
    files = [*(shop / f"{name}.parquet" for name in ("train", "valid", "test")), awkward]
    ingest = Ingest(client, bundle, IngestConfig(rejected=folder / "rejected.jsonl"), alias=ALIAS)
    report = ingest.run([CatalogueFile(file) for file in files])
    assert not report.left_out
    categories.publish(client, ALIAS, report.index, bundle, ingest.paths)
    client.close()
    return ALIAS


@pytest.fixture(scope="session")
def launch(node: NodeStatus, served_shop: str, tiny_bundle: Path) -> Iterator[Launch]:
    """Starts servers on free ports; all are stopped at the end."""
    running: list[Server] = []

    def start(*flags: str, url: str = "", **environ: str) -> Server:
        # A command line of one's own would stand in for the real one; this is what the installed script runs.
        words = [sys.executable, "-m", "clipita.cli", "serve", "--port", "0", "--index", served_shop]
        model = [] if "--models" in flags else ["--model", str(tiny_bundle)]
        words += ["--url", url or node.url, *model, *flags]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})
        server = Server(process)
        running.append(server)
        assert process.stderr is not None
        for line in process.stderr:
            server.log.append(line)
            if found := re.search(r"at (http://\S+)", line):
                server.url = found[1]
                break
        assert server.url, "".join(server.log)
        server.reader = threading.Thread(target=lambda: server.log.extend(process.stderr or ()), daemon=True)
        server.reader.start()
        return server

    yield start
    for server in running:
        if server.process.poll() is None:
            server.stop()
        if server.reader is not None:
            server.reader.join(10)
        if server.process.stderr is not None:
            server.process.stderr.close()
        server.pool.clear()


@pytest.fixture(scope="session")
def server(launch: Launch) -> Server:
    """One with the defaults."""
    return launch()
