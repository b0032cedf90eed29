"""docs/security.md names tests for its defences: they exist, and each kind of attacker has one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"(tests/[\w/]+\.py)::((?:\w+::)?test_\w+)")


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text[text.index("| source | attack") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def defined(file: Path) -> set[str]:
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return found


def test_every_defence_names_tests_that_exist() -> None:
    for attacker, attack, defence, tests in rows():
        named = NAMED.findall(tests)
        assert named, f"{attacker}: {attack}: no test"
        assert defence
        assert len(named) == tests.count("tests/"), tests
        for file, name in named:
            assert name in defined(ROOT / file), f"{file} has no {name}"


def test_every_source_that_is_not_trusted_is_in_the_model() -> None:
    attackers = {row[0] for row in rows()}
    assert {"catalogue", "image", "image URL", "bundle", "cluster's answer", "query string"} <= attackers
