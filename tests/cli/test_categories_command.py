"""`clipita categories`: what it prints, and what it refuses before any work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


@pytest.fixture
def model(gated_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(gated_bundle, tmp_path / "model")
    return tmp_path / "model"


def test_names_by_hand_and_from_a_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("categories", "list") == 0
    assert capsys.readouterr().out == "Nothing was added.\n"
    assert clipita("categories", "name", "Drachen", "--as", "Kites", "--language", "de") == 0
    out, err = capsys.readouterr()
    assert out == "New names: 1; known before: 0.\n"
    assert "next start" in err
    rows = "category,text,language\nToys > Kites,Drachen,de\n\nPlates,Teller,de\n"
    (tmp_path / "names.csv").write_text(rows, encoding="utf-8-sig")
    assert clipita("categories", "name", "--from", "names.csv") == 0
    assert capsys.readouterr().out == "New names: 1; known before: 1.\n"
    assert clipita("categories", "list", "--json") == 0
    names = json.loads(capsys.readouterr().out)["names"]
    assert names[1] == {"text": "Teller", "category": ["Home", "Plates"], "language": "de"}
    assert clipita("categories", "list") == 0
    assert "Toys > Kites" in capsys.readouterr().out
    assert clipita("categories", "remove", "Teller") == 0
    assert clipita("categories", "remove", "Teller") == 2
    assert "the model knows no category" in capsys.readouterr().err.lower()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,text\nKites,Drachen\n", "has no column 'category'"),
        ("category,text\nKites,\n", "line 2: the text is empty"),
        ("category,text\n,Drachen\n", "line 2: the category is empty"),
        ("category,text\nKites,Drachen\nPlates,Drachen\n", "two categories: Toys > Kites and Home > Plates"),
        (b"category,text\nKites,\xff\n", "cannot be read"),
        ("", "has no column 'category'"),
    ],
)
def test_files_that_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, said: str
) -> None:
    (tmp_path / "names.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert clipita("categories", "name", "--from", "names.csv", "--model", model) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("name",), ("name", "Drachen"), ("name", "--as", "Kites"),
        ("name", "Drachen", "--as", "Kites", "--from", "names.csv"),
        ("add", "Home > Clogs"), ("add", "--like", "3"), ("add", "Home > Clogs", "--like", "3", "--from", "x.csv"),
        ("add", "Home > Clogs", "--like", " , "),
    ],
)  # fmt: skip
def test_arguments_that_do_not_go_together(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert clipita("categories", *arguments) == 2
    assert "Give either" in capsys.readouterr().err


def test_names_from_the_shops_synonyms(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["# other names", "kites, drachen, lenkdrachen", "dishes => plates", "kites, plates, things", "sofa, couch"]
    (tmp_path / "synonyms.txt").write_text("\n".join(lines))
    assert clipita("categories", "name", "--synonyms", "synonyms.txt") == 0
    assert capsys.readouterr().out == "New names: 3; known before: 0.\n"
    assert clipita("categories", "list", "--json") == 0
    names = {name["text"]: name["category"] for name in json.loads(capsys.readouterr().out)["names"]}
    assert names == {"drachen": ["Toys", "Kites"], "lenkdrachen": ["Toys", "Kites"], "dishes": ["Home", "Plates"]}
    # What was given to another category stays there, and the rest of the file is taken.
    (tmp_path / "synonyms.txt").write_text("plates, drachen, crockery\n")
    assert clipita("categories", "name", "--synonyms", "synonyms.txt") == 0
    assert capsys.readouterr().out == "New names: 1; known before: 0.\n"
    (tmp_path / "synonyms.txt").write_text("kites\n")
    assert clipita("categories", "name", "--synonyms", "synonyms.txt") == 2
    assert "line 1 has one phrase alone" in capsys.readouterr().err
    assert clipita("categories", "name", "--synonyms", "synonyms.txt", "--from", "names.csv") == 2
