"""An alias of its own for every test, one call that runs an ingest into it, and a proxy that spoils requests."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle

Run = Callable[..., IngestReport]
FAULTS = ("429", "503", "reset", "half answer", "some items")
WHOLE: dict[str, Any] = {
    "null": None, "empty": {}, "text": "done", "list": [], "no items": {"errors": False}, "items null": {"items": None},
}  # fmt: skip
"""Answers in place of that of a bulk which the node has taken."""
ERROR = {"type": "null_pointer_exception", "reason": "of the node itself"}
ITEMS: dict[str, Any] = {
    "item null": None, "item empty": {}, "item text": "created", "item list": [], "result null": {"index": None},
    "result text": {"index": "created"}, "two results": {"index": {"status": 201}, "create": {"status": 201}},
    "no status": {"index": {"result": "created"}}, "status null": {"index": {"status": None}},
    "status text": {"index": {"status": "201"}}, "error empty": {"index": {"status": 201, "error": {}}},
    "error with 201": {"index": {"status": 201, "error": ERROR}},
    "error list": {"index": {"status": 500, "error": [1]}},
    "429 without error": {"index": {"status": 429}}, "400 without error": {"index": {"status": 400}},
    "error without status": {"index": {"error": ERROR}}, "500": {"index": {"status": 500, "error": ERROR}},
    "500 in words": {"index": {"status": 500, "error": "Internal error"}},
    "other id": {"index": {"_id": "somebody else's", "status": 201}},
}  # fmt: skip
"""What every other item of such an answer is replaced by."""


@pytest.fixture(scope="session")
def client(node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=node.url))
    yield client
    client.close()


@pytest.fixture
def alias(client: OpenSearch) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:10]}"
    yield name
    client.indices.delete(index=f"{name}*", ignore=[404], params={"expand_wildcards": "all"})


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture
def settings(tmp_path: Path) -> IngestConfig:
    # One bulk at a time, so that a test can say what the third one holds.
    files = {"rejected": tmp_path / "rejected.jsonl", "image_warnings": tmp_path / "image-warnings.jsonl"}
    return IngestConfig(batch_size=16, bulk_documents=20, bulk_threads=1, patience=20.0, **files)


@pytest.fixture
def ingest(client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str) -> Run:
    def run(files: Path | Sequence[Path], **options: Any) -> IngestReport:
        paths = [files] if isinstance(files, Path) else files
        chosen = replace(settings, **options.pop("config", {}))
        options = {"alias": alias, **options}
        used = options.pop("client", client), options.pop("bundle", bundle)
        return Ingest(*used, chosen, **options).run([CatalogueFile(path) for path in paths])

    return run


@pytest.fixture
def documents(client: OpenSearch) -> Callable[[str], dict[str, dict[str, Any]]]:
    """Every document of an index by id, as it is stored, vectors included."""

    def read(index: str) -> dict[str, dict[str, Any]]:
        client.indices.refresh(index=index)
        answer = client.search(index=index, body={"size": 10_000, "query": {"match_all": {}}})
        assert answer["hits"]["total"]["value"] == len(answer["hits"]["hits"])
        return {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}

    return read


class FaultyProxy:
    """A real HTTP proxy before the node that spoils a share of the bulk requests, each in one of the ways of `FAULTS`.

    `429` and `503` do not reach the node. `reset` and `half answer` do, and the client does not learn of it. With
    `some items` the node gets half of the documents, and the answer turns the others away with status 429. The faults
    of `WHOLE` and `ITEMS` spoil the answer to a bulk that the node has taken.

    Attributes:
        spoilt: how often each fault was made.
        bulks: bulk requests seen.
        down: hang up on every request.
        before_bulk: called before a bulk request is passed on, with its number.
        busy: ends of paths, such as `_aliases`; one request to each is answered with 429 and not passed on.
    """

    def __init__(self, target: str, share: float, seed: int = 1, faults: tuple[str, ...] = FAULTS) -> None:
        self.spoilt: Counter[str] = Counter()
        self.bulks = 0
        self.down = False
        self.before_bulk: Callable[[int], None] = lambda _: None
        self.busy: list[str] = []
        chance = random.Random(seed)
        address = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.partition("?")[0]
                bulk = path.endswith("_bulk")
                if bulk:
                    proxy.bulks += 1
                    proxy.before_bulk(proxy.bulks)
                if proxy.down:
                    self.hang_up()
                    return
                for end in [end for end in proxy.busy if path.endswith(end)]:
                    proxy.busy.remove(end)
                    self.refuse(429)
                    return
                fault = None
                if bulk:
                    fault = chance.choice(faults) if chance.random() < share else None
                    proxy.spoilt.update([fault] if fault else [])
                if fault in ("429", "503"):
                    self.refuse(int(fault))
                    return
                lines = body.splitlines(keepends=True)
                if fault == "some items":
                    body = b"".join(lines[: len(lines) // 4 * 2])
                status, data = self.forward(body)
                if fault == "some items":
                    data = self.with_rejects(data, lines[len(lines) // 4 * 2 :: 2])
                if fault in WHOLE:
                    data = json.dumps(WHOLE[fault]).encode()
                if fault in ITEMS:
                    answer = json.loads(data)
                    answer["items"][::2] = [ITEMS[fault] for _ in answer["items"][::2]]
                    data = json.dumps(answer).encode()
                if fault == "reset":
                    self.hang_up()
                elif fault == "half answer":
                    self.answer(status, data[: len(data) // 2], claimed=len(data))
                    self.hang_up()
                else:
                    self.answer(status, data)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - http.server's names

            def forward(self, body: bytes) -> tuple[int, bytes]:
                if not body and self.path.partition("?")[0].endswith("_bulk"):
                    return 200, b'{"items": []}'
                connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
                kept = {name: value for name, value in self.headers.items() if name.lower() in {"content-type"}}
                connection.request(self.command, self.path, body or None, kept)
                response = connection.getresponse()
                data = response.read()
                connection.close()
                return response.status, data

            def refuse(self, status: int) -> None:
                kind = {"type": "rejected_execution_exception", "reason": "queue is full"}
                self.answer(status, json.dumps({"error": kind, "status": status}).encode())

            def with_rejects(self, data: bytes, actions: list[bytes]) -> bytes:
                answer = json.loads(data)
                parsed = [json.loads(action) for action in actions]
                error = {"type": "rejected_execution_exception", "reason": "too much under way"}
                answer["items"] += [
                    {kind: {"_id": line["_id"], "status": 429, "error": error}}
                    for action in parsed
                    for kind, line in action.items()
                ]
                return json.dumps(answer | {"errors": True}).encode()

            def answer(self, status: int, data: bytes, claimed: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(claimed or len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def hang_up(self) -> None:
                # With linger 0 the peer gets a reset, not an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients and we ourselves hang up."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def proxied(node: NodeStatus) -> Iterator[Callable[..., tuple[FaultyProxy, OpenSearch]]]:
    opened: list[tuple[FaultyProxy, OpenSearch]] = []

    def start(share: float, **options: Any) -> tuple[FaultyProxy, OpenSearch]:
        proxy = FaultyProxy(node.url, share, **options)
        opened.append((proxy, connect(OpenSearchConfig(url=proxy.url, timeout=10.0))))
        return opened[-1]

    yield start
    for proxy, client in opened:
        client.close()
        proxy.close()
