"""Slow, many and large bodies keep nobody else waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from clipita.errors import RequestError
from clipita.serve import bodies
from clipita.serve.bodies import PER_PEER, Bodies

if TYPE_CHECKING:
    from conftest import Launch, Server

HEAD = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{"


def connected(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def status(connection: socket.socket) -> str:
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(4096)[:12].decode()
    return "reset"


@pytest.mark.integration
def test_slow_bodies_keep_nobody_waiting(launch: Launch) -> None:
    server = launch()
    assert server("/v1/search?q=plate").status == 200
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(400)]
        for connection in slow:
            connection.sendall(HEAD)
        longest = 0.0
        for _ in range(20):
            for path, body in (("/healthz", None), ("/v1/search?q=plate", None), ("/v1/search", {"query": "plate"})):
                begun = time.monotonic()
                assert server(path, body).status == 200
                longest = max(longest, time.monotonic() - begun)
        assert longest < 1.0
        # All but the youngest are told so, and their connections end.
        assert {status(connection) for connection in slow[: -PER_PEER - 1]} == {"HTTP/1.1 408"}
        assert slow[0].recv(10) == b""


@pytest.mark.integration
def test_a_body_has_a_deadline_that_drops_do_not_move(launch: Launch) -> None:
    server = launch(CLIPITA_SERVE_BODY_TIMEOUT="1")
    with connected(server) as connection:
        connection.sendall(HEAD)
        connection.settimeout(0.2)
        begun, answer = time.monotonic(), b""
        while not answer and time.monotonic() < begun + 10:
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
            if not answer:
                connection.sendall(b" ")
        assert answer.startswith(b"HTTP/1.1 408")
        assert 0.8 < time.monotonic() - begun < 5
    # What comes at a usual pace is not cut off.
    answer_to_large = server("/v1/embed/product", {"products": [{"title": "plate", "image": "A" * 8_000_000}]})
    assert answer_to_large.status == 400
    assert "image" in answer_to_large.json["error"]


@pytest.mark.integration
def test_an_answer_that_nobody_takes_is_given_up(launch: Launch) -> None:
    server = launch(CLIPITA_SERVE_REQUEST_TIMEOUT="1")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect((host, int(port)))
        connection.sendall(
            b"GET /v1/search?category=Home&size=1000&thumbnails=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        time.sleep(6)
        taken, length = b"", 0
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                taken += part
        length = int(taken.partition(b"content-length: ")[2].partition(b"\r")[0])
        assert len(taken) < length


async def _of(*chunks: bytes) -> AsyncIterator[dict[str, Any]]:
    for chunk in chunks:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def test_all_bodies_together_have_a_limit_and_give_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 100)

    async def check() -> None:
        read = Bodies(5.0)
        assert await read.read(_of(b"a" * 40, b"b" * 20).__anext__, "peer", 1_000) == b"a" * 40 + b"b" * 20
        with pytest.raises(RequestError, match="busy"):
            await read.read(_of(b"a" * 41).__anext__, "other", 1_000)
        with pytest.raises(RequestError, match="too large"):
            await read.read(_of(b"a" * 31).__anext__, "other", 30)
        read.release(60)
        assert len(await read.read(_of(b"a" * 100).__anext__, "other", 1_000) or b"") == 100

    asyncio.run(check())
