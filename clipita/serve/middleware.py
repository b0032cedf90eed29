"""What every request passes: id, key, limits, time limit, security headers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipita.errors import (
    RequestError,
)
from clipita.opensearch.cluster.tracing import opaque
from clipita.serve.embedding import MAX_BODY
from clipita.serve.errors import error_response
from clipita.serve.metrics import Metrics
from clipita.serve_config import ServeConfig

MAX_QUERY_STRING = 128 * 1024
BODY_LIMITS = {"/v1/embed/product": MAX_BODY}
OTHER_BODY_LIMIT = 256 * 1024
"""Bytes of a request's body, by path and elsewhere."""
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
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            self._admit(scope, headers)
            # The cluster gets the id too, and writes it into its slow logs and tasks.
            with opaque(request_id):
                async with asyncio.timeout(self._seconds):
                    await self._app(scope, _LimitedBody(receive, _body_limit(scope["path"])), answer)
        except Exception as error:
            if answer.complete:
                return
            if answer.status is not None:
                # The head is sent already: only a cut connection can still say that the answer is incomplete.
                raise
            await error_response(error, request_id)(scope, receive, answer)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            endpoint = scope["path"] if scope["path"] in self._endpoints else "other"
            # Without a status the caller went away before there was an answer.
            self._metrics.requests.labels(endpoint, str(answer.status or 499)).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        path: str = scope["path"]
        if self._key is not None and path.startswith(PROTECTED):
            self._check_key(headers)
        if self._in_flight > self._max_requests and path not in ("/healthz", "/readyz", "/metrics"):
            raise RequestError("The server is busy.", status=503, hint="Try again in a moment.")
        if len(scope["query_string"]) > MAX_QUERY_STRING:
            raise RequestError(
                "The address is too long.", status=414, hint="Send the search as JSON with POST instead."
            )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > _body_limit(path):
            raise _too_large(_body_limit(path))

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


class _Answer:
    """Adds our headers to an answer and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode()
        self.status: int | None = None
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Any] = [*message.get("headers", ()), *SECURITY_HEADERS, (b"x-request-id", self._id)]
            message = {**message, "headers": headers}
        await self._send(message)
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)


class _LimitedBody:
    """Refuses a body that turns out larger than allowed."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            raise _too_large(self._most)
        return message


def _body_limit(path: str) -> int:
    return BODY_LIMITS.get(path, OTHER_BODY_LIMIT)


def _too_large(most: int) -> RequestError:
    return RequestError("The request is too large.", status=413, hint=f"Send {most:,} bytes at most.")


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id if it consists of plain characters, else a new one."""
    for name in (b"x-opaque-id", b"x-request-id"):
        given = headers.get(name, b"").decode("latin-1")
        if _ID.fullmatch(given):
            return given
    return secrets.token_hex(8)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
