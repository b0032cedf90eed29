"""The running local node: what the commands and the connection say about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def clipita(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clipita.cli import main; main()", "opensearch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def home(node: NodeStatus) -> Path:
    return node.data.parent


@pytest.fixture
def client(node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=node.url))
    yield client
    client.indices.delete(index=INDEX, ignore=[404])
    client.close()


def test_second_start_reports_the_running_node(node: NodeStatus, home: Path) -> None:
    again = LocalNode(home).start()
    assert again.already_running
    assert (again.url, again.pid) == (node.url, node.pid)


def test_start_command_reports_it_and_says_what_it_ignores(node: NodeStatus, home: Path) -> None:
    result = clipita("start", "--home", str(home), "--heap", "2g", "--json")
    assert result.returncode == 0
    told = json.loads(result.stdout)
    assert (told["url"], told["pid"], told["already_running"]) == (node.url, node.pid, True)
    assert "heap of 512m" in result.stderr


def test_status_command(node: NodeStatus, home: Path) -> None:
    result = clipita("status", "--home", str(home), "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["url"] == node.url
    assert node.url in clipita("status", "--home", str(home)).stdout


def test_status_and_stop_of_a_folder_without_node(tmp_path: Path) -> None:
    status = clipita("status", "--home", str(tmp_path), "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout) == {"running": False, "url": None}
    stop = clipita("stop", "--home", str(tmp_path))
    assert stop.returncode == 0
    assert "No node runs" in stop.stdout


def test_logs_command(node: NodeStatus, home: Path) -> None:
    whole = clipita("logs", "--home", str(home), "-n", "100000").stdout
    assert "] started" in whole
    assert len(clipita("logs", "--home", str(home), "-n", "2").stdout.splitlines()) == 2


def test_logs_command_without_log(tmp_path: Path) -> None:
    result = clipita("logs", "--home", str(tmp_path))
    assert result.returncode == 1
    assert "There is no log" in result.stderr


def test_node_has_a_session_of_its_own(node: NodeStatus) -> None:
    assert os.getsid(node.pid) != os.getsid(0)


def test_connection_without_url_finds_the_node(node: NodeStatus, home: Path) -> None:
    client = connect(OpenSearchConfig(home=home))
    assert client.info()["version"]["number"] == node.version
    client.close()


def test_node_has_lucene_knn_only(client: OpenSearch) -> None:
    found = capabilities(client)
    assert found.version == (3, 6, 0)
    assert found.knn
    assert (found.neural_search, found.ml_commons, found.faiss, found.engine) == (False, False, False, "lucene")


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
    ("block", "hint"), [("read_only_allow_delete", "free some space"), ("write", "Lift the block")]
)
def test_blocked_index_is_told(client: OpenSearch, block: str, hint: str) -> None:
    client.indices.create(index=INDEX)
    client.indices.put_settings(index=INDEX, body={f"index.blocks.{block}": True})
    with pytest.raises(IndexReadOnlyError, match=hint), guarded(client):
        client.index(index=INDEX, id="1", body={})
