"""Tracing of requests to the cluster: an opaque id, a log line and a span for each.

The id appears in the cluster's slow log, task list and audit log, so that a slow search can be traced to the run or
the web request that sent it. https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/logs/
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import opensearchpy
from opensearchpy import Urllib3HttpConnection

from clipita.logs import span

log = logging.getLogger("clipita.opensearch")

# One id per process, not per request: OpenSearch logs each deprecation once per id.
RUN = f"clipita-{secrets.token_hex(6)}"
HEADER = "x-opaque-id"
_current: ContextVar[str | None] = ContextVar("clipita_opaque_id", default=None)


def opaque_id() -> str:
    """The id that requests of this context carry."""
    return _current.get() or RUN


@contextmanager
def opaque(id_: str) -> Iterator[None]:
    """Requests in the body carry this id instead of the process's, for instance a web request's own.

    Characters other than letters, digits and `._:-` become `_`, and 64 characters are kept.
    """
    token = _current.set(re.sub(r"[^A-Za-z0-9._:-]", "_", id_)[:64] or None)
    try:
        yield
    finally:
        _current.reset(token)


class TracedConnection(Urllib3HttpConnection):  # type: ignore[misc]
    """opensearch-py's connection with id, log line and span."""

    def perform_request(self, method: str, url: str, *args: Any, headers: Any = None, **kwargs: Any) -> Any:
        """See opensearch-py."""
        with _watched(method, url) as marks:
            return super().perform_request(method, url, *args, headers={**(headers or {}), **marks}, **kwargs)


def traced_async(signed: bool) -> type:
    """The same for asyncio; the class is made in a function because aiohttp is an extra.

    Only one of opensearch-py's two classes can sign requests.
    """
    from opensearchpy import AIOHttpConnection, AsyncHttpConnection

    base: Any = AsyncHttpConnection if signed else AIOHttpConnection

    class TracedAsyncConnection(base):  # type: ignore[misc]
        async def perform_request(self, method: str, url: str, *args: Any, headers: Any = None, **kwargs: Any) -> Any:
            with _watched(method, url) as marks:
                return await super().perform_request(method, url, *args, headers={**(headers or {}), **marks}, **kwargs)

    return TracedAsyncConnection


@contextmanager
def _watched(method: str, url: str) -> Iterator[dict[str, str]]:
    id_, started = opaque_id(), time.perf_counter()
    path = url.partition("?")[0]
    outcome: str = "ok"
    attributes = {"http.request.method": method, "url.path": path, "clipita.opaque_id": id_}
    with span(f"opensearch {method}", attributes) if "opentelemetry.trace" in sys.modules else nullcontext():
        try:
            yield {HEADER: id_}
        except opensearchpy.TransportError as error:
            outcome = str(error.status_code)
            raise
        except (AttributeError, RecursionError) as error:
            # opensearch-py takes the body of an error for an object, of any depth.
            raise opensearchpy.SerializationError("the error is no JSON object that can be read") from error
        finally:
            log.debug(
                "request",
                extra={
                    "method": method,
                    "path": path,
                    "outcome": outcome,
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                    "opaque_id": id_,
                },
            )
