"""The running local node, and what a connection to it can do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig
from clipita.errors import IndexMissingError, IndexReadOnlyError, QueryError
from clipita.opensearch.cluster.connection import capabilities, connect
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.local.node import LocalNode, NodeStatus

pytestmark = pytest.mark.integration

INDEX = "local-node-test"


@pytest.fixture
def home(own_node: NodeStatus) -> Path:
    return own_node.data.parent


@pytest.fixture
def client(own_node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=own_node.url))
    yield client
    client.indices.delete(index=INDEX, ignore=[404])
    client.close()


def test_second_start_reports_the_running_node(own_node: NodeStatus, home: Path) -> None:
    again = LocalNode(home).start()
    assert again.already_running
    assert (again.url, again.pid) == (own_node.url, own_node.pid)


def test_node_has_a_session_of_its_own(own_node: NodeStatus) -> None:
    assert os.getsid(own_node.pid) != os.getsid(0)


def test_connection_without_url_finds_the_node(own_node: NodeStatus, home: Path) -> None:
    client = connect(OpenSearchConfig(home=home))
    assert client.info()["version"]["number"] == own_node.version
    client.close()


def test_node_has_lucene_knn_and_neural_search(client: OpenSearch) -> None:
    found = capabilities(client)
    assert found.version == (3, 6, 0)
    assert found.knn
    assert (found.neural_search, found.ml_commons, found.faiss, found.engine) == (True, False, False, "lucene")


def test_knn_search_works(client: OpenSearch) -> None:
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    mapping = {"properties": {"v": {"type": "knn_vector", "dimension": 2, "method": method}}}
    client.indices.create(index=INDEX, body={"settings": {"index.knn": True}, "mappings": mapping})
    for name, vector in {"east": [1.0, 0.0], "north": [0.0, 1.0]}.items():
        client.index(index=INDEX, id=name, body={"v": vector}, refresh=True)
    found = client.search(index=INDEX, body={"query": {"knn": {"v": {"vector": [0.6, 0.8], "k": 2}}}})
    scores = {hit["_id"]: hit["_score"] for hit in found["hits"]["hits"]}
    assert scores == pytest.approx({"north": 1.8, "east": 1.6})


def test_real_errors_become_ours(client: OpenSearch) -> None:
    with pytest.raises(IndexMissingError, match="no such index"), guarded(client, QueryError):
        client.search(index="absent", body={})
    client.indices.create(index=INDEX)
    with pytest.raises(QueryError, match="unknown query"), guarded(client, QueryError):
        client.search(index=INDEX, body={"query": {"no_such_query": {}}})


@pytest.mark.parametrize(
    ("block", "hint"), [("read_only_allow_delete", "Free some space"), ("write", "Lift the block")]
)
def test_blocked_index_is_told(client: OpenSearch, block: str, hint: str) -> None:
    client.indices.create(index=INDEX)
    client.indices.put_settings(index=INDEX, body={f"index.blocks.{block}": True})
    with pytest.raises(IndexReadOnlyError, match=hint), guarded(client):
        client.index(index=INDEX, id="1", body={})
