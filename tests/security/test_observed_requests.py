"""Logs and opaque ids, as an operator sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.tracing import opaque
from clipita.opensearch.local.node import NodeStatus


def clipita(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clipita.cli", *words]
    environ = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environ)


@pytest.mark.integration
def test_json_logs_hold_one_object_a_request_and_no_secret(proxy: Any, tmp_path: Path) -> None:
    config = proxy.config()
    done = clipita(
        "--log-format", "json", "--log-level", "debug", "search", "shoes", "--index", "products-absent", "--debug",
        folder=tmp_path, CLIPITA_OPENSEARCH_URL=config.url, CLIPITA_OPENSEARCH_USERNAME=config.username,
        CLIPITA_OPENSEARCH_PASSWORD=config.password, CLIPITA_OPENSEARCH_CA_CERTS=str(config.ca_certs),
        CLIPITA_OPENSEARCH_CLIENT_CERT=str(config.client_cert), CLIPITA_OPENSEARCH_CLIENT_KEY=str(config.client_key),
    )  # fmt: skip
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {(entry["method"], entry["path"]) for entry in logged} >= {("GET", "/")}, done.stderr
    assert len({entry["opaque_id"] for entry in logged}) == 1
    assert "Traceback" in done.stderr
    assert config.password not in done.stderr + done.stdout
    import base64

    assert base64.b64encode(f"{config.username}:{config.password}".encode()).decode() not in done.stderr + done.stdout


@pytest.mark.integration
def test_the_opaque_id_stands_in_the_slow_log(own_node: NodeStatus) -> None:
    client = connect(OpenSearchConfig(url=own_node.url))
    settings = {"index.search.slowlog.threshold.query.warn": "0ms"}
    client.indices.create(index="slow-log-test", body={"settings": settings})
    try:
        with opaque("page-4711"):
            client.search(index="slow-log-test", body={"query": {"match_all": {}}})
        assert "id[page-4711]" in Path(own_node.log_file).read_text(encoding="utf-8")
    finally:
        client.indices.delete(index="slow-log-test")
        client.close()
