"""The bulk writer reports each document once, however the cluster fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.opensearch.cluster.bulk import BulkWriter, Document
from clipita.opensearch.cluster.retry import Backoff

pytestmark = pytest.mark.integration

FAULTS = ("429", "503", "reset", "half answer", "some items")  # see FaultyProxy in conftest.py


@pytest.mark.parametrize("fault", FAULTS)
def test_writer_reports_every_document_once_through_each_fault(
    client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]], fault: str
) -> None:
    proxy, through = proxied(0.4, seed=3, faults=(fault,))
    client.indices.create(index=f"{alias}-1", body={"aliases": {alias: {}}})
    reported: Counter[tuple[str, str | None]] = Counter()
    writer = BulkWriter(
        through, alias, lambda document, why: reported.update([(document.id, why)]), Backoff(first_wait=0.01), 7
    )
    writer.write([Document(str(number), b'{"n": %d}' % number) for number in range(100)])
    assert proxy.spoilt[fault] >= 3
    assert reported == Counter({(str(number), None): 1 for number in range(100)})
    client.indices.refresh(index=alias)
    assert client.count(index=alias)["count"] == 100


def test_bulks_shrink_while_the_cluster_is_busy_and_grow_again(
    client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    _, through = proxied(0.3, seed=5, faults=("429",))
    client.indices.create(index=f"{alias}-1", body={"aliases": {alias: {}}})
    limits: list[int] = []
    writer = BulkWriter(through, alias, lambda *_: limits.append(writer.limit), Backoff(first_wait=0.01), 32)
    writer.write([Document(str(number), b'{"n": 1}') for number in range(400)])
    assert min(limits) <= 8
    assert max(limits[limits.index(min(limits)) :]) == 32
