"""`clipita doctor` says what is there, without changing anything."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest
from click.testing import CliRunner

from clipita.cli import group
from clipita.opensearch.local.node import NodeStatus


def findings(*arguments: str) -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(group, ["doctor", "--json", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return {finding["part"]: finding for finding in json.loads(result.stdout)["findings"]}


def test_an_empty_folder_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = findings()
    assert found["vectors"]["ok"] is True
    assert f"onnxruntime {onnxruntime.__version__}" in str(found["vectors"]["state"])
    assert "CPUExecutionProvider" in str(found["devices"]["state"])
    assert found["OpenSearch"]["ok"] is False
    assert "clipita opensearch start" in str(found["OpenSearch"]["leaves"])
    assert found["bundle"]["ok"] is False
    assert "clipita export-onnx" in str(found["bundle"]["leaves"])
    assert list(tmp_path.iterdir()) == []


def test_the_configured_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = tmp_path / "clipita.toml"
    settings.write_text(f'[export]\nbundle = "{tiny_bundle}"\n')
    assert "clip-ita, fp32, 32 dimensions" in str(findings("--config", str(settings))["bundle"]["state"])


def test_a_cluster_that_is_away() -> None:
    assert findings("--url", "http://127.0.0.1:9")["OpenSearch"]["ok"] is False


def test_a_table_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(group, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "OpenSearch" in result.stdout


@pytest.mark.integration
def test_a_real_node_names_its_plugins(node: NodeStatus) -> None:
    found = findings("--url", str(node.url))["OpenSearch"]
    assert found["ok"] is True
    assert "opensearch-knn" in str(found["state"])
    assert "without: faiss engine" in str(found["leaves"])
