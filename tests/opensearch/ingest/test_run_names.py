"""Columns whose names a document cannot have, or that would be parts of each other, refuse no product."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.cell_values import METADATA, field_name
from clipita.catalogue.check import check_catalogue
from clipita.catalogue.reader import CatalogueFile
from clipita.opensearch import ProductSearch
from clipita.opensearch.ingest.outcomes import IngestReport, Outcome

ROWS: list[dict[str, Any]] = [
    {"price": 80, "in_stock": True, "spec": {"w": 1}, "size": "M"},
    {"price": "80,99", "in_stock": "yes", "spec": "plain", "size.eu": "50"},
    {"price": {"amount": 80}, ".x": "1", "a..b": "2", "end.": "3"},
    {"_id": "zz", "_source": "s", "parts": {"": 1, ".y": 2, "ok": 3}, " ": "blank"},
    dict.fromkeys(METADATA, "x"),
]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("price", "price"),
        ("size.eu", "size.eu"),
        (".x", "_x"),
        ("a..b", "a__b"),
        ("_id", "_id_"),
        ("", "_"),
        (" ", "_"),
    ],
)
def test_a_name_as_that_of_a_field(name: str, field: str) -> None:
    assert field_name(name) == field
    assert field_name(field) == field


@pytest.mark.integration
def test_no_product_is_refused_for_the_name_of_a_column(
    client: OpenSearch, ingest: Callable[..., IngestReport], alias: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    rows = [{"product_id": f"p{n}", "title": "lamp", **row} for n, row in enumerate(ROWS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = ingest(file)
    assert report.counts[Outcome.WRITTEN] == len(ROWS), report.reasons
    search = ProductSearch(client, alias)

    def found(name: str, value: str) -> list[str]:
        return [hit.id for hit in search("lamp", mode="lexical", filters={name: value}).hits]

    assert found("size", "M") == ["p0"]
    assert found("size.eu", "50") == ["p1"]
    assert found(".x", "1") == ["p2"]
    assert found("_id_", "zz") == ["p3"]
    (remark,) = [one for one in check_catalogue(CatalogueFile(file)).remarks if one.startswith("Names of columns")]
    assert "size.eu is size_eu" in remark
    assert "_id is _id_" in remark
