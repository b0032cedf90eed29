"""Sending a package to a cluster: what is checked before, and a cluster that cannot run models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipita.config import OpenSearchConfig
from clipita.errors import ClusterVersionError, UsageError
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
