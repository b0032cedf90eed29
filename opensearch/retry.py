"""Waiting for a cluster that is busy or away for a moment: exponential back-off with jitter, bounded."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import opensearchpy

from clipita.opensearch.cluster import address_of, translate

Remark = Callable[[str], None]
T = TypeVar("T")

RETRIABLE = frozenset({429, 502, 503, 504})
ATTEMPTS = 9
FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0


class Backoff:
    """Waits 0.5, 1, 2 … up to 15 seconds, each with jitter; after eight waits in a row (about a minute) it gives up.

    Args:
        remark: is told of every wait.
        first_wait: seconds.
        attempts: tries in a row without success before giving up.
    """

    def __init__(self, remark: Remark | None = None, first_wait: float = FIRST_WAIT, attempts: int = ATTEMPTS) -> None:
        self._remark = remark
        self._first_wait = first_wait
        self._attempts = attempts
        self._failures = 0
        # Two ingests that were turned away together must not come back together.
        self._random = random.Random(os.getpid())

    def success(self) -> None:
        """The cluster took something: the next failure is a first one again."""
        self._failures = 0

    def wait(self, cause: str) -> bool:
        """Sleep after a failure.

        Returns:
            False at once when there were too many failures in a row.
        """
        self._failures += 1
        if self._failures >= self._attempts:
            return False
        longest = min(LONGEST_WAIT, self._first_wait * 2 ** (self._failures - 1))
        seconds = longest * self._random.uniform(0.5, 1.0)
        if self._remark is not None:
            self._remark(f"OpenSearch: {cause}; trying again in {seconds:.1f} s.")
        time.sleep(seconds)
        return True

    def call(self, client: opensearchpy.OpenSearch, request: Callable[[], T]) -> T:
        """Send a request that may safely be sent twice, again and again while the cluster is busy.

        Raises:
            ClusterError: the cluster refused it, or stayed busy or away for too long.
        """
        while True:
            try:
                answer = request()
            except opensearchpy.OpenSearchException as error:
                if not is_retriable(error) or not self.wait(describe(error)):
                    raise translate(error, address_of(client)) from error
                continue
            self.success()
            return answer


def is_retriable(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, opensearchpy.SSLError | opensearchpy.AuthenticationException):
        return False
    if isinstance(error, opensearchpy.ConnectionError):
        return True
    return (
        isinstance(error, opensearchpy.TransportError) and error.status_code in RETRIABLE and not is_block(error.error)
    )


def is_block(error_type: Any) -> bool:
    """Whether an error's type is a block on the index, which no waiting lifts; one for a full disk has status 429."""
    return bool(error_type == "cluster_block_exception")


def describe(error: Exception) -> str:
    """An exception of the client in a few words."""
    if isinstance(error, opensearchpy.ConnectionTimeout):
        return "no answer in time"
    if isinstance(error, opensearchpy.ConnectionError):
        return "no connection"
    status = getattr(error, "status_code", "?")
    return f"busy (status {status})" if status in RETRIABLE else f"status {status}"
