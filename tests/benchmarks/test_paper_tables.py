"""The tables of docs/paper.md from a result file as benchmarks/paper.py writes it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_tables", BENCHMARKS / "paper_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(recipe: str, system: str, setup: str, seed: int | None, draw: int | None, subset: str = "all") -> Any:
    value = 10.0 + (seed or 0)
    measures = dict.fromkeys(("P@1", "P@10", "mAP@10", "R-precision"), value)
    return {
        "recipe": recipe,
        "system": system,
        "setup": setup,
        "seed": seed,
        "draw": draw,
        "subset": subset,
        **measures,
    }


@pytest.fixture(scope="module")
def result(tables: ModuleType) -> dict[str, Any]:
    rows, errors = [], []
    kinds = ("other tree", "same tree, shallower", "same tree, same level", "same tree, deeper")
    for setup in tables.SETUPS:
        for recipe, system, _ in tables.SYSTEMS:
            for seed in [None] if recipe == "none" else [0, 1]:
                rows.append(entry(recipe, system, setup, seed, None))
                shares = dict(zip(kinds, (40.0, 30.0, 20.0, 10.0), strict=True))
                told = {"hits": 8, "wrong": 2, "share of wrong hits": shares}
                told["share of the shallower exactly one level up"] = None if system == "bm25" else 75.0
                errors.append(entry(recipe, system, setup, seed, None) | told)
        rows += [entry("paper", "clip-ita", setup, 0, draw, kind) for draw in (1, 2) for kind in ("seen", "unseen")]
    made = {"command": "python benchmarks/paper.py", "commit": "0123456789", "machine": {"cpu": "X", "cores": 2}}
    ceilings = {"all": 42.7, "general": 100.0, "specific": 100.0}
    return {**made, "seeds": 2, "draws": 2, "held_out": 30, "ceilings": ceilings, "rows": rows, "errors": errors}


def lines(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]


def test_ours_stand_beside_the_papers(tables: ModuleType, result: dict[str, Any]) -> None:
    head, rule, *rows = lines(tables.retrieval(result))
    assert {len(row) for row in (head, rule, *rows)} == {10}
    assert len(rows) == 3 * (len(tables.SYSTEMS) + 1) - 1
    (ours,) = [row for row in rows if row[:2] == ["specific", "CLIP-ITA"]]
    assert ours[2] == "10.5 ± 0.5"
    assert ours[-1] == "39.69"
    default = [row[-4:] for row in rows if row[0] == "all" and "default recipe" in row[1]]
    assert default == [["–"] * 4], "the paper has no figure for what it does not know"
    assert [row[5] for row in rows if "ceiling" in row[1]] == ["42.7", "100.0", "100.0"]
    assert "commit 0123456" in tables.retrieval(result)


def test_seen_and_unseen(tables: ModuleType, result: dict[str, Any]) -> None:
    rows = lines(tables.subsets(result))[2:]
    assert [row[:2] for row in rows] == [[setup, kind] for setup in ("all", "specific") for kind in ("seen", "unseen")]
    assert rows[2][-2:] == ["51.89", "41.58"]
    assert rows[0][-2:] == ["–", "–"]


def test_errors(tables: ModuleType, result: dict[str, Any]) -> None:
    rows = lines(tables.errors(result))[2:]
    assert rows[0] == ["all", "BM25", "25", "40", "30", "20", "10", "–"]
    assert rows[4] == ["all", "CLIP-ITA", "25", "40", "30", "20", "10", "75"]


def test_a_row_that_is_missing_is_an_error_and_no_empty_cell(tables: ModuleType, result: dict[str, Any]) -> None:
    fewer = result | {"rows": [row for row in result["rows"] if row["system"] != "clip-t"]}
    with pytest.raises(LookupError, match="clip-t"):
        tables.retrieval(fewer)


def test_a_page_is_filled_between_its_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import tables as every

    monkeypatch.setattr(every, "RESULTS", tmp_path)
    page = "a\n<!-- table paper:errors -->\nold\n<!-- end -->\nb"
    assert every.fill(page) == page, "without a result file nothing is touched"
    (tmp_path / "paper.json").write_text("{}")
    monkeypatch.setitem(every.TABLES, "paper:errors", lambda _: "new")
    assert every.fill(page) == "a\n<!-- table paper:errors -->\nnew\n<!-- end -->\nb"
