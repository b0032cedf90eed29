"""Synonyms in Solr's format and lists of words, good lines and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita.errors import UsageError
from clipita.word_files import MAX_PHRASE, Rule, read_compounds, read_synonyms


def test_rules_are_solrs(tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    text = (
        "\ufeff# furniture\n\nsofa, couch ,  settee\ntee, tee  shirt=>t-shirt\n3\\,5 mm, 3.5 mm\r\n a\\=>b, c => d, e\n"
    )
    file.write_text(text, encoding="utf-8")
    assert read_synonyms(file) == [
        Rule(3, ("sofa", "couch", "settee")),
        Rule(4, ("tee", "tee shirt"), ("t-shirt",)),
        Rule(5, ("3,5 mm", "3.5 mm")),
        Rule(6, ("a=>b", "c"), ("d", "e")),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a,, b", "empty phrase"),
        ("a =>", "empty phrase"),
        ("=> a", "empty phrase"),
        ("a => b => c", "more than one =>"),
        ("sofa", "one phrase alone"),
        (f"a, {'x' * (MAX_PHRASE + 1)}", "more than 200 characters"),
    ],
)
def test_bad_lines_are_named_by_their_numbers(tmp_path: Path, line: str, fault: str) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text(f"sofa, couch\n{line}\na, b\n{line}\n")
    with pytest.raises(UsageError, match=rf"line 2 has .*{fault}; line 4 has .*{fault}"):
        read_synonyms(file)


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("sofa\n" * 9)
    with pytest.raises(UsageError, match="line 5 has one phrase alone; and 4 more"):
        read_synonyms(file)


@pytest.mark.parametrize("content", [b"caf\xe9, bar", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "synonyms.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read"):
        read_synonyms(file)


def test_words_of_compounds(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("# words\nSchuh\nschuh\nKinder\n", encoding="utf-8")
    assert read_compounds(file) == ["schuh", "kinder"]
    file.write_text("schuh\nzwei worte\nx\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 2 is no word: 'zwei worte'; line 3 is no word: 'x'"):
        read_compounds(file)
    file.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no words"):
        read_compounds(file)
