"""Category numbers as paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.taxonomy import by_number, read_taxonomy
from clipita.config import FieldsConfig
from clipita.errors import UsageError

TEXT = "# Google_Product_Taxonomy_Version: 2021-09-21\n1 - Animals\n\n276 - Elektronik > Netzteile & Co.\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "taxonomy.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "taxonomy.txt"


def test_numbers_and_paths(file: Path) -> None:
    assert read_taxonomy(file) == {"1": ("Animals",), "276": ("Elektronik", "Netzteile & Co.")}


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        ("276", ["Elektronik", "Netzteile & Co."]), (276, ["Elektronik", "Netzteile & Co."]), (1.0, ["Animals"]),
        ("99", []), ("A > B", "A > B"), (None, None), (True, True), (1.5, 1.5),
    ],
)  # fmt: skip
def test_cells(file: Path, cell: Any, path: Any) -> None:
    assert by_number(cell, file) == path


def test_in_a_catalogue(tmp_path: Path, file: Path) -> None:
    (tmp_path / "a.csv").write_text("product_id,title,category_path\n1,a,276\n2,b,5\n")
    catalogue = CatalogueFile(tmp_path / "a.csv", FieldsConfig(taxonomy=file))
    assert [product.category_path for product in catalogue.products()] == [("Elektronik", "Netzteile & Co."), ()]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        by_number("1", tmp_path / "none.txt")
    (tmp_path / "names.txt").write_text("Animals & Pet Supplies > Pets\n")
    with pytest.raises(UsageError, match="Line 1 of the taxonomy"):
        by_number("1", tmp_path / "names.txt")
