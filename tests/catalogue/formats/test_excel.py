"""Spreadsheets as rows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.formats import excel
from clipita.catalogue.formats.excel import ExcelSource
from clipita.catalogue.split import split_catalogue
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    workbook = openpyxl.Workbook()
    workbook.create_sheet("empty", 0)
    sheet = workbook["Sheet"]
    for row in ([], ["product_id", "title", "price", None], [1001, "Lamp", 9.5, "x"], [], ["007", "Hat", 10, None]):
        sheet.append(row)
    workbook.save(tmp_path / "shop.xlsx")
    return tmp_path / "shop.xlsx"


def test_the_first_sheet_with_rows(file: Path) -> None:
    catalogue = CatalogueFile(file)
    assert (catalogue.rows, catalogue.columns) == (2, ("product_id", "title", "price", "column_4"))
    products = dict(catalogue.numbered_products())
    assert {row: (product.id, product.extra["price"]) for row, product in products.items()} == {
        3: ("1001", 9.5), 5: ("007", 10.0)
    }  # fmt: skip


def test_it_is_not_written(file: Path) -> None:
    with pytest.raises(UsageError, match="not written"):
        split_catalogue(file, FieldsConfig())


def test_what_is_refused(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.xlsx").write_bytes(b"no spreadsheet")
    with pytest.raises(CatalogueError, match="no spreadsheet that can be read"):
        ExcelSource(tmp_path / "broken.xlsx")
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(CatalogueError, match="no spreadsheet that can be read"):
        ExcelSource(tmp_path / "other.xlsx")
    monkeypatch.setattr(excel, "LARGEST", 1000)
    with pytest.raises(CatalogueError, match="unpacks to"):
        ExcelSource(file)
