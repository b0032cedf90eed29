"""What went wrong, as an HTTP status and a JSON body `{error, hint, request_id}`."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass

import opensearchpy
import orjson
from starlette.exceptions import HTTPException

from clipita.errors import (
    CatalogueError,
    ClipItaError,
    ClusterError,
    ClusterUnavailableError,
    ClusterVersionError,
    QueryError,
    RequestError,
    UsageError,
)

RETRY_AFTER = 2
"""Seconds after which a caller may try again."""

current_request: ContextVar[str] = ContextVar("current_request", default="")
"""Id of the request that runs in this context; the cluster gets it as X-Opaque-Id."""

log = logging.getLogger("clipita.serve")


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that says why there is no other.

    Attributes:
        status: of HTTP.
        error: what was wrong, in one sentence.
        hint: what to do about it.
        retry_after: seconds, or None where trying again changes nothing.
    """

    status: int
    error: str
    hint: str | None = None
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers

    def body(self, request_id: str) -> bytes:
        """As JSON."""
        return orjson.dumps({"error": self.error, "hint": self.hint, "request_id": request_id})


def describe(error: Exception, request_id: str) -> Problem:
    """The answer to an error.

    What the caller cannot mend (the cluster, a bug) is logged in full and told in general words only: addresses and
    names of the shop's inside do not belong in an answer.
    """
    if isinstance(error, RequestError):
        retry_after = RETRY_AFTER if error.status == 503 else None
        return Problem(error.status, error.message, error.hint, retry_after)
    if isinstance(error, UsageError | CatalogueError):
        return Problem(400, error.message, error.hint)
    if isinstance(error, HTTPException):
        return Problem(error.status_code, f"{error.detail}.", "The interface is described at /docs.")
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return Problem(504, "The answer took too long.", "Try again, or ask for less.", RETRY_AFTER)
    if isinstance(error, ClusterError):
        return _of_cluster(error, request_id)
    log.error("request %s failed", request_id, exc_info=error)
    message = error.message if isinstance(error, ClipItaError) else "The server failed."
    return Problem(500, message, f"Its log tells more under request {request_id}.")


def _of_cluster(error: ClusterError, request_id: str) -> Problem:
    cause = error.__cause__
    refused = cause.status_code if isinstance(cause, opensearchpy.TransportError) else None
    if isinstance(error, QueryError) and refused == 400:
        return Problem(400, error.message, error.hint)
    if isinstance(error, ClusterVersionError):
        return Problem(501, error.message, error.hint)
    log.error("request %s: %s", request_id, error)
    if isinstance(cause, opensearchpy.ConnectionTimeout):
        return Problem(504, "The search cluster did not answer in time.", "Try again.", RETRY_AFTER)
    if isinstance(error, ClusterUnavailableError) or refused == 429:
        return Problem(503, "The search cluster is not available.", "Try again in a moment.", RETRY_AFTER)
    return Problem(502, "The search cluster failed.", f"The server's log tells more under request {request_id}.")
