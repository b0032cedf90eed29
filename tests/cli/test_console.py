"""Results go to stdout; progress and notes go to stderr, and stay readable where stderr is not a terminal."""

from __future__ import annotations

import numpy as np
import pytest

from clipita.cli import console


def test_json_goes_to_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"scores": np.array([0.5, 1.0], dtype=np.float32), 1: "\u00e9"})
    shown = capsys.readouterr()
    assert shown.out == '{\n  "scores": [\n    0.5,\n    1.0\n  ],\n  "1": "\u00e9"\n}\n'
    assert shown.err == ""


def test_a_note_is_one_line_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.note("[red]kettle[/red] " + "word " * 100)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("[red]kettle[/red] word")


def test_where_no_bar_can_be_drawn_each_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as bar:
        report = console.stages(bar)
        for done in (0, 500, 1000):
            report("Reading", done, 1000)
        report("Unpacking", 0, None)
    assert capsys.readouterr().err.split("\n")[:2] == ["Reading (1,000)", "Unpacking"]


def test_a_table_shows_its_cells_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("part", "n"), [("pip install 'clipita[cpu]'", "7"), ("[red]", "12")], "[bold]", numbers=("n",))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].strip() == "[bold]"
    assert "pip install 'clipita[cpu]' │  7 " in shown[4]
    assert "[red]" in shown[5]
    assert " 12 " in shown[5]
