"""docs/architecture.md draws every module, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
FOLDERS = ("clipita", "exporters", "opensearch", "cli")
SAMPLE = "clipita/catalogue/sample/"
"""Drawn as one line: drawings and words of the sample shop."""


def drawn() -> set[str]:
    """The modules of the drawing, as paths."""
    drawing = re.findall(r"(?ms)^```text\n(clipita/\n.*?)^```", PAGE.read_text(encoding="utf-8"))
    assert len(drawing) == 1
    found, folder = set(), ""
    for line in drawing[0].splitlines():
        name, _, meaning = line.strip().partition(" ")
        if line.startswith(" "):
            assert meaning.strip(), f"{name} has no description"
            found.add(folder + name)
        else:
            folder = name
            assert (ROOT / folder).is_dir(), folder
    return found


def test_the_drawing_shows_the_modules_that_there_are() -> None:
    files = {str(file.relative_to(ROOT)) for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}
    modules = {file for file in files if not file.endswith("__init__.py") and not file.startswith(SAMPLE)}
    assert sorted(modules - drawn()) == [], "not drawn in docs/architecture.md"
    assert sorted(drawn() - modules) == [], "drawn in docs/architecture.md, and gone"
