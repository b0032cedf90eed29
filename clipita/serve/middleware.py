"""What every request passes: id, key, limits, time, security headers, and errors as JSON."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipita.errors import RequestError
from clipita.serve.metrics import Metrics
from clipita.serve.problems import current_request, describe

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


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes:
        seconds: from its head to the end of its answer.
        in_flight: requests at a time; more get 503.
        body: bytes of a request by path; other paths take `other_body`.
        other_body: bytes.
    """

    seconds: float
    in_flight: int
    body: Mapping[str, int]
    other_body: int = 256 * 1024


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: what is inside.
        key: that `/v1/` and `/metrics` ask for; None lets everyone in.
        limits: of a request.
        metrics: where answers are counted.
        endpoints: paths that are counted under their own name; others count as `other`.
    """

    def __init__(
        self, app: ASGIApp, *, key: str | None, limits: Limits, metrics: Metrics, endpoints: frozenset[str]
    ) -> None:
        self._app = app
        self._key = None if key is None else _digest(key.encode())
        self._limits = limits
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
        current_request.set(request_id)
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            self._admit(scope, headers)
            body = _LimitedBody(receive, self._limits.body.get(scope["path"], self._limits.other_body))
            async with asyncio.timeout(self._limits.seconds):
                await self._app(scope, body, answer)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, and `describe` logs what it must
            await self._fail(answer, error, request_id)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            endpoint = scope["path"] if scope["path"] in self._endpoints else "other"
            # Without a status the caller went away before there was an answer.
            self._metrics.answered(endpoint, answer.status or 499, time.perf_counter() - started)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        path: str = scope["path"]
        if self._key is not None and path.startswith(PROTECTED):
            self._check_key(headers)
        if self._in_flight > self._limits.in_flight and path not in ("/healthz", "/readyz", "/metrics"):
            raise RequestError("The server is busy.", status=503, hint="Try again in a moment.")
        if len(scope["query_string"]) > MAX_QUERY_STRING:
            raise RequestError(
                "The address is too long.", status=414, hint="Send the search as JSON with POST instead."
            )
        length = headers.get(b"content-length", b"0")
        most = self._limits.body.get(path, self._limits.other_body)
        if length.isdigit() and int(length) > most:
            raise too_large(most)

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

    async def _fail(self, answer: _Answer, error: Exception, request_id: str) -> None:
        if answer.complete:
            return
        if answer.status is not None:
            # The head is out already: cutting the connection is the only way left to say that the answer is not whole.
            raise error
        problem = describe(error, request_id)
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        await answer({"type": "http.response.start", "status": problem.status, "headers": headers})
        await answer({"type": "http.response.body", "body": problem.body(request_id)})


class _Answer:
    """Sends on, with our headers; remembers the status."""

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
    """Receives on until the body is larger than allowed."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            raise too_large(self._most)
        return message


def too_large(most: int) -> RequestError:
    """The error for a body that is too large."""
    return RequestError("The request is too large.", status=413, hint=f"Send {most:,} bytes at most.")


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id where it is a plain word, else a new one."""
    for name in (b"x-opaque-id", b"x-request-id"):
        given = headers.get(name, b"").decode("latin-1")
        if _ID.fullmatch(given):
            return given
    return secrets.token_hex(8)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
