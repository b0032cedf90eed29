"""The category tree's counts where paths hold the same names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.catalogue.reader import CatalogueFile
from clipita.config import FieldsConfig, IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect, connect_async
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import Outcome
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle
from clipita.serve import storefront as shops
from clipita.serve.storefront import Shop

if TYPE_CHECKING:
    from conftest import Launch

COUNTS = {("Bags", "Wallets"): 3, ("Wallets", "Bags"): 2, ("Bags",): 1, ("Bags", "Bags"): 4, ("Wallets", "Belts"): 1}


@pytest.mark.integration
def test_order_and_number_of_names_count(
    node: NodeStatus, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than one round of reading.
    monkeypatch.setattr(shops, "NODES_AT_ONCE", 2)
    paths = [path for path, count in COUNTS.items() for _ in range(count)]
    file = tmp_path / "bags.jsonl"
    rows = [{"product_id": f"p{n}", "title": "bag", "category_path": list(path)} for n, path in enumerate(paths)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    connection = OpenSearchConfig(url=node.url)
    client, bundle = connect(connection), Bundle.load(tiny_bundle)
    ingest = Ingest(client, bundle, IngestConfig(rejected=tmp_path / "rejected.jsonl"), alias="serve-order")
    report = ingest.run([CatalogueFile(file)])
    categories.publish(client, "serve-order", report.index, bundle, ingest.paths)
    search = ProductSearch(client, "serve-order")

    async def read() -> dict[str, Any]:
        asynchronous = connect_async(connection)
        try:
            return await Shop(asynchronous, search).categories()
        finally:
            await asynchronous.close()

    pending = list(asyncio.run(read())["categories"])
    counted: dict[tuple[str, ...], int] = {}
    while pending:
        entry = pending.pop()
        counted[tuple(entry["path"])] = entry["count"]
        pending += entry["children"]
    # Each with what stands below it; the model's own categories have no product here.
    assert {path: count for path, count in counted.items() if count} == {
        **COUNTS,
        ("Bags",): 1 + 4 + 3,
        ("Wallets",): 2 + 1,
    }
    client.close()


@pytest.mark.integration
def test_a_product_in_two_categories_is_on_both_pages_and_counted_once_above(
    node: NodeStatus, tiny_bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "magento.csv"
    file.write_text(
        "product_id,title,category_path,brand\n"
        'h1,Wool hoodie,"Shop/Men/Hoodies,Shop/Eco,Shop",Acme\n'
        "h2,Fleece hoodie,Shop/Men/Hoodies,Acme\n"
        't1,Eco tee,"Shop/Men/Tees,Shop/Eco",Globex\n'
        "t2,Plain tee,Shop/Men/Tees,Globex\n"
    )
    connection = OpenSearchConfig(url=node.url)
    client, bundle = connect(connection), Bundle.load(tiny_bundle)
    ingest = Ingest(client, bundle, IngestConfig(rejected=tmp_path / "rejected.jsonl"), alias="serve-paths")
    catalogue = CatalogueFile(file, FieldsConfig(category_separator="/", path_separator=","))
    report = ingest.run([catalogue])
    categories.publish(client, "serve-paths", report.index, bundle, ingest.paths)
    # What one path is in the index is so still: a second run finds nothing to do.
    again = Ingest(client, bundle, IngestConfig(rejected=tmp_path / "rejected.jsonl"), alias="serve-paths")
    assert again.run([catalogue]).counts[Outcome.UNCHANGED] == 4
    search = ProductSearch(client, "serve-paths")
    pages = {
        name: search(category=name, facets=["brand", "category_path"], size=10)
        for name in ("Shop", "Shop > Men", "Shop > Men > Hoodies", "Shop > Men > Tees", "Shop > Eco")
    }
    assert {name: {hit.id for hit in page.hits} for name, page in pages.items()} == {
        "Shop": {"h1", "h2", "t1", "t2"},
        "Shop > Men": {"h1", "h2", "t1", "t2"},
        "Shop > Men > Hoodies": {"h1", "h2"},
        "Shop > Men > Tees": {"t1", "t2"},
        "Shop > Eco": {"h1", "t1"},
    }
    assert all(page.total == len(page.hits) for page in pages.values())
    for page in pages.values():
        assert sum(one.count for one in page.facets["brand"]) == page.total
    names = {one.value: one.count for one in pages["Shop"].facets["category_path"]}
    assert names == {"Shop": 4, "Men": 4, "Hoodies": 2, "Tees": 2, "Eco": 2}
    hits = {hit.id: hit for hit in pages["Shop"].hits}
    assert hits["h1"].category_path == ("Shop", "Men", "Hoodies")
    assert hits["h1"].category_paths == (("Shop", "Men", "Hoodies"), ("Shop", "Eco"))
    assert hits["h2"].category_paths == (("Shop", "Men", "Hoodies"),)
    assert (hits["h1"].source["category_path"], hits["h2"].source["category_path"]) == (
        [["Shop", "Men", "Hoodies"], ["Shop", "Eco"]],
        ["Shop", "Men", "Hoodies"],
    )

    async def read() -> dict[str, Any]:
        asynchronous = connect_async(connection)
        try:
            return await Shop(asynchronous, search).categories()
        finally:
            await asynchronous.close()

    (shop,) = [entry for entry in asyncio.run(read())["categories"] if entry["name"] == "Shop"]
    assert shop["count"] == 4
    assert {entry["name"]: entry["count"] for entry in shop["children"]} == {"Men": 4, "Eco": 2}
    # A copy of the index has the same categories, read from the documents.
    source = IndexSource(client, "serve-paths", FieldsConfig(attributes=()))
    assert {item.product.id: item.product.category_paths for item in source.items(lambda _: None)} == {
        product.id: product.category_paths for product in catalogue.products()
    }
    client.close()


@pytest.mark.integration
def test_names_with_brackets_are_offered_and_filter(
    launch: Launch, node: NodeStatus, tiny_bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "names.jsonl"
    rows = [
        {"product_id": f"n{n}", "title": "plate", "attributes": {"Width [mm]": f"w{n}", "a > b": "x"}, "Depth [cm]": n}
        for n in range(3)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    client = connect(OpenSearchConfig(url=node.url))
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl")
    Ingest(client, Bundle.load(tiny_bundle), config, alias="serve-names").run([CatalogueFile(file)])
    client.close()
    server = launch("--index", "serve-names")
    about = server("/v1/index")
    assert about.status == 200, about.body
    assert [entry["name"] for entry in about.json["facets"]] == ["Width [mm]"]
    assert [entry["name"] for entry in about.json["ranges"]] == ["Depth [cm]"]
    query = "/v1/search?q=plate&mode=lexical"
    page = server(f"{query}&facet=Width [mm]&facet=a > b&filter[Width [mm]]=w1").json
    assert [hit["id"] for hit in page["hits"]] == ["n1"]
    assert [one["count"] for one in page["facets"]["Width [mm]"]] == [1, 1, 1]
    assert [one["value"] for one in page["facets"]["a > b"]] == ["x"]
    assert [hit["id"] for hit in server(f"{query}&filter[Depth [cm]][gte]=2").json["hits"]] == ["n2"]
    assert "no condition" in server(f"{query}&filter[Depth [cm]][most]=2").json["error"]
