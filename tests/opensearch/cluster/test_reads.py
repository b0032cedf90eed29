"""Reading stored documents while the shard that holds them is away, on the real node."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import opensearchpy
import pytest

from clipita.catalogue.ids import IdTable
from clipita.errors import ClusterError, ClusterUnavailableError
from clipita.opensearch.cluster.reads import all_shards, get_documents, value_at
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.ingest.index_source import IndexSource, scan
from clipita.opensearch.ingest.prune import prune
from clipita.opensearch.quality.live import measure_recall

DOCS = [{"_id": "there"}, {"_id": "absent"}]


@pytest.fixture
def away(client: opensearchpy.OpenSearch) -> Iterator[str]:
    """An index whose only shard has no node yet."""
    name = f"away-{uuid.uuid4().hex[:8]}"
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "routing.allocation.enable": "none"}
    client.indices.create(index=name, body={"settings": {"index": settings}}, wait_for_active_shards=0)
    yield name
    client.indices.delete(index=name)


def allocate(client: opensearchpy.OpenSearch, name: str) -> None:
    client.indices.put_settings(index=name, body={"index.routing.allocation.enable": "all"})


def test_each_document_is_there_or_not(client: opensearchpy.OpenSearch, away: str) -> None:
    allocate(client, away)
    client.index(index=away, id="there", body={"title": "Kurta", "price": 3})
    found = get_documents(client, away, DOCS, Backoff(), _source_includes="title")
    assert [(doc["_id"], doc["found"]) for doc in found] == [("there", True), ("absent", False)]
    assert found[0]["_source"] == {"title": "Kurta"}


def test_a_shard_that_is_away_is_waited_for(client: opensearchpy.OpenSearch, away: str) -> None:
    warnings: list[str] = []
    back = threading.Timer(1.0, allocate, (client, away))
    back.start()
    found = get_documents(client, away, DOCS, Backoff(warnings.append))
    back.join()
    assert [doc["found"] for doc in found] == [False, False]
    assert warnings


def test_a_shard_that_stays_away_is_an_error_and_not_an_absent_document(
    client: opensearchpy.OpenSearch, away: str
) -> None:
    with pytest.raises(ClusterUnavailableError):
        get_documents(client, away, DOCS, Backoff(patience=0.5))


def test_an_index_that_is_gone_is_not_waited_for(client: opensearchpy.OpenSearch) -> None:
    warnings: list[str] = []
    with pytest.raises(ClusterError):
        get_documents(client, f"gone-{uuid.uuid4().hex[:8]}", DOCS, Backoff(warnings.append))
    assert not warnings


def test_asking_for_nothing_asks_nobody() -> None:
    assert get_documents(opensearchpy.OpenSearch(["http://127.0.0.1:9"]), "products", [], Backoff()) == []


@pytest.fixture
def half(client: opensearchpy.OpenSearch) -> Iterator[str]:
    """An index of two shards, of which only one has a node and some documents."""
    name = f"half-{uuid.uuid4().hex[:8]}"
    shards = {"number_of_shards": 2, "number_of_replicas": 0, "routing.allocation.total_shards_per_node": 1}
    client.indices.create(index=name, body={"settings": {"index": shards}}, wait_for_active_shards=0)
    client.cluster.health(index=name, wait_for_active_shards=1)
    lines = "".join(f'{{"index": {{"_id": "{number}"}}}}\n{{"title": "a {number}"}}\n' for number in range(10))
    # By hand: the client takes `timeout` for its own.
    client.transport.perform_request("POST", f"/{name}/_bulk?refresh=true&timeout=100ms", body=lines)
    yield name
    client.indices.delete(index=name)


def complete(client: opensearchpy.OpenSearch, name: str) -> None:
    client.indices.put_settings(index=name, body={"index.routing.allocation.total_shards_per_node": -1})


def test_an_answer_without_all_shards_is_none(client: opensearchpy.OpenSearch, half: str) -> None:
    partial = client.count(index=half)
    # Status 200, and what the other shard holds looks as if it had never been there.
    assert 0 < partial["count"] < 10
    with pytest.raises(opensearchpy.TransportError) as caught:
        all_shards(partial)
    assert caught.value.status_code == 503
    with pytest.raises(opensearchpy.TransportError):
        all_shards(client.search(index=half))
    with pytest.raises(opensearchpy.TransportError):
        all_shards({"timed_out": True, "_shards": {"failed": 0, "successful": 2}})


def test_a_scan_waits_for_every_shard(client: opensearchpy.OpenSearch, half: str) -> None:
    there = client.count(index=half)["count"]
    warnings: list[str] = []

    def give_a_node(warning: str) -> None:
        if not warnings:
            complete(client, half)
        warnings.append(warning)

    source = IndexSource(client, half, backoff=Backoff(give_a_node, first_wait=0.1))
    seen = [item.product.id for item in source.items(lambda _: None)]
    assert warnings
    assert len(seen) == len(set(seen)) == there
    assert len(source.last_seq_nos()) == 2


@pytest.mark.parametrize("what", ["count", "changes", "sequence numbers", "scan", "prune"])
def test_a_shard_that_stays_away_makes_nothing_smaller(client: opensearchpy.OpenSearch, half: str, what: str) -> None:
    backoff = Backoff(patience=0.3, first_wait=0.05)
    source = IndexSource(client, half, backoff=backoff)
    requests = {
        "count": lambda: source.total,
        "changes": lambda: list(source.changed_since((0,))),
        "sequence numbers": source.last_seq_nos,
        "scan": lambda: list(scan(client, half, {"match_all": {}}, backoff, False)),
        "prune": lambda: prune(client, half, IdTable(), backoff, limit=1.0),
    }
    with pytest.raises(ClusterError):
        requests[what]()


def test_recall_is_not_measured_on_half_an_index(client: opensearchpy.OpenSearch, half: str) -> None:
    with pytest.raises(ClusterError):
        measure_recall(client, half, [("boards", [1.0])], 5)


def test_a_document_that_needs_a_routing_value_is_not_waited_for(client: opensearchpy.OpenSearch) -> None:
    name = f"routed-{uuid.uuid4().hex[:8]}"
    client.indices.create(index=name, body={"mappings": {"_routing": {"required": True}}})
    warnings: list[str] = []
    try:
        with pytest.raises(ClusterError, match="routing"):
            get_documents(client, name, [{"_id": "1"}], Backoff(warnings.append))
    finally:
        client.indices.delete(index=name)
    assert not warnings


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"a": 1}, "a", 1),
        ({"a": {"b": 2}}, "a.b", 2),
        ({"a.b": 3}, "a.b", 3),
        ({"a": [{"b": 1}, {"c": 2}, {"b": 3}]}, "a.b", [1, 3]),
        ({"a": 1}, "a.b", None),
        ({}, "a.b", None),
    ],
)
def test_value_at(document: dict[str, Any], path: str, value: Any) -> None:
    assert value_at(document, path) == value
