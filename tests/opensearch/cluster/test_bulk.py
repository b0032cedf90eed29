"""The bulk writer reports each document once, however the cluster fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import IndexReadOnlyError
from clipita.opensearch.cluster.bulk import BulkWriter, Document
from clipita.opensearch.cluster.retry import Backoff

pytestmark = pytest.mark.integration

FAULTS = (  # see FaultyProxy in conftest.py
    "429", "503", "reset", "half answer", "some items", "null", "empty", "text", "list", "no items", "items null",
    "item null", "item empty", "item text", "item list", "result null", "result text", "two results", "no status",
    "status null", "status text", "error empty", "error with 201", "error list", "429 without error",
    "400 without error", "error without status", "500", "500 in words", "other id",
)  # fmt: skip


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


def test_document_that_always_fails_is_refused_and_holds_up_no_other(
    client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    """Every other document of each bulk gives an internal error, in all of its bulks."""
    _, through = proxied(1.0, faults=("500",))
    client.indices.create(index=f"{alias}-1", body={"aliases": {alias: {}}})
    reported: Counter[tuple[str, str | None]] = Counter()
    writer = BulkWriter(
        through, alias, lambda document, why: reported.update([(document.id, why)]), Backoff(first_wait=0.01), 10
    )
    writer.write([Document(str(number), b'{"n": 1}') for number in range(10)])
    assert {document for document, _ in reported} == {str(number) for number in range(10)}
    assert set(reported.values()) == {1}
    reasons = {why for _, why in reported}
    assert None in reasons
    assert reasons <= {None, "OpenSearch refused the document: of the node itself"}


def test_removed_documents_that_are_gone_already_are_no_errors(client: OpenSearch, alias: str) -> None:
    client.indices.create(index=f"{alias}-1", body={"aliases": {alias: {}}})
    reported: list[str | None] = []
    writer = BulkWriter(client, alias, lambda _, why: reported.append(why))
    writer.write([Document(str(number), b"", None, "delete") for number in range(3)])
    assert reported == [None] * 3


def test_full_disk_is_waited_for_and_told(client: OpenSearch, alias: str) -> None:
    """The flood-stage watermark of the disk sets this very block, and the cluster lifts it once there is room."""
    client.indices.create(index=f"{alias}-1", body={"aliases": {alias: {}}})
    blocked = {"index.blocks.read_only_allow_delete": True}
    client.indices.put_settings(index=f"{alias}-1", body=blocked)
    free = {"index.blocks.read_only_allow_delete": None}
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        if len(warnings) == 2:
            client.indices.put_settings(index=f"{alias}-1", body=free)

    reported: list[str | None] = []
    documents = [Document(str(number), b'{"n": 1}') for number in range(10)]
    BulkWriter(client, alias, lambda _, why: reported.append(why), Backoff(warn, first_wait=0.01)).write(documents)
    assert reported == [None] * 10
    assert all("a disk of its nodes is full" in text for text in warnings)
    client.indices.put_settings(index=f"{alias}-1", body=blocked)
    writer = BulkWriter(client, alias, lambda *_: None, Backoff(patience=0.1, first_wait=0.01))
    with pytest.raises(IndexReadOnlyError, match=r"A disk of .* is full: .*flood-stage.*Free some space"):
        writer.write(documents)
