"""A shop of titles alone, and what words find in it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from clipita.opensearch import ProductSearch


@pytest.fixture
def titled(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Writes a catalogue of products with these titles; their ids are 1, 2 and so on."""

    def write(titles: Sequence[str]) -> Path:
        file = tmp_path / "shop.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["product_id", "title", "category_path"])
            rows.writerows([str(number), title, "Shop > Things"] for number, title in enumerate(titles, 1))
        return file

    return write


@pytest.fixture
def found(client: OpenSearch, alias: str) -> Callable[[str], set[str]]:
    """The ids that the words of a query find."""

    def ask(query: str) -> set[str]:
        page = ProductSearch(client, alias)(query, mode="lexical", understand=False)
        return {hit.id for hit in page.hits}

    return ask
