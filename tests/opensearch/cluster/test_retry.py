"""The back-off while a cluster is busy or away, without a cluster."""

from __future__ import annotations

import time
from typing import cast

import opensearchpy
import pytest

from clipita.errors import IndexReadOnlyError
from clipita.opensearch.cluster.errors import guarded, translate
from clipita.opensearch.cluster.retry import Backoff, describe, is_retriable


def test_backoff_doubles_its_waits_until_its_patience_ends() -> None:
    warnings: list[str] = []
    backoff = Backoff(warnings.append, patience=0.5, first_wait=0.02)
    started = time.monotonic()
    while backoff.wait("busy (status 429)"):
        pass
    assert 0.5 <= time.monotonic() - started < 1.5
    waits = [float(warning.split("again in ")[1].split()[0]) for warning in warnings]
    assert 4 <= len(waits) <= 8
    assert all("busy (status 429)" in warning for warning in warnings)


def test_success_makes_the_next_failure_a_first_one() -> None:
    backoff = Backoff(patience=0.05, first_wait=0.03)
    for _ in range(4):
        assert backoff.wait("no connection")
        backoff.success()


def blocked(status: int, kind: str, reason: str) -> Exception:
    error = opensearchpy.AuthorizationException if status == 403 else opensearchpy.TransportError
    failure: Exception = error(status, kind, {"error": {"type": kind, "reason": reason}, "status": status})
    return failure


@pytest.mark.parametrize(
    "error",
    [
        blocked(429, "cluster_block_exception", "disk usage exceeded flood-stage watermark"),
        blocked(403, "index_create_block_exception", "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)]"),
    ],
)
def test_full_disk_is_not_a_missing_right(error: Exception) -> None:
    told = translate(error, "http://node")
    assert isinstance(told, IndexReadOnlyError)
    assert "A disk of http://node is full" in told.message
    assert describe(error) == "a disk of its nodes is full"


def test_guarded_request_is_repeated_too() -> None:
    answers = [opensearchpy.TransportError(503, "unavailable", {}), opensearchpy.SerializationError("half")]

    def request() -> int:
        with guarded("http://node"):
            if answers:
                raise answers.pop()
        return 7

    assert Backoff(first_wait=0.01).call(cast("opensearchpy.OpenSearch", None), request) == 7


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (opensearchpy.ConnectionError("N/A", "refused", OSError()), True),
        (opensearchpy.ConnectionTimeout("TIMEOUT", "x", OSError()), True),
        (opensearchpy.SSLError("N/A", "certificate", OSError()), False),
        (opensearchpy.TransportError(429, "es_rejected_execution_exception", {}), True),
        (opensearchpy.TransportError(503, "unavailable", {}), True),
        (opensearchpy.TransportError(500, "null_pointer_exception", {}), True),
        (opensearchpy.TransportError(503, "cluster_block_exception", {}), True),
        (opensearchpy.TransportError(429, "cluster_block_exception", {}), False),
        (opensearchpy.AuthorizationException(403, "cluster_block_exception", {}), False),
        (opensearchpy.AuthorizationException(403, "security_exception", {}), False),
        (blocked(429, "cluster_block_exception", "[x] disk usage exceeded flood-stage watermark"), True),
        (blocked(403, "cluster_block_exception", "[FORBIDDEN/12/index read-only / allow delete (api)]"), True),
        (blocked(403, "index_create_block_exception", "[FORBIDDEN/10/cluster create-index blocked (api)]"), True),
        (blocked(500, "i_o_exception", "No space left on device"), True),
        (opensearchpy.RequestError(400, "mapper_parsing_exception", {}), False),
        (opensearchpy.AuthenticationException(401, "", {}), False),
        (opensearchpy.SerializationError("half"), True),
    ],
)
def test_what_is_worth_another_try(error: Exception, retriable: bool) -> None:
    assert is_retriable(error) is retriable
