"""A catalogue into the real node: what is there afterwards, and what a second run does."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ClusterError, FieldMappingError, FingerprintError
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.runtime import Bundle, ProductEncoder
from clipita.runtime.bundle import MANIFEST, fingerprint_of
from clipita.runtime.stream import CANDIDATES

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]
HASHES = ("content_hash", "document_hash", "fingerprint")


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def changed(source: Path, target: Path, change: Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]]) -> Path:
    """A copy of a Parquet catalogue with other rows."""
    table = pq.read_table(source)
    pq.write_table(pa.Table.from_pylist(list(change(table.to_pylist())), schema=table.schema), target)
    return target


@pytest.fixture
def catalogue(shop: Path, tmp_path: Path) -> Path:
    """The first 40 products, in a file that a test may overwrite."""
    file = tmp_path / "catalogue.parquet"
    pq.write_table(pq.read_table(shop / "train.parquet").slice(0, 40), file)
    return file


@pytest.fixture
def other_bundle(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """The same graphs with pictures padded in white: another model, as every vector depends on the padding."""
    folder = tmp_path / "other"
    shutil.copytree(tiny_bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["image"]["fill"] = 255
    manifest["fingerprint"] = fingerprint_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Bundle.load(folder)


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


def test_second_run_encodes_and_writes_nothing(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    ingest(catalogue)
    before = client.search(index=alias, body={"size": 100, "seq_no_primary_term": True, "_source": False})
    report = ingest(catalogue)
    assert counted(report) == {"unchanged": 40}
    assert report.encoded == 0
    after = client.search(index=alias, body={"size": 100, "seq_no_primary_term": True, "_source": False})
    sequence = [{hit["_id"]: hit["_seq_no"] for hit in answer["hits"]["hits"]} for answer in (before, after)]
    assert sequence[0] == sequence[1]


def test_price_change_keeps_the_vector(ingest: Run, documents: Documents, catalogue: Path, alias: str) -> None:
    ingest(catalogue)
    before = documents(alias)

    def dearer(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [rows[0] | {"price": 1234.5}, *rows[1:]]

    report = ingest(changed(catalogue, catalogue, dearer))
    assert counted(report) == {"updated": 1, "unchanged": 39}
    assert report.encoded == 0
    after = documents(alias)
    first = next(id_ for id_ in after if after[id_]["price"] == 1234.5)
    assert after[first]["product_vector"] == before[first]["product_vector"]
    assert after[first]["clipita"]["content_hash"] == before[first]["clipita"]["content_hash"]
    assert after[first]["clipita"]["thumbnail"] == before[first]["clipita"]["thumbnail"]
    assert {id_: source for id_, source in after.items() if id_ != first} == {
        id_: source for id_, source in before.items() if id_ != first
    }


@pytest.mark.parametrize(
    "change",
    [
        {"title": "a wholly other thing"},
        {"attributes": [("colour", "ultraviolet")]},
        {"image": None},
    ],
)
def test_change_of_what_the_vector_is_made_of_encodes_again(
    ingest: Run, documents: Documents, catalogue: Path, alias: str, change: dict[str, Any]
) -> None:
    ingest(catalogue)
    before = documents(alias)
    report = ingest(changed(catalogue, catalogue, lambda rows: [rows[0] | change, *rows[1:]]))
    assert counted(report) == {"written": 1, "unchanged": 39}
    assert report.encoded == 1
    after = documents(alias)
    assert [id_ for id_ in after if after[id_]["product_vector"] != before[id_]["product_vector"]] == ["p0000"]


def test_new_products_are_added(ingest: Run, shop: Path, catalogue: Path) -> None:
    ingest(catalogue)
    report = ingest(shop / "train.parquet")
    assert counted(report) == {"written": 80, "unchanged": 40}


def test_one_id_in_two_files_is_written_once_and_told(ingest: Run, catalogue: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.parquet"
    pq.write_table(pq.read_table(catalogue).slice(0, 3), twin)
    report = ingest([catalogue, twin])
    assert counted(report) == {"written": 40, "rejected": 3}
    told = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [(line["file"], line["row"], line["id"]) for line in told] == [
        (str(twin), row, f"p000{row - 1}") for row in (1, 2, 3)
    ]
    assert all(str(catalogue) in line["reason"] for line in told)


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


@pytest.mark.parametrize("name", ["clipita", "product_vector", "attributes_text", "clipita.fingerprint"])
def test_column_with_a_name_of_ours_is_refused_before_anything_is_made(
    ingest: Run, catalogue: Path, client: OpenSearch, alias: str, name: str
) -> None:
    pq.write_table(pq.read_table(catalogue).append_column(name, pa.array(["x"] * 40)), catalogue)
    with pytest.raises(FieldMappingError, match=f"column '{name}'.*Rename it"):
        ingest(catalogue)
    assert not client.indices.exists(index=f"{alias}*", allow_no_indices=False)


def test_late_key_with_a_name_of_ours_rejects_its_product(ingest: Run, tmp_path: Path) -> None:
    file = tmp_path / "late.jsonl"
    rows: list[dict[str, Any]] = [{"product_id": f"{number}", "title": f"thing {number}"} for number in range(1100)]
    rows[-1]["clipita"] = {"mine": True}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = ingest(file, config={"bulk_documents": 500, "batch_size": 64})
    assert counted(report) == {"written": 1099, "rejected": 1}
    told = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert (told["row"], told["id"]) == (1100, "1099")
    assert "a name that clipita writes itself: clipita" in told["reason"]


def test_batch_size_0_is_measured_on_the_first_products(ingest: Run, tmp_path: Path) -> None:
    count = CANDIDATES[-1] + 20
    file = tmp_path / "many.jsonl"
    rows: list[dict[str, Any]] = [{"product_id": f"{number}", "title": f"thing {number}"} for number in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert counted(ingest(file, config={"batch_size": 0, "bulk_documents": 500})) == {"written": count}
    assert counted(ingest(file, config={"batch_size": 0, "bulk_documents": 500})) == {"unchanged": count}


def test_other_models_index_is_refused_with_the_way_out(
    ingest: Run, documents: Documents, catalogue: Path, alias: str, other_bundle: Bundle
) -> None:
    ingest(catalogue)
    before = documents(alias)
    with pytest.raises(FingerprintError, match=f"clipita ingest --index {alias} --new-index"):
        ingest(catalogue, bundle=other_bundle)
    assert documents(alias) == before


def test_new_index_is_built_beside_and_takes_the_alias(
    ingest: Run, documents: Documents, catalogue: Path, client: OpenSearch, alias: str, other_bundle: Bundle
) -> None:
    first = ingest(catalogue)
    old = documents(first.index)
    second = ingest(catalogue, bundle=other_bundle, new_index=True)
    assert counted(second) == {"written": 40}
    assert second.replaced == first.index
    assert second.index == f"{alias}-{other_bundle.fingerprint[:8]}-1"
    assert list(client.indices.get_alias(name=alias)) == [second.index]
    assert documents(first.index) == old
    assert counted(ingest(catalogue, bundle=other_bundle)) == {"unchanged": 40}


def test_new_index_of_the_same_model_gets_the_next_number(
    ingest: Run, catalogue: Path, bundle: Bundle, alias: str
) -> None:
    first = ingest(catalogue)
    second = ingest(catalogue, new_index=True)
    assert [first.index, second.index] == [f"{alias}-{bundle.fingerprint[:8]}-{number}" for number in (1, 2)]


def test_new_index_stays_out_of_sight_until_it_is_whole(
    ingest: Run, catalogue: Path, client: OpenSearch, alias: str
) -> None:
    first = ingest(catalogue)
    behind: list[list[str]] = []
    ingest(catalogue, new_index=True, progress=lambda *_: behind.append(list(client.indices.get_alias(name=alias))))
    assert behind
    assert all(names == [first.index] for names in behind)


def test_foreign_index_is_left_alone(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    client.index(index=alias, id="theirs", body={"name": "x"}, refresh=True)
    with pytest.raises(ClusterError, match=f"{alias} was not made by clipita.*stays as it is.*--in-place"):
        ingest(catalogue)
    assert client.count(index=alias)["count"] == 1


def test_alias_of_a_foreign_index_is_left_alone(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    client.indices.create(index=f"{alias}-theirs", body={"aliases": {alias: {}}})
    with pytest.raises(ClusterError, match="was not made by clipita"):
        ingest(catalogue)
    assert client.count(index=alias)["count"] == 0


def test_thumbnails_can_be_left_out(ingest: Run, documents: Documents, catalogue: Path, alias: str) -> None:
    ingest(catalogue, config={"thumbnails": False})
    assert not any("thumbnail" in source["clipita"] for source in documents(alias).values())
    report = ingest(catalogue, config={"thumbnails": True})
    assert counted(report) == {"updated": 40}
    assert report.encoded == 0
    assert all("thumbnail" in source["clipita"] for source in documents(alias).values())


def test_report_adds_up(ingest: Run, catalogue: Path, bundle: Bundle, alias: str) -> None:
    report = ingest(catalogue)
    assert (report.alias, report.fingerprint, report.products, report.left_out) == (alias, bundle.fingerprint, 40, 0)
    assert report.rate == pytest.approx(40 / report.seconds)
    assert dataclasses.asdict(report)["reasons"] == {}
