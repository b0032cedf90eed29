"""Tables of the commands: cells are plain text."""

from __future__ import annotations

import pytest

from clipita.cli import console


def test_neither_markup_nor_control_sequences_take_effect(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("[bold]a[/bold]", "\x1b[31mred", 3), ("two\nlines", "", None)]
    console.table(("name", "colour", "count"), rows, numbers=("count",), box=None)
    printed = capsys.readouterr().out
    assert "[bold]a[/bold]" in printed
    assert "\x1b" not in printed
    lines = [line.rstrip() for line in printed.splitlines()]
    assert lines[1].endswith("    3")
    assert [line.split()[0] for line in lines[2:]] == ["two", "lines"]
