"""A catalogue into the real node: what is there afterwards, and what a second run does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.runtime import Bundle, ProductEncoder
from clipita.runtime.stream import CANDIDATES

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]
HASHES = ("content_hash", "document_hash", "fingerprint")


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def test_all_products_of_all_files_arrive(
    ingest: Run, documents: Documents, shop: Path, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    files = [shop / f"{split}.parquet" for split in ("train", "valid", "test")]
    report = ingest(files, progress=lambda done, total: seen.append((done, total)))
    assert counted(report) == {"written": 200}
    assert (report.encoded, report.finished, report.replaced) == (200, True, None)
    stored = documents(alias)
    assert set(stored) == {f"p{number:04d}" for number in range(200)}
    assert all(all(len(source["clipita"][name]) == 64 for name in HASHES) for source in stored.values())
    assert seen[0] == (0, 200)
    assert seen[-1] == (200, 200)
    assert not (tmp_path / "rejected.jsonl").exists()
    assert list(client.indices.get_alias(name=alias)) == [report.index]
    index_settings = client.indices.get_settings(index=report.index)[report.index]["settings"]["index"]
    assert "refresh_interval" not in index_settings


def test_products_are_searchable_at_once_without_a_refresh(
    ingest: Run, catalogue: Path, client: OpenSearch, alias: str
) -> None:
    ingest(catalogue)
    assert client.count(index=alias)["count"] == 40


def test_vectors_are_the_encoders(
    ingest: Run, documents: Documents, catalogue: Path, bundle: Bundle, alias: str
) -> None:
    ingest(catalogue)
    encoder = ProductEncoder(bundle)
    stored = documents(alias)
    for product in CatalogueFile(catalogue).products():
        expected = encoder.encode([encoder.prepare(product)])[0]
        # Other companions in the batch change a float's last bits, not more.
        np.testing.assert_allclose(stored[product.id]["product_vector"], expected, atol=1e-5)


def test_extra_columns_survive_with_their_types(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    table = pq.read_table(catalogue)
    table = table.append_column("stock", pa.array(range(40), pa.int32()))
    table = table.append_column("price_net", pa.array([80] + [80.99] * 39, pa.float64()))
    table = table.append_column("tags", pa.array([["new", "sale"]] * 40))
    table = table.append_column("seller", pa.array([{"name": "Ann", "rating": 4.5}] * 40))
    pq.write_table(table, catalogue)
    ingest(catalogue)
    row = next(row for row in table.to_pylist() if row["product_id"] == "p0007")
    stored = client.get(index=alias, id="p0007")["_source"]
    for name in ("stock", "price_net", "tags", "seller", "brand", "price"):
        assert stored[name] == row[name]
    for query, count in (
        ({"range": {"stock": {"lt": 10}}}, 10),
        ({"range": {"price_net": {"gt": 80.5}}}, 39),
        ({"term": {"tags": "sale"}}, 40),
        ({"term": {"seller.name": "Ann"}}, 40),
        ({"term": {"brand": row["brand"]}}, pc.sum(pc.equal(table["brand"], row["brand"])).as_py()),
    ):
        assert client.count(index=alias, body={"query": query})["count"] == count


def test_batch_size_0_is_measured_on_the_first_products(ingest: Run, tmp_path: Path) -> None:
    count = CANDIDATES[-1] + 20
    file = tmp_path / "many.jsonl"
    rows: list[dict[str, Any]] = [{"product_id": f"{number}", "title": f"thing {number}"} for number in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert counted(ingest(file, config={"batch_size": 0, "bulk_documents": 500})) == {"written": count}
    assert counted(ingest(file, config={"batch_size": 0, "bulk_documents": 500})) == {"unchanged": count}


def test_report_adds_up(ingest: Run, catalogue: Path, bundle: Bundle, alias: str) -> None:
    report = ingest(catalogue)
    assert (report.alias, report.fingerprint, report.products, report.left_out) == (alias, bundle.fingerprint, 40, 0)
    assert report.rate == pytest.approx(40 / report.seconds)
    assert dataclasses.asdict(report)["reasons"] == {}
