"""Reading stored documents while the shard that holds them is away, on the real node."""

import threading
import uuid
from collections.abc import Iterator

import opensearchpy
import pytest

from clipita.errors import ClusterError, ClusterUnavailableError
from clipita.opensearch.retry import Backoff
from clipita.opensearch.stored import get_documents

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
    remarks: list[str] = []
    back = threading.Timer(1.0, allocate, (client, away))
    back.start()
    found = get_documents(client, away, DOCS, Backoff(remarks.append))
    back.join()
    assert [doc["found"] for doc in found] == [False, False]
    assert remarks


def test_a_shard_that_stays_away_is_an_error_and_not_an_absent_document(
    client: opensearchpy.OpenSearch, away: str
) -> None:
    with pytest.raises(ClusterUnavailableError):
        get_documents(client, away, DOCS, Backoff(patience=0.5))


def test_an_index_that_is_gone_is_not_waited_for(client: opensearchpy.OpenSearch) -> None:
    remarks: list[str] = []
    with pytest.raises(ClusterError):
        get_documents(client, f"gone-{uuid.uuid4().hex[:8]}", DOCS, Backoff(remarks.append))
    assert not remarks


def test_asking_for_nothing_asks_nobody() -> None:
    assert get_documents(opensearchpy.OpenSearch(["http://127.0.0.1:9"]), "products", [], Backoff()) == []
