"""The category tree's counts where paths hold the same names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import connect, connect_async
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle
from clipita.serve import storefront as shops
from clipita.serve.storefront import Shop

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
