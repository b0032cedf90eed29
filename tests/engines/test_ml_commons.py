"""A text encoder inside a cluster with the ML Commons plugin, without any other network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from opensearchpy import OpenSearch

from clipita.exporters.ml_commons import write_package
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.ml_commons import register_model
from clipita.opensearch.local.install import cache_folder
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.local.releases import VERSION, default_plugins, find_release
from clipita.runtime import Bundle, TextEncoder

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PLUGINS = [*default_plugins(VERSION), "ml-commons"]
TEXTS = ["running shoes", "Round Plates", "Größe XL – naïve café", "Tom & Jerry"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """Skipped where it is not installed: 500 MB are too much to download for one test."""
    if not (cache_folder() / find_release(VERSION, PLUGINS).folder).is_dir():
        pytest.skip("clipita opensearch start --with ml-commons installs it")
    node = LocalNode(tmp_path_factory.mktemp("ml-commons"))
    client = connect(url=node.start(heap="1g", plugins=PLUGINS).url)
    yield client
    client.close()
    node.stop()


def test_a_text_encoder_gives_our_vectors(cluster: OpenSearch, bundle: Bundle, tmp_path: Path) -> None:
    package = write_package(bundle, tmp_path / "model.zip")
    model = register_model(cluster, package["zip"])
    body = {"text_docs": TEXTS, "return_number": True, "target_response": ["sentence_embedding"]}
    answer = cluster.transport.perform_request("POST", f"/_plugins/_ml/models/{model}/_predict", body=body)
    theirs = np.array([result["output"][0]["data"] for result in answer["inference_results"]])
    ours = TextEncoder(bundle).encode(TEXTS)
    cosines = (theirs * ours).sum(axis=1) / np.linalg.norm(theirs, axis=1) / np.linalg.norm(ours, axis=1)
    assert cosines.min() >= 0.9999
