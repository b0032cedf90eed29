"""Category vectors: written by `clipita ingest`, moved with the index, looked up without a model."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryTree
from clipita.catalogue.reader import CatalogueFile
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.errors import ClusterError, UsageError
from clipita.opensearch import AsyncProductSearch, ProductSearch, SearchPage
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.index.categories import Categories, CategoryVector, category_id, publish
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle, TextEncoder

ALIAS = "search-tree"


@pytest.mark.integration
def test_ingest_writes_every_node_of_the_tree(
    search_client: OpenSearch, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = ["ingest", str(shop / "test.parquet"), "--index", ALIAS, "--url", node.url, "--model", str(tiny_bundle)]
    assert run_guarded(group, arguments) == 0
    assert "11 categories have their vectors in search-tree-categories." in capsys.readouterr().err
    tree = CategoryTree(product.category_path for product in CatalogueFile(shop / "test.parquet").products())
    search = ProductSearch(search_client, ALIAS)
    assert {entry.path for entry in search.categories} == {category.path for category in tree.categories}
    encoder = TextEncoder(Bundle.load(tiny_bundle))
    for entry in search.categories:
        np.testing.assert_allclose(entry.vector, encoder.encode([entry.name])[0], atol=1e-6)
    # Any backend finds them by plain HTTP, by the path as the id.
    with urlopen(f"{node.url}/{ALIAS}-categories/_doc/{quote('Home > Plates > Round Plates', safe='')}") as answer:
        found = json.load(answer)["_source"]
    assert (found["name"], found["level"], found["parent"]) == ("Round Plates", 3, "Home > Plates")
    assert len(found["vector"]) == Bundle.load(tiny_bundle).dim

    assert run_guarded(group, [*arguments, "--new-index"]) == 0
    behind = search_client.indices.get_alias(name=ALIAS)
    assert set(search_client.indices.get_alias(name=f"{ALIAS}-categories")) == {f"{next(iter(behind))}-categories"}
    assert search(category="Round Plates").hits
    assert search.index.name == next(iter(behind))


@pytest.mark.integration
def test_a_category_is_never_compared_with_another_models_products(
    search_client: OpenSearch, shop: Path, tiny_bundle: Path, other_bundle: Path, tmp_path: Path
) -> None:
    """The search holds the old model's vector when the alias moves; its page must come from the new one's."""
    alias, files = "search-moved-tree", [CatalogueFile(shop / "test.parquet")]
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl")

    def ingest(bundle: Bundle, new_index: bool) -> str:
        name = Ingest(search_client, bundle, config, alias=alias, new_index=new_index).run(files).index
        publish(search_client, alias, name, bundle, [])
        return name

    ingest(Bundle.load(tiny_bundle), new_index=False)
    search = ProductSearch(search_client, alias)
    waiting = AsyncProductSearch(search, OpenSearchConfig(url=address_of(search_client)))
    before = search(category="Plates")
    second = ingest(Bundle.load(other_bundle), new_index=True)
    # Vectors that no model of the first index made: a page that used its own would score differently.
    entry = {"path": ["Home", "Plates"], "name": "Plates", "id": "x", "vector": [1.0] + [0.0] * 31}
    search_client.index(index=f"{second}-categories", id="Home > Plates", body=entry, refresh=True)
    page = search(category="Plates")
    fresh = ProductSearch(search_client, alias)(category="Plates")
    assert [(hit.id, hit.score) for hit in page.hits] == [(hit.id, hit.score) for hit in fresh.hits]
    assert [(hit.id, hit.score) for hit in page.hits] != [(hit.id, hit.score) for hit in before.hits]
    assert search.index.name == second

    async def ask() -> SearchPage:
        try:
            return await waiting(category="Plates")
        finally:
            await waiting.client.close()

    search.index = dataclasses.replace(search.index, name="gone", meta={"fingerprint": "old"})
    assert asyncio.run(ask()).hits == fresh.hits


@pytest.mark.integration
def test_an_index_of_somebody_else_is_left_alone(search_client: OpenSearch, tiny_bundle: Path) -> None:
    search_client.indices.create(index="search-foreign-categories")
    with pytest.raises(ClusterError, match="not an alias that clipita made"):
        publish(search_client, "search-foreign", "search-foreign-1", Bundle.load(tiny_bundle), [("A", "B")])


@pytest.mark.integration
def test_an_index_without_categories_says_how_to_get_them(
    search_client: OpenSearch, shop: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl")
    Ingest(search_client, Bundle.load(tiny_bundle), config, alias="search-bare").run(
        [CatalogueFile(shop / "test.parquet")]
    )
    with pytest.raises(UsageError, match=r"has no category vectors\. Write them with: clipita ingest"):
        ProductSearch(search_client, "search-bare")(category="Plates")


def test_names_stand_for_their_uppermost_node() -> None:
    deep, top = CategoryVector(("Men", "Shoes", "Casual"), (1.0,)), CategoryVector(("Casual",), (1.0,))
    categories = Categories([deep, top])
    assert categories.find("casual") is top
    assert categories.find("men > shoes > CASUAL") is deep
    assert categories.find(("Men", "Shoes", "Casual")) is deep
    assert categories.find(("Shoes", "Casual")) is None
    assert len(categories) == 2


def test_an_id_is_never_longer_than_the_cluster_takes() -> None:
    assert category_id(("A", "B")) == "A > B"
    long = category_id(("ä" * 200, "b" * 200))
    assert len(long.encode()) == 64
    assert long != category_id(("ä" * 200, "b" * 201))
