"""The back-off for a cluster that is busy (429, 503), away, or has no room: exponential, with jitter, bounded."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import opensearchpy

from clipita.errors import ClipItaError
from clipita.opensearch.cluster.errors import INTERNAL, address_of, is_full_disk, translate
from clipita.opensearch.dialect.opensearch import BLOCKS

Warn = Callable[[str], None]
T = TypeVar("T")

UNAVAILABLE = 503
RETRIABLE = frozenset({429, 500, 502, UNAVAILABLE, 504})
PATIENCE = 120.0
FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0


class Backoff:
    """Waits 0.5, 1, 2 … up to 15 seconds, each with jitter.

    It gives up `patience` seconds after the first failure in a row, or once `ended` is set. `warn` is called with every
    wait, in a sentence.
    """

    def __init__(
        self,
        warn: Warn | None = None,
        patience: float = PATIENCE,
        first_wait: float = FIRST_WAIT,
        ended: threading.Event | None = None,
    ) -> None:
        self._ended = ended or threading.Event()
        self._warn = warn
        self._first_wait = first_wait
        self._patience = patience
        self._failures = 0
        self._since = 0.0
        # Two ingests that were turned away together must not try again together.
        self._random = random.Random(os.getpid())

    def success(self) -> None:
        """Reset: the next failure is a first one again."""
        self._failures = 0

    def wait(self, cause: str) -> bool:
        """Sleep after a failure; False at once when the patience is exhausted."""
        now = time.monotonic()
        if self._failures == 0:
            self._since = now
        left = self._since + self._patience - now
        if left <= 0 or self._ended.is_set():
            return False
        longest = min(LONGEST_WAIT, self._first_wait * 2 ** min(self._failures, 10))
        self._failures += 1
        seconds = min(left, longest * self._random.uniform(0.5, 1.0))
        if self._warn is not None:
            self._warn(f"OpenSearch: {cause}; trying again in {seconds:.1f} s.")
        return not self._ended.wait(seconds)

    def call(self, client: opensearchpy.OpenSearch, request: Callable[[], T]) -> T:
        """Send a request that may safely be repeated, until the cluster is no longer busy.

        It ends in a ClusterError if the cluster refused the request, or stayed busy or away for too long.
        """
        while True:
            try:
                answer = request()
            except (opensearchpy.OpenSearchException, ClipItaError) as error:
                # The error of a guarded request is translated already.
                cause = error.__cause__ if isinstance(error, ClipItaError) else error
                known = isinstance(cause, opensearchpy.OpenSearchException)
                if known and is_retriable(cause) and self.wait(describe(cause)):
                    continue
                if isinstance(error, ClipItaError):
                    raise
                raise translate(error, address_of(client)) from error
            self.success()
            return answer


def is_retriable(error: BaseException | None) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, opensearchpy.SSLError | opensearchpy.AuthenticationException):
        return False
    # An incomplete answer; the connection was checked to lead to OpenSearch when it was made.
    if isinstance(error, opensearchpy.ConnectionError | opensearchpy.SerializationError):
        return True
    if not isinstance(error, opensearchpy.TransportError):
        return False
    # Of the blocks, the cluster lifts by itself that of a full disk, and one with 503 when it has recovered its state.
    blocked = error.error in BLOCKS and error.status_code != UNAVAILABLE
    return is_full_disk(error) or (error.status_code in RETRIABLE and not blocked)


def describe(error: BaseException | None) -> str:
    """An exception of the client in a few words."""
    if isinstance(error, opensearchpy.ConnectionTimeout):
        return "no answer in time"
    if isinstance(error, opensearchpy.ConnectionError):
        return "no connection"
    if isinstance(error, opensearchpy.SerializationError):
        return "an incomplete answer"
    if isinstance(error, Exception) and is_full_disk(error):
        return "a disk of its nodes is full"
    status = getattr(error, "status_code", "?")
    if status == INTERNAL:
        return f"an internal error (status {INTERNAL})"
    return f"busy (status {status})" if status in RETRIABLE else f"status {status}"
