"""Connecting: a small real HTTP server gives the answers that no OpenSearch at hand can be brought to give."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clipita.config import OpenSearchConfig
from clipita.errors import (
    AuthenticationError,
    ClipItaError,
    ClusterError,
    ClusterUnavailableError,
    ClusterVersionError,
    ConfigError,
    IndexMissingError,
    IndexReadOnlyError,
    QueryError,
)
from clipita.opensearch.cluster.connection import Capabilities, capabilities, connect
from clipita.opensearch.cluster.errors import address_of, guarded

Answer = tuple[int, Any]
Serve = Callable[..., "FakeServer"]
SECRET = "s3cret/pä:ss"
SECRET_IN_URL = "s3cret%2Fp%C3%A4%3Ass"


def root(number: str = "3.5.0", distribution: str | None = "opensearch", build_type: str = "tar") -> Answer:
    version = {"number": number, "build_type": build_type}
    return 200, {"version": version | ({"distribution": distribution} if distribution else {})}


class RawJson(str):
    """Sent as it is, and called JSON."""


class FakeServer:
    """Answers by path, and keeps the headers it got. A string is sent as HTML."""

    def __init__(self, answers: dict[str, Answer], delay: float = 0.0) -> None:
        self.headers: list[dict[str, str]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(delay)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, body = answers[self.path.partition("?")[0]]
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                plain = isinstance(body, str) and not isinstance(body, RawJson)
                self.send_header("Content-Type", "text/html" if plain else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may hang up
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def with_user(self, userinfo: str) -> str:
        return self.url.replace("http://", f"http://{userinfo}@")

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[FakeServer] = []

    def start(answers: dict[str, Answer] | None = None, delay: float = 0.0) -> FakeServer:
        servers.append(FakeServer({"/": root()} | (answers or {}), delay))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_versions_from_2_13_on_are_accepted(serve: Serve) -> None:
    server = serve({"/": root("2.13.0")})
    client = connect(OpenSearchConfig(url=server.url))
    assert address_of(client) == server.url
    client.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (root("2.12.9"), "runs OpenSearch 2.12.9"),
        (root("1.3.20"), "runs OpenSearch 1.3.20"),
        (root("8.15.0", distribution=None), "is Elasticsearch 8.15.0, not OpenSearch"),
        ((200, {"hello": "world"}), "is not OpenSearch"),
        ((200, "<html>It works!</html>"), "not like OpenSearch"),
        (root("three"), "version 'three' is not a version number"),
    ],
)
def test_other_servers_are_refused(serve: Serve, answer: Answer, text: str) -> None:
    with pytest.raises(ClusterVersionError, match=text):
        connect(OpenSearchConfig(url=serve({"/": answer}).url))


@pytest.mark.parametrize("status", [401, 403])
def test_refused_user(serve: Serve, status: int) -> None:
    server = serve({"/": (status, "Unauthorized")})
    with pytest.raises(AuthenticationError) as caught:
        connect(OpenSearchConfig(url=server.with_user(f"anna:{SECRET_IN_URL}")))
    assert_secret_kept(caught.value)


def test_user_and_password_travel_as_utf_8(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET + "\n", encoding="utf-8")
    expected = "Basic " + base64.b64encode(f"anna:{SECRET}".encode()).decode()
    server = serve()
    for config in (
        OpenSearchConfig(url=server.with_user(f"anna:{SECRET_IN_URL}")),
        OpenSearchConfig(url=server.url, username="anna", password=SECRET),
        OpenSearchConfig(url=server.url, username="anna", password_file=tmp_path / "password"),
        OpenSearchConfig(url=server.with_user("bob:other"), username="anna", password=SECRET),
    ):
        connect(config).close()
        assert server.headers[-1]["authorization"] == expected


def test_without_user_nothing_is_sent(serve: Serve) -> None:
    server = serve()
    connect(OpenSearchConfig(url=server.url)).close()
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "settings", [{"username": "anna"}, {"password": SECRET}, {"password_file": Path("/absent/password")}]
)
def test_half_credentials(serve: Serve, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(OpenSearchConfig(url=serve().url, **settings))
    assert_secret_kept(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host:9200",
        "https://",
        "http://host:port",
        "http://host:99999",
        "http://host:9200/?pretty",
        "http://anna:s3cret/x@host:9200",
        "http://anna:12/s3cret@host:9200",
        "http://anna:12#s3cret@host:9200",
        "http://[::1",
        "http://anna:s3cret@host:9200,http://other:9200",
        "http://anna:12,s3cret@host:9200",
        "http://host:9200,https://host:9201",
        "http://host:9200,",
    ],
)
def test_unusable_urls(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(OpenSearchConfig(url=url))
    assert_secret_kept(caught.value)


def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers, and nobody else gets the port
        url = f"http://anna:{SECRET_IN_URL}@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterUnavailableError, match="Nothing answers at http://127") as caught:
            connect(OpenSearchConfig(url=url))
    assert_secret_kept(caught.value)


def test_a_node_that_ended_or_still_starts_is_passed_over(serve: Serve) -> None:
    starting = serve({"/": (503, {"error": {"type": "cluster_manager_not_discovered_exception"}, "status": 503})})
    living = serve({"/shop/_count": (200, {"count": 3})})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ended = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for urls in itertools.permutations([starting.url, ended, living.url]):
            client = connect(OpenSearchConfig(url=" , ".join(urls)))
            assert {client.count(index="shop")["count"] for _ in range(6)} == {3}
            client.close()
        with pytest.raises(ClusterUnavailableError, match="Nothing answers at http"):
            connect(OpenSearchConfig(url=f"{ended},{ended}"))
        with pytest.raises(ConfigError, match="not among allowed_hosts"):
            connect(OpenSearchConfig(url=f"{living.url},http://elsewhere:9200", allowed_hosts=("127.0.0.1",)))


def test_slow_server_runs_into_the_time_limit(serve: Serve) -> None:
    server = serve(delay=0.6)
    with pytest.raises(ClusterUnavailableError, match="did not answer in time"):
        connect(OpenSearchConfig(url=server.url, timeout=0.1))


def test_tls_to_a_plain_port(serve: Serve) -> None:
    with pytest.raises(ClusterUnavailableError, match="does not speak TLS"):
        connect(OpenSearchConfig(url=serve().url.replace("http:", "https:")))


def test_missing_ca_file(serve: Serve) -> None:
    with pytest.raises(ConfigError, match="no CA certificate"):
        connect(OpenSearchConfig(url=serve().url, ca_certs=Path("/absent/ca.pem")))


def test_without_url_or_local_node(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailableError) as caught:
        connect(OpenSearchConfig(home=tmp_path))
    assert "clipita opensearch start" in str(caught.value)
    assert "--url" in str(caught.value)


def test_path_prefix_is_kept(serve: Serve) -> None:
    server = serve({"/search": root(), "/search/": root()})
    client = connect(OpenSearchConfig(url=server.url + "/search/"))
    assert address_of(client) == server.url + "/search"
    client.close()


PLUGINS = ("opensearch-knn", "opensearch-neural-search", "opensearch-ml", "opensearch-security")


@pytest.mark.parametrize(
    ("plugins", "build_type", "initialized", "faiss"),
    [
        (PLUGINS, "tar", False, True),
        (PLUGINS, "rpm", False, True),
        (PLUGINS, "zip", False, False),
        (PLUGINS, "zip", True, True),
        (PLUGINS[:1], "tar", False, False),
        (PLUGINS[:1], "tar", True, True),
        (PLUGINS[1:], "tar", False, False),
    ],
)
def test_faiss_is_only_used_where_its_library_shows(
    serve: Serve, plugins: tuple[str, ...], build_type: str, initialized: bool, faiss: bool
) -> None:
    nodes = {"a": {"faiss_initialized": False}, "b": {"faiss_initialized": initialized}}
    server = serve(
        {
            "/": root(build_type=build_type),
            "/_cat/plugins": (200, [{"component": name} for name in plugins for _ in nodes]),
            "/_plugins/_knn/stats/faiss_initialized": (200, {"nodes": nodes}),
        }
    )
    client = connect(OpenSearchConfig(url=server.url))
    assert capabilities(client) == Capabilities(
        version=(3, 5, 0),
        knn="opensearch-knn" in plugins,
        neural_search="opensearch-neural-search" in plugins,
        ml_commons="opensearch-ml" in plugins,
        faiss=faiss,
        engine="faiss" if faiss else "lucene",
    )
    client.close()


def error_body(kind: str, reason: str) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": reason, "root_cause": [{"type": kind, "reason": reason}]}}


FLOOD = "index [products-1] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, …];"


@pytest.mark.parametrize(
    ("status", "body", "expected", "text"),
    [
        (400, error_body("parsing_exception", "unknown query [knm]"), QueryError, r"unknown query \[knm\]"),
        (500, error_body("script_exception", "compile error"), QueryError, "compile error"),
        (401, error_body("security_exception", "who?"), AuthenticationError, "user or password"),
        (403, error_body("security_exception", "no permissions"), AuthenticationError, "no permissions"),
        (403, error_body("cluster_block_exception", FLOOD), IndexReadOnlyError, "products-1"),
        (429, error_body("cluster_block_exception", FLOOD), IndexReadOnlyError, "Free some space"),
        (429, error_body("circuit_breaking_exception", "too much"), ClusterError, "overloaded: too much"),
        (404, error_body("index_not_found_exception", "no such index [p]"), IndexMissingError, "clipita ingest"),
        (404, error_body("resource_not_found_exception", "no template"), QueryError, "no template"),
        (503, error_body("cluster_block_exception", "state not recovered"), ClusterUnavailableError, "blocked"),
        (502, "<html>Bad gateway</html>", ClusterUnavailableError, "502"),
    ],
)
def test_errors_become_ours(serve: Serve, status: int, body: Any, expected: type[ClipItaError], text: str) -> None:
    server = serve({"/p/_search": (status, body)})
    client = connect(OpenSearchConfig(url=server.with_user(f"anna:{SECRET_IN_URL}")))
    with pytest.raises(expected, match=text) as caught, guarded(client, QueryError):
        client.search(index="p", body={})
    assert type(caught.value) is expected
    # What the cluster says of a request goes on to whoever sent it.
    assert (server.url in str(caught.value)) is (expected is not QueryError)
    assert_secret_kept(caught.value)
    client.close()


@pytest.mark.parametrize("status", [200, 400, 429])
@pytest.mark.parametrize("body", ["[" * 100_000, "[1]", '{"error": ' + "[" * 100_000, "7", "null"])
def test_no_answer_is_a_crash(serve: Serve, status: int, body: str) -> None:
    server = serve({"/shop/_count": (status, RawJson(body))})
    client = connect(OpenSearchConfig(url=server.url))
    with suppress(ClipItaError), guarded(client):
        client.count(index="shop")
    client.close()


def test_innermost_reason_is_told(serve: Serve) -> None:
    body = error_body("search_phase_execution_exception", "all shards failed")
    body["error"]["caused_by"] = {"reason": "outer", "caused_by": {"reason": "k must be positive"}}
    client = connect(OpenSearchConfig(url=serve({"/p/_search": (400, body)}).url))
    with pytest.raises(QueryError, match="all shards failed: outer: k must be positive"), guarded(client, QueryError):
        client.search(index="p", body={})
    client.close()


def assert_secret_kept(error: ClipItaError) -> None:
    words = str(error) + repr(error) + repr(error.__cause__)
    assert "s3cret" not in words
    assert base64.b64encode(f"anna:{SECRET}".encode()).decode() not in words
