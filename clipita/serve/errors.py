"""Errors as HTTP responses: status, message and hint."""

from __future__ import annotations

import logging

import opensearchpy
import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from clipita.errors import (
    CatalogueError,
    ClusterError,
    ClusterUnavailableError,
    ClusterVersionError,
    ConfigError,
    QueryError,
    RequestError,
    UsageError,
)

RETRY_AFTER = "2"
"""Seconds after which a caller may try again."""

log = logging.getLogger("clipita.serve")


def error_response(error: Exception, request_id: str) -> Response:
    """An error as an HTTP response with `{error, hint, request_id}`.

    What the caller cannot mend (the cluster, a bug) is logged in full and described in general words: the shop's
    internal addresses and names do not belong in an answer.
    """
    status, message, hint = _described(error, request_id)
    headers = {"cache-control": "no-store"}
    if status in (503, 504):
        headers["retry-after"] = RETRY_AFTER
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    body = orjson.dumps({"error": message, "hint": hint, "request_id": request_id})
    return Response(body, status, headers, "application/json")


def _described(error: Exception, request_id: str) -> tuple[int, str, str | None]:
    """Status, message and hint."""
    if isinstance(error, RequestError):
        return error.status, error.message, error.hint
    if isinstance(error, UsageError | CatalogueError) and not isinstance(error, ConfigError):
        return 400, error.message, error.hint
    if isinstance(error, HTTPException):
        return error.status_code, f"{error.detail}.", "The interface is described at /docs."
    if isinstance(error, TimeoutError):
        return 504, "The answer took too long.", "Try again, or ask for less."
    if isinstance(error, ClusterError):
        return _of_cluster(error, request_id)
    log.error("request %s failed", request_id, exc_info=error)
    return 500, "The server failed.", f"Its log tells more under request {request_id}."


def _of_cluster(error: ClusterError, request_id: str) -> tuple[int, str, str | None]:
    cause = error.__cause__
    refused = cause.status_code if isinstance(cause, opensearchpy.TransportError) else None
    if isinstance(error, QueryError) and refused == 400:
        return 400, error.message, error.hint
    if isinstance(error, ClusterVersionError) and cause is None:
        return 501, error.message, error.hint
    log.error("request %s: %s", request_id, error)
    if isinstance(cause, opensearchpy.ConnectionTimeout):
        return 504, "The search cluster did not answer in time.", "Try again."
    if isinstance(error, ClusterUnavailableError) or refused == 429:
        return 503, "The search cluster is not available.", "Try again in a moment."
    return 502, "The search cluster failed.", f"The server's log tells more under request {request_id}."
