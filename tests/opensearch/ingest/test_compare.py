"""What a second run skips, writes with the stored vector, and encodes again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch

from clipita.opensearch.index.index import remember, require
from clipita.opensearch.ingest.outcomes import IngestReport

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def changed(source: Path, target: Path, change: Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]]) -> Path:
    """A copy of a Parquet catalogue with other rows."""
    table = pq.read_table(source)
    pq.write_table(pa.Table.from_pylist(list(change(table.to_pylist())), schema=table.schema), target)
    return target


def test_second_run_encodes_and_writes_nothing(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    ingest(catalogue)
    before = client.search(index=alias, body={"size": 100, "seq_no_primary_term": True, "_source": False})
    report = ingest(catalogue)
    assert counted(report) == {"unchanged": 40}
    assert report.encoded == 0
    after = client.search(index=alias, body={"size": 100, "seq_no_primary_term": True, "_source": False})
    sequence = [{hit["_id"]: hit["_seq_no"] for hit in answer["hits"]["hits"]} for answer in (before, after)]
    assert sequence[0] == sequence[1]


def test_documents_of_an_earlier_version_get_their_categories(
    ingest: Run, documents: Documents, catalogue: Path, client: OpenSearch, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("clipita.opensearch.ingest.documents.DOCUMENT_VERSION", 1)
        before.setattr("clipita.opensearch.ingest.documents.node_ids", lambda paths: [])
        name = ingest(catalogue).index
    remember(client, name, nodes=None)
    half = catalogue.with_name("half.parquet")
    counts = counted(ingest(changed(catalogue, half, lambda rows: rows[:20])))
    assert counts == {"updated": 20}
    assert not require(client, alias).has_nodes
    report = ingest(catalogue)
    assert counted(report) == {"updated": 20, "unchanged": 20}
    assert report.encoded == 0
    assert require(client, alias).has_nodes
    for source in documents(alias).values():
        path = source["category_path"]
        assert source["clipita"]["categories"] == [" > ".join(path[: depth + 1]) for depth in range(len(path))]


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


def test_thumbnails_can_be_left_out(ingest: Run, documents: Documents, catalogue: Path, alias: str) -> None:
    ingest(catalogue, config={"thumbnails": False})
    assert not any("thumbnail" in source["clipita"] for source in documents(alias).values())
    report = ingest(catalogue, config={"thumbnails": True})
    assert counted(report) == {"updated": 40}
    assert report.encoded == 0
    assert all("thumbnail" in source["clipita"] for source in documents(alias).values())
