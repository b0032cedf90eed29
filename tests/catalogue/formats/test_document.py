"""JSON documents as rows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.formats.document import DEEPEST_VALUE, JsonDocumentSource, is_document
from clipita.errors import CatalogueError

PRODUCTS = [{"product_id": "1", "title": "Ä", "price": 1.5}, {"product_id": "2", "title": "B", "tags": ["x"]}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.json"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "document",
    [
        PRODUCTS,
        {"products": PRODUCTS, "errors": []},
        {"errors": [{"code": 1}], "data": {"items": PRODUCTS}},
        {"data": {"products": {"edges": [{"node": product} for product in PRODUCTS]}}},
        {"products": [{**product, "variants": [{"size": size} for size in "SML"]} for product in PRODUCTS]},
    ],
)
def test_the_products_are_found(file: Path, document: Any, indent: int | None) -> None:
    file.write_text(json.dumps(document, indent=indent))
    assert is_document(file)
    catalogue = CatalogueFile(file)
    assert catalogue.rows == 2
    assert [product.title for product in catalogue.products()] == ["Ä", "B"]


@pytest.mark.parametrize(
    "text",
    [
        '{"product_id": "1", "title": "a"}\n{"product_id": "2", "title": "b"}\n',
        '{"product_id": "1", "title": "a"}',
        '{"product_id": "1", "title": "a", "variants": [{"size": "S"}]}\n{"product_id": "2", "title": "b"}',
        '{"product_id": "1", "title": "a", "variants": [{"size": "S"}]}\n',
    ],
)
def test_json_lines_stay_lines(file: Path, text: str) -> None:
    file.write_text(text)
    assert not is_document(file)
    assert next(product.id for product in CatalogueFile(file).products()) == "1"


def test_compressed(tmp_path: Path) -> None:
    (tmp_path / "shop.json.gz").write_bytes(gzip.compress(json.dumps(PRODUCTS).encode()))
    assert len(list(CatalogueFile(tmp_path / "shop.json.gz").products())) == 2


def test_other_items_are_rejected_by_themselves(file: Path) -> None:
    file.write_text(json.dumps([1, *PRODUCTS, None]))
    rejected: list[Any] = []
    assert len(list(CatalogueFile(file).products(rejected.append))) == 2
    assert [(one.row, one.kind) for one in rejected] == [
        (1, "the item is not a JSON object"), (4, "the item is not a JSON object")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "no array of objects"),
        ("[]", "no array of objects"),
        ('{\n"a": 1}', "no array of objects"),
        ('[{"product_id": "1", "title": "a"},', "not JSON beyond object 1"),
        ('[{"a": tru}]', "not JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{\n"a":' + "[" * (DEEPEST_VALUE + 3), "nested deeper"),
    ],
)
def test_what_is_refused(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(CatalogueError, match=said):
        _ = JsonDocumentSource(file).rows


def test_parts_are_json_lines(file: Path) -> None:
    file.write_text(json.dumps(PRODUCTS))
    lines = [line for _, _, line in JsonDocumentSource(file).stored("product_id")]
    assert [json.loads(line) for line in lines] == PRODUCTS


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.ndjson", "feed.jsonl.gz"])
def test_a_first_line_of_any_length_is_a_line(tmp_path: Path, name: str) -> None:
    """Such as one with its image in it."""
    rows = [{"product_id": str(n), "title": "shoe", "notes": "x" * 1_000_000} for n in range(3)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert [product.id for product in CatalogueFile(tmp_path / name).products()] == ["0", "1", "2"]


def test_a_document_in_one_line_of_any_length(tmp_path: Path) -> None:
    rows = [{"product_id": str(n), "title": "shoe", "notes": "x" * 100_000} for n in range(9)]
    (tmp_path / "feed.json").write_text(json.dumps({"products": rows}))
    assert len(list(CatalogueFile(tmp_path / "feed.json").products())) == 9
