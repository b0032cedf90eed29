"""Products that left the catalogue are removed, up to a limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import UsageError
from clipita.opensearch.ingest.outcomes import IngestReport

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]


def lines(numbers: range) -> bytes:
    rows = ({"product_id": f"{number}", "title": f"thing {number}", "price": number} for number in numbers)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_prune_removes_what_left_the_catalogue(ingest: Run, client: OpenSearch, alias: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(range(100)))
    ingest(file)
    file.write_bytes(lines(range(5, 100)))
    assert ingest(file).pruned == 0
    assert client.count(index=alias)["count"] == 100
    report = ingest(file, prune=True)
    assert (report.pruned, report.counts["unchanged"]) == (5, 95)
    assert client.count(index=alias)["count"] == 95
    assert not client.exists(index=alias, id="4")


def test_prune_stops_at_its_limit_and_goes_on_when_forced(
    ingest: Run, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(range(100)))
    ingest(file)
    file.write_bytes(lines(range(89)) + lines(range(200, 201)))
    with pytest.raises(UsageError, match=r"11 of 101 products .* \(11%\).*--prune --force"):
        ingest(file, prune=True)
    assert client.count(index=alias)["count"] == 101
    assert ingest(file, prune=True, force=True).pruned == 11
    assert client.count(index=alias)["count"] == 90


def test_prune_keeps_products_that_are_only_broken(ingest: Run, client: OpenSearch, alias: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(range(20)))
    ingest(file)
    broken: dict[str, Any] = {"product_id": "19", "title": "thing 19", "category_path": ["A", "", "B"]}
    file.write_bytes(lines(range(19)) + json.dumps(broken).encode())
    report = ingest(file, prune=True, force=True)
    assert (report.pruned, report.counts["rejected"]) == (0, 1)
    assert client.count(index=alias)["count"] == 20
