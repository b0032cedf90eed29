"""Queries as people type them, from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue.product import Product
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.errors import CatalogueError
from clipita.evaluation.protocol import TreeProtocol
from clipita.evaluation.typed import read_queries

PRODUCTS = [
    Product(f"{colour}-{number}", f"{brand} shoe", {"colour": colour}, (("Shoes", "Clogs"),))
    for colour in ("Red", "Blue")
    for number, brand in enumerate(["Acme", "Acme", "Initech", "Acme"])
]


def written(folder: Path, *entries: dict[str, Any] | str) -> Path:
    file = folder / "typed.jsonl"
    file.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in entries))
    return file


def test_what_is_relevant(tmp_path: Path) -> None:
    protocol = TreeProtocol(PRODUCTS)
    file = written(
        tmp_path,
        {"query": "clog", "kind": "synonym", "categories": ["Clogs", "Boots"]},
        {"query": "red shoe", "kind": "attribute", "categories": ["Shoes"], "colour": ["Red", "Pink"]},
        {"query": "acme shoe", "kind": "brand", "categories": ["Shoes"], "title_contains": "acme"},
        {"query": "pink shoe", "kind": "attribute", "categories": ["Shoes"], "colour": ["Pink"]},
        "",
    )
    queries, few = read_queries(file, protocol)
    assert few == 1
    assert [(query.text, query.kind, len(query.relevant)) for query in queries] == [
        ("clog", "synonym", 8), ("red shoe", "attribute", 4), ("acme shoe", "brand", 6),
    ]  # fmt: skip
    assert queries[0].paths == (("Shoes", "Clogs"),)
    protocol.queries = queries
    assert protocol.groups() == {"attribute": [1], "brand": [2], "synonym": [0]}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"query": " ", "categories": []}',
        '{"query": "a"}',
        '{"query": "a", "categories": ["B"], "colour": 3}',
    ],
)
def test_a_line_that_is_no_query_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(CatalogueError, match=r"Line 2 of .*typed\.jsonl is not"):
        read_queries(written(tmp_path, "", line), TreeProtocol(PRODUCTS))


def test_no_file_and_no_query(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_queries(tmp_path / "none", TreeProtocol(PRODUCTS))
    with pytest.raises(CatalogueError, match="No query of"):
        read_queries(written(tmp_path, {"query": "a", "categories": ["Kites"]}), TreeProtocol(PRODUCTS))


def test_the_command_reports_kinds(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path,
        {"query": "round dish", "kind": "synonym", "categories": ["Plates"]},
        {"query": "a kite", "kind": "need", "categories": ["Kites"]},
        {"query": "a submarine", "kind": "need", "categories": ["Boats"]},
    )
    report = tmp_path / "report.html"
    words = ["evaluate", str(shop / "test.parquet"), "--model", str(tiny_bundle), "--queries", str(file)]
    assert run_guarded(group, [*words, "--json", "-", "--report", str(report)]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert "1 of the queries in typed.jsonl have fewer than 3 relevant products" in captured.err
    assert {row["query"] for row in document["queries"]} == {"round dish", "a kite"}
    assert set(document["groups"]) == {"need", "synonym"}
    assert document["pages"] == []
    assert "round dish" in report.read_text()


def test_the_report_shows_pages_that_end_wrongly(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ["evaluate", str(shop / "test.parquet"), "--model", str(tiny_bundle)]
    assert run_guarded(group, [*words, "--report", str(report), "--json", str(tmp_path / "all.json")]) == 0
    pages = json.loads((tmp_path / "all.json").read_text())["pages"]
    assert {row["system"] for row in pages} == {"bm25", "clip-ita"}
    assert {row["group"] for row in pages} >= {"all", "specific (leaves)"}
    assert all(0 <= row["page F1"] <= 100 for row in pages)
    text = report.read_text()
    assert "Where pages end" in text
    assert "Too early" in text
