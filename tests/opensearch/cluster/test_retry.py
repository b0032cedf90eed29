"""The back-off while a cluster is busy or away, without a cluster."""

from __future__ import annotations

import time

import opensearchpy
import pytest

from clipita.opensearch.cluster.retry import Backoff, is_retriable


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


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (opensearchpy.ConnectionError("N/A", "refused", OSError()), True),
        (opensearchpy.ConnectionTimeout("TIMEOUT", "x", OSError()), True),
        (opensearchpy.SSLError("N/A", "certificate", OSError()), False),
        (opensearchpy.TransportError(429, "es_rejected_execution_exception", {}), True),
        (opensearchpy.TransportError(503, "unavailable", {}), True),
        (opensearchpy.TransportError(429, "cluster_block_exception", {}), False),
        (opensearchpy.RequestError(400, "mapper_parsing_exception", {}), False),
        (opensearchpy.AuthenticationException(401, "", {}), False),
        (opensearchpy.SerializationError("half"), True),
    ],
)
def test_what_is_worth_another_try(error: Exception, retriable: bool) -> None:
    assert is_retriable(error) is retriable
