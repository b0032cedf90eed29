"""Keys, limits, headers, faults and the end of the server."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opensearchpy import OpenSearch

from clipita.opensearch.local.node import NodeStatus

if TYPE_CHECKING:
    from conftest import Launch, Server

pytestmark = pytest.mark.integration

ALIAS = "serve-shop"

KEY = "0123456789abcdef-key"


@pytest.fixture(scope="module")
def locked(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(KEY + "\n")
    return launch("--api-key-file", str(file), "--cors-origin", "https://shop.example")


@pytest.mark.parametrize("path", ["/v1/search?q=plate", "/v1/categories", "/v1/index", "/metrics"])
def test_a_key_is_asked_for(locked: Server, path: str) -> None:
    for headers in ({}, {"x_api_key": "wrong"}, {"x_api_key": KEY + "x"}, {"authorization": f"Basic {KEY}"}):
        answer = locked(path, **headers)
        assert answer.status == 401
        assert "API key" in answer.json["error"]
        assert KEY not in answer.body.decode()
    assert locked(path, x_api_key=KEY).status == 200
    assert locked(path, authorization=f"Bearer {KEY}").status == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/style.css"])
def test_what_needs_no_key(locked: Server, path: str) -> None:
    assert locked(path).status == 200


def test_cors_is_off_unless_an_origin_is_named(server: Server, locked: Server) -> None:
    asked = {"origin": "https://shop.example", "access_control_request_method": "GET"}
    assert "access-control-allow-origin" not in server("/v1/search?q=plate", origin="https://shop.example").headers
    preflight = locked("/v1/search", method="OPTIONS", **asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    other = locked("/v1/search?q=plate", x_api_key=KEY, origin="https://other.example")
    assert "access-control-allow-origin" not in other.headers


def test_every_answer_carries_the_security_headers(server: Server) -> None:
    for path in ("/", "/v1/search?q=plate", "/v1/search", "/nowhere", "/static/app.js"):
        headers = server(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_unknown_addresses_and_methods(server: Server) -> None:
    assert server("/nowhere").status == 404
    assert server("/v1/embed/text").status == 405
    assert server("/static/../app.py").status == 404
    assert server("/static/%2e%2e/app.py").status == 404
    assert "error" in server("/nowhere").json


def test_large_bodies_are_refused_with_and_without_a_length(server: Server) -> None:
    large = b'{"query": "' + b"a" * 300_000 + b'"}'
    assert server("/v1/search", large).status == 413
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            connection.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    deep = b"[" * 100_000
    assert server("/v1/search", deep).status == 400


def test_a_callers_id_is_kept_and_reaches_the_cluster(launch: Launch, node: NodeStatus, tmp_path: Path) -> None:
    seen: list[str | None] = []
    with relay(node.url, lambda headers: seen.append(headers.get("x-opaque-id"))) as url:
        server = launch(url=url)
        answer = server("/v1/search?category=Plates", x_opaque_id="order-42")
        assert answer.status == 200
        assert answer.headers["x-request-id"] == "order-42"
        assert "order-42" in seen
        odd = server("/v1/search?category=Plates", x_opaque_id='"><script>')
        assert re.fullmatch(r"[0-9a-f]{16}", odd.headers["x-request-id"])


def test_a_slow_and_an_absent_cluster(launch: Launch, node: NodeStatus) -> None:
    delay = threading.Event()
    with relay(node.url, lambda _: time.sleep(4) if delay.is_set() else None) as url:
        server = launch(url=url, CLIPITA_OPENSEARCH_TIMEOUT="2")
        short = launch(url=url, CLIPITA_SERVE_REQUEST_TIMEOUT="1")
        assert server("/v1/search?category=Plates").status == 200
        assert short("/v1/search?category=Plates").status == 200
        delay.set()
        assert server("/v1/search?category=Plates").status == 504
        assert short("/v1/search?category=Plates").status == 504
        delay.clear()
        assert server("/v1/search?category=Plates").status == 200
    away = server("/v1/search?category=Plates")
    assert away.status == 503
    assert "retry-after" in away.headers
    assert "127.0.0.1" not in away.body.decode(), "an answer names the shop's inside"
    assert server("/readyz").status == 503
    assert server("/healthz").status == 200


def test_a_request_under_way_is_finished_at_a_stop(launch: Launch, node: NodeStatus) -> None:
    delay = threading.Event()
    arrived = threading.Event()

    def wait(_: Any) -> None:
        if delay.is_set():
            arrived.set()
            time.sleep(2)

    with relay(node.url, wait) as url, ThreadPoolExecutor(1) as caller:
        server = launch(url=url)
        assert server("/v1/search?category=Plates").status == 200
        delay.set()
        running = caller.submit(server, "/v1/search?category=Plates&page=2")
        assert arrived.wait(10)
        assert server.stop() == 0
        assert running.result().status == 200


def test_too_many_requests_are_refused(launch: Launch, node: NodeStatus) -> None:
    delay = threading.Event()
    with relay(node.url, lambda _: time.sleep(1) if delay.is_set() else None) as url:
        server = launch(url=url, CLIPITA_SERVE_MAX_REQUESTS="2")
        assert server("/v1/search?category=Plates").status == 200
        delay.set()
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: server("/v1/search?category=Plates"), range(8)))
        assert {answer.status for answer in answers} == {200, 503}
        assert server("/healthz").status == 200


def test_metrics_count_what_was_answered(server: Server) -> None:
    def count(status: int) -> float:
        text = server("/metrics").body.decode()
        found = re.search(rf'clipita_requests_total\{{endpoint="/v1/search",status="{status}"\}} (\S+)', text)
        return float(found[1]) if found else 0.0

    good, bad = count(200), count(400)
    server("/v1/search?category=Plates")
    server("/v1/search?category=Nothing")
    assert (count(200), count(400)) == (good + 1, bad + 1)


def test_the_description_names_every_endpoint_and_parameter(server: Server) -> None:
    about = server("/openapi.json").json
    assert about["openapi"].startswith("3.1")
    assert {"/v1/search", "/v1/categories", "/v1/index", "/v1/embed/text", "/v1/embed/product"} <= set(about["paths"])
    schemas = set(about["components"]["schemas"])
    for reference in re.findall(r"#/components/schemas/(\w+)", json.dumps(about)):
        assert reference in schemas
    found = server("/v1/search?category=Plates&explain=true&facet=brand").json
    assert set(found) == set(about["components"]["schemas"]["SearchPage"]["properties"])
    assert set(found["hits"][0]) == set(about["components"]["schemas"]["Hit"]["properties"])


class relay:  # noqa: N801 - it reads as a verb
    """The node behind a proxy that can be slow, or end: faults that a healthy node does not show on request."""

    def __init__(self, target: str, before: Any) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if self.path.partition("?")[0].endswith("/_search"):
                    before(self.headers)
                connection = socket.create_connection(tuple(target.removeprefix("http://").split(":")))  # type: ignore[arg-type]
                with connection:
                    head = f"{self.command} {self.path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n"
                    kind = self.headers.get("content-type")
                    head += f"Content-Type: {kind}\r\n" if kind else ""
                    connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)
                    answer = b"".join(iter(lambda: connection.recv(65536), b""))
                # Said aloud, or the client would send its next request into a connection that is gone.
                self.wfile.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                self.close_connection = True

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_an_index_that_vanished_is_not_ready(launch: Launch, node: NodeStatus) -> None:
    client = OpenSearch(node.url)
    server = launch()
    [index] = client.indices.get_alias(name=ALIAS)
    client.indices.delete_alias(index=index, name=ALIAS)
    try:
        assert server("/readyz").status == 503
        assert server("/v1/search?category=Plates").status in (502, 503)
    finally:
        client.indices.put_alias(index=index, name=ALIAS)
        client.close()
    assert server("/readyz").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "", "@"]
)
def test_a_local_server_answers_under_its_own_names_only(server: Server, host: str) -> None:
    """A page of another site may let its name mean 127.0.0.1."""
    for path in ("/v1/search?q=plate", "/", "/v1/index"):
        answer = server(path, host=host)
        assert answer.status == 403
        assert "--allowed-host" in answer.json["hint"]


def test_names_that_a_local_server_answers_under(server: Server, locked: Server, launch: Launch) -> None:
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "localhost."):
        assert server("/v1/categories", host=host).status == 200
    assert locked("/v1/categories", x_api_key=KEY, host="shop.example").status == 200
    named = launch("--allowed-host", "Shop.example", "--allowed-host", "other.example")
    assert named("/v1/categories", host="shop.example:443").status == 200
    assert named("/v1/categories", host="localhost").status == 200
    assert named("/v1/categories", host="evil.example").status == 403


def test_other_addresses_of_this_machine_are_local_too(launch: Launch) -> None:
    server = launch("--host", "127.0.0.5")
    assert server("/v1/categories").status == 200
    assert server("/v1/categories", host="localhost").status == 200
    assert server("/v1/categories", host="evil.example").status == 403
