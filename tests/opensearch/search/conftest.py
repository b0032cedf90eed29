"""The index that the search tests ask: 200 drawn products and some awkward ones, behind the alias `search-shop`."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.errors import ClusterVersionError
from clipita.opensearch.cluster.connection import bm25_boost, capabilities, connect
from clipita.opensearch.index.categories import publish
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle
from clipita.runtime.bundle import fingerprint_of

ALIAS = "search-shop"
LEAVES = [("Home", "Plates", "Round Plates"), ("Home", "Boards", "Cutting Boards"), ("Toys", "Kites", "Delta Kites")]
SCRIPT = "<script>document.title='taken'</script> plate"
AWKWARD: list[dict[str, Any]] = [
    {"product_id": "x-script", "title": html.escape(SCRIPT), "brand": "<b>Bold</b>"},
    {"product_id": "x-sold", "title": "sold much plate", "sales": 300, "in_stock": True, "gain": 0.4},
    {"product_id": "x-new", "title": "new plate", "sales": 0, "in_stock": False, "added": "2026-01-01", "gain": 0.9},
    {"product_id": "x-odd", "title": "odd date plate", "added": "last week", "stamp": 1_700_000_000_000},
    {"product_id": "x-markup", "title": "[red]kettle[/red] \x1b[31m :smile: ${style}", "price": 12.5},
    {"product_id": "x-url", "title": "remote kite", "price": 7.25},
    {"product_id": "x-untitled", "title": None, "attributes": {"colour": "red"}, "brand": "Acme"},
    *({"product_id": f"tie-{number}", "title": "identical twin", "brand": "Twin"} for number in (3, 1, 2, 5, 4)),
]
FEW = 100
"""Before 3.0 fewer candidates than this are looked at for a smaller k, and true neighbours are missed."""


@dataclass(frozen=True)
class Live:
    """The index as the tests see it, read with plain requests.

    Attributes:
        search: the search under test.
        client: to ask the node directly.
        documents: id to source.
        vectors: id to unit vector, [dim].
    """

    search: ProductSearch
    client: OpenSearch
    documents: dict[str, dict[str, Any]]
    vectors: dict[str, npt.NDArray[np.float64]]

    def bm25(self, text: str, fields: tuple[str, ...] = ("title",)) -> dict[str, float]:
        query = {"multi_match": {"query": text, "fields": list(fields), "boost": bm25_boost(self.client)}}
        return {hit["_id"]: hit["_score"] for hit in self._all(query)}

    def cosines(self, text: str) -> dict[str, float]:
        query = np.asarray(self.search.vector(text), dtype=np.float64)
        return {name: float(vector @ query) for name, vector in self.vectors.items()}

    def nearest(self, text: str, k: int, among: set[str] | None = None) -> dict[str, float]:
        if k < FEW and capabilities(self.client).version < (3, 0, 0):
            raise ClusterVersionError(f"The nearest {k} are found exactly from OpenSearch 3.0 on.")
        cosines = self.cosines(text)
        names = [name for name in cosines if among is None or name in among]
        return {name: cosines[name] for name in sorted(names, key=lambda name: -cosines[name])[:k]}

    def _all(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.client.search(index=ALIAS, body={"query": query, "size": 1000, "_source": False})
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits


@pytest.fixture(scope="session")
def search_client(node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=node.url))
    yield client
    client.close()


@pytest.fixture(scope="session")
def live(search_client: OpenSearch, shop: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Live:
    folder = tmp_path_factory.mktemp("awkward")
    awkward = folder / "awkward.jsonl"
    awkward.write_text("".join(json.dumps(row) + "\n" for row in AWKWARD), encoding="utf-8")
    bundle = Bundle.load(tiny_bundle)
    files = [CatalogueFile(shop / f"{name}.parquet") for name in ("train", "valid", "test")]
    config = IngestConfig(rejected=folder / "rejected.jsonl")
    report = Ingest(search_client, bundle, config, alias=ALIAS).run([*files, CatalogueFile(awkward)])
    publish(search_client, ALIAS, report.index, bundle, LEAVES)
    assert not report.left_out
    answer = search_client.search(index=ALIAS, body={"size": 1000, "query": {"match_all": {}}})
    sources = {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}
    vectors = {name: np.asarray(source["product_vector"], dtype=np.float64) for name, source in sources.items()}
    return Live(ProductSearch(search_client, ALIAS, bundle), search_client, sources, vectors)


@pytest.fixture
def other_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A valid bundle with another fingerprint: pictures are padded with another grey."""
    target = tmp_path / "other"
    shutil.copytree(tiny_bundle, target)
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["image"]["fill"] += 1
    manifest["fingerprint"] = fingerprint_of(manifest)
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target
