"""Counting products and waiting for a cluster, without one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import opensearchpy
import pytest

from clipita.catalogue.product import Rejection
from clipita.errors import UsageError
from clipita.opensearch.cluster.retry import Backoff, is_retriable
from clipita.opensearch.ingest.outcomes import Ledger, Outcome


def test_ledger_counts_each_outcome_and_writes_the_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    with Ledger(file) as ledger:
        for _ in range(5):
            ledger.see()
        for outcome in (Outcome.WRITTEN, Outcome.WRITTEN, Outcome.UNCHANGED):
            ledger.count(outcome)
        ledger.leave_out(Rejection("a.csv", 7, "x", "the id is missing: sku is empty"))
        ledger.leave_out(Rejection("a.csv", 8, None, "OpenSearch refused the document: no"), Outcome.FAILED)
        ledger.check()
    assert ledger.counts == {"written": 2, "updated": 0, "unchanged": 1, "rejected": 1, "failed": 1}
    assert ledger.reasons == {"the id is missing": 1, "OpenSearch refused the document": 1}
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first == {"file": "a.csv", "row": 7, "id": "x", "reason": "the id is missing: sku is empty",
                     "outcome": "rejected"}  # fmt: skip
    assert (second["row"], second["outcome"]) == (8, "failed")


def test_product_without_outcome_is_a_defect(tmp_path: Path) -> None:
    with Ledger(tmp_path / "rejected.jsonl") as ledger:
        ledger.see()
        with pytest.raises(RuntimeError, match="1 products were read, but 0 have an outcome"):
            ledger.check()


def test_old_list_of_rejects_goes_away_when_all_is_well(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    file.write_text("of yesterday")
    with Ledger(file):
        pass
    assert not file.exists()


def test_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Name another with --rejected"):
        Ledger(tmp_path / "nowhere" / "rejected.jsonl")


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
