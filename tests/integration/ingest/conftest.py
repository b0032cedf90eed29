"""An alias of its own for every test, and one call that runs an ingest into it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.readers import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster import connect
from clipita.opensearch.ingest import Ingest
from clipita.opensearch.local import NodeStatus
from clipita.opensearch.outcomes import IngestReport
from clipita.runtime import Bundle

Run = Callable[..., IngestReport]


@pytest.fixture(scope="session")
def client(node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=node.url))
    yield client
    client.close()


@pytest.fixture
def alias(client: OpenSearch) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:10]}"
    yield name
    client.indices.delete(index=f"{name}*", ignore=[404])


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture
def settings(tmp_path: Path) -> IngestConfig:
    return IngestConfig(batch_size=16, bulk_documents=20, patience=20.0, rejected=tmp_path / "rejected.jsonl")


@pytest.fixture
def ingest(client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str) -> Run:
    def run(files: Path | Sequence[Path], **options: Any) -> IngestReport:
        paths = [files] if isinstance(files, Path) else files
        chosen = replace(settings, **options.pop("config", {}))
        options = {"alias": alias, **options}
        used = options.pop("client", client), options.pop("bundle", bundle)
        return Ingest(*used, chosen, **options).run([CatalogueFile(path) for path in paths])

    return run


@pytest.fixture
def documents(client: OpenSearch) -> Callable[[str], dict[str, dict[str, Any]]]:
    """Every document of an index by id, as it is stored, vectors included."""

    def read(index: str) -> dict[str, dict[str, Any]]:
        client.indices.refresh(index=index)
        answer = client.search(index=index, body={"size": 10_000, "query": {"match_all": {}}})
        assert answer["hits"]["total"]["value"] == len(answer["hits"]["hits"])
        return {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}

    return read
