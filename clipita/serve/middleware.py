"""What every request passes: id, key, limits, time limit, security headers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipita.errors import (
    RequestError,
)
from clipita.opensearch.cluster.tracing import opaque
from clipita.serve.bodies import Bodies, body_limit, has_body, replayed, too_large
from clipita.serve.errors import error_response
from clipita.serve.metrics import Metrics
from clipita.serve_config import ServeConfig

MAX_QUERY_STRING = 128 * 1024
PROTECTED = ("/v1/", "/metrics")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https: http:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
# Visible ASCII without quotes and backslashes: it ends up in headers and logs.
_ID = re.compile(r"[A-Za-z0-9._:/@+=-]{1,128}")

_PORT = re.compile(r":\d*$")

log = logging.getLogger("clipita.serve")


class Gate:
    """ASGI middleware around the whole application.

    Requests are counted by path; those to other paths than `endpoints` count as `other`.
    """

    def __init__(self, app: ASGIApp, config: ServeConfig, metrics: Metrics, endpoints: frozenset[str]) -> None:
        self._app = app
        self._key = None if config.api_key is None else _digest(config.api_key.encode())
        self._seconds = config.request_timeout
        self._max_requests = config.max_requests
        self._metrics = metrics
        self._endpoints = endpoints
        self._in_flight = 0
        self._bodies = Bodies(config.body_timeout)
        self._hosts = _allowed_hosts(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        scope["request_id"] = request_id
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        body: bytes | None = b""
        try:
            self._check(scope, headers)
            async with asyncio.timeout(self._seconds):
                if has_body(headers):
                    # Until its body is there, a request takes no other's place.
                    answer.closes = True
                    peer = (scope.get("client") or ("",))[0]
                    body = await self._bodies.read(receive, peer, body_limit(scope["path"]))
                    if body is None:
                        return
                    answer.closes = False
                    receive = replayed(body, receive)
                await self._answer(scope, receive, answer)
        except Exception as error:
            if answer.complete:
                return
            if answer.status is not None:
                # The head is sent already: only a cut connection can still say that the answer is incomplete.
                raise
            if isinstance(error, RequestError) and error.status == 413:
                # A caller that is still sending would not see the answer.
                answer.closes = False
            await error_response(error, request_id)(scope, receive, answer)
        finally:
            self._bodies.release(len(body or b""))
            self._metrics.in_flight.dec()
            endpoint = scope["path"] if scope["path"] in self._endpoints else "other"
            # Without a status the caller went away before there was an answer.
            self._metrics.requests.labels(endpoint, str(answer.status or 499)).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if self._in_flight >= self._max_requests and scope["path"] not in ("/healthz", "/readyz", "/metrics"):
            raise RequestError("The server is busy.", status=503, hint="Try again in a moment.")
        self._in_flight += 1
        try:
            # The cluster gets the id too, and writes it into its slow logs and tasks.
            with opaque(scope["request_id"]):
                await self._app(scope, receive, answer)
        finally:
            self._in_flight -= 1

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        path: str = scope["path"]
        if self._hosts and _host(headers) not in self._hosts:
            raise RequestError(
                "This server does not answer under the name of the Host header.",
                status=403,
                hint="Name it with --allowed-host, or require a key with --api-key-file.",
            )
        if self._key is not None and path.startswith(PROTECTED):
            self._check_key(headers)
        if len(scope["query_string"]) > MAX_QUERY_STRING:
            raise RequestError(
                "The address is too long.", status=414, hint="Send the search as JSON with POST instead."
            )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > body_limit(path):
            raise too_large(body_limit(path))

    def _check_key(self, headers: Mapping[bytes, bytes]) -> None:
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            given = given if scheme.lower() == b"bearer" else b""
        # Digests have one length, so that the comparison takes the same time for keys of any length.
        if not hmac.compare_digest(_digest(given.strip()), self._key or b""):
            raise RequestError(
                "The API key is missing or wrong.", status=401, hint="Send it as X-API-Key, or as a Bearer token."
            )


def _allowed_hosts(config: ServeConfig) -> frozenset[str]:
    """Names under which the server answers; empty where any will do.

    A page of another site may let its own name mean 127.0.0.1, and then read a local server as if it were its own
    (DNS rebinding). Browsers send that name as Host. A key keeps such a page out too.
    """
    hosts = {host.lower() for host in config.allowed_hosts}
    if hosts or (config.api_key is None and is_loopback(config.host)):
        own = f"[{config.host}]" if ":" in config.host else config.host
        hosts |= {"localhost", "127.0.0.1", "[::1]", own.lower()}
    return frozenset(hosts)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _host(headers: Mapping[bytes, bytes]) -> str:
    """The name in the Host header, without its port."""
    return _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower()).removesuffix(".")


class _Answer:
    """Adds our headers to an answer and remembers its status.

    Attributes:
        closes: whether the connection ends with the answer, because the rest of a body may still come.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode()
        self.status: int | None = None
        self.complete = False
        self.closes = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Any] = [*message.get("headers", ()), *SECURITY_HEADERS, (b"x-request-id", self._id)]
            if self.closes:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id if it consists of plain characters, else a new one."""
    for name in (b"x-opaque-id", b"x-request-id"):
        given = headers.get(name, b"").decode("latin-1")
        if _ID.fullmatch(given):
            return given
    return secrets.token_hex(8)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
