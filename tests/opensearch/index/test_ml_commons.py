"""Sending a package to a cluster: what is checked before, and a cluster that cannot run models."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clipita.config import OpenSearchConfig
from clipita.errors import ClusterError, ClusterVersionError, UsageError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.ml_commons import _registration, register_model
from clipita.opensearch.local.node import NodeStatus


@pytest.fixture
def package(tmp_path: Path) -> Path:
    file = tmp_path / "model.zip"
    file.write_bytes(b"12345")
    (tmp_path / "model.register.json").write_text(json.dumps({"model_content_size_in_bytes": 5, "total_chunks": 1}))
    return file


def test_a_package_without_its_registration(package: Path) -> None:
    package.with_suffix(".register.json").unlink()
    with pytest.raises(UsageError, match=r"register\.json is missing") as caught:
        _registration(package)
    assert "--ml-commons" in str(caught.value.hint)


def test_a_registration_without_its_package(package: Path) -> None:
    package.unlink()
    with pytest.raises(UsageError, match=r"model\.zip is missing"):
        _registration(package)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_content_size_in_bytes": "many"}'])
def test_a_registration_that_is_none(package: Path, content: str) -> None:
    package.with_suffix(".register.json").write_text(content)
    with pytest.raises(UsageError, match="is not a registration"):
        _registration(package)


def test_another_export_s_registration(package: Path) -> None:
    package.write_bytes(b"123456")
    with pytest.raises(UsageError, match="says 5"):
        _registration(package)


@pytest.mark.integration
def test_a_cluster_without_the_plugin_says_what_remains(package: Path, node: NodeStatus) -> None:
    with pytest.raises(ClusterVersionError, match="no ML Commons plugin") as caught:
        register_model(connect(OpenSearchConfig(url=node.url)), package)
    assert "clipita search" in str(caught.value.hint)


Answers = dict[str, tuple[int, Any]]


@pytest.fixture
def cluster() -> Iterator[Callable[[Answers], tuple[str, list[str]]]]:
    """A stand-in for a cluster with ML Commons, which the local node lacks: it answers as OpenSearch 3.6.0 did."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> tuple[str, list[str]]:
        asked: list[str] = []
        version = {"number": "3.6.0", "distribution": "opensearch", "build_type": "zip"}
        known: Answers = {
            "GET /": (200, {"version": version}),
            "GET /_cat/plugins": (200, [{"component": "opensearch-ml"}]),
            **answers,
        }

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def reply(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = f"{self.command} {self.path.partition('?')[0]}"
                asked.append(request)
                status, content = known[request]
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = reply  # noqa: N815 - http.server's names

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_refused_upload_names_the_request_that_allows_it(package: Path, cluster: Any) -> None:
    reason = (
        "To upload custom model from local file, user needs to enable allow_registering_model_via_local_file settings. "
        "Otherwise please use opensearch pre-trained models."
    )
    url, _ = cluster({"POST /_plugins/_ml/models/_register_meta": (400, {"error": {"reason": reason}, "status": 400})})
    with pytest.raises(ClusterError, match="refuses models from a local file") as caught:
        register_model(connect(url=url), package)
    assert "PUT _cluster/settings" in str(caught.value.hint)


def test_a_failed_deploy_says_how_to_deploy_again_without_an_upload(package: Path, cluster: Any) -> None:
    url, asked = cluster(
        {
            "POST /_plugins/_ml/models/_register_meta": (200, {"model_id": "m1"}),
            "POST /_plugins/_ml/models/m1/upload_chunk/0": (200, {"status": "Uploaded"}),
            "POST /_plugins/_ml/models/m1/_deploy": (200, {"task_id": "t1"}),
            "GET /_plugins/_ml/tasks/t1": (200, {"state": "FAILED", "error": "no native library"}),
        }
    )
    with pytest.raises(ClusterError, match="no native library") as caught:
        register_model(connect(url=url), package)
    assert f"register-model {package} --model-id m1" in str(caught.value.hint)
    asked.clear()
    with pytest.raises(ClusterError, match="no native library"):
        register_model(connect(url=url), package, model_id="m1")
    assert not [request for request in asked if "upload" in request or "register" in request]
