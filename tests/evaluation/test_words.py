"""The analyzer against what Lucene itself gives (EnglishAnalyzer of Lucene 9.12.1, written down in the JSON file)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipita.config import OpenSearchConfig
from clipita.evaluation.words import MAX_TOKEN_LENGTH, analyze, fold, stem, tokenize, words_in
from clipita.languages import LANGUAGES
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import NodeStatus

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("lucene_english.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["text"][:30])
def test_terms_are_those_of_lucene(case: dict[str, Any]) -> None:
    assert analyze(case["text"]) == case["terms"]


def test_singular_and_plural_meet() -> None:
    assert analyze("Sports Shoes") == analyze("sport shoe's")


@pytest.mark.parametrize("text", ["", "   ", "the of and", "--- !!! ___", "’"])
def test_nothing_is_left_of_stop_words_and_signs(text: str) -> None:
    assert analyze(text) == []


def test_a_very_long_word_is_cut_as_lucene_cuts_it() -> None:
    assert [len(word) for word in tokenize("x" * 600)] == [MAX_TOKEN_LENGTH, MAX_TOKEN_LENGTH, 90]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trekking", "trek"),
        ("trekkings", "trek"),
        ("embedding", "embed"),
        ("hissing", "hiss"),
        ("shrkking", "shrkking"),
    ],
)
def test_double_consonants(word: str, expected: str) -> None:
    assert stem(word) == expected


@given(st.text(max_size=80))
def test_any_text_gives_terms_without_blanks(text: str) -> None:
    terms = analyze(text)
    assert all(term and not any(sign.isspace() for sign in term) for term in terms)


@given(st.lists(st.from_regex(r"[a-z]{1,12}", fullmatch=True), max_size=8))
def test_words_are_analyzed_one_by_one(words: list[str]) -> None:
    assert analyze(" ".join(words)) == [term for word in words for term in analyze(word)]


def test_other_languages_have_stems_without_accents() -> None:
    told: list[str] = []
    czech = words_in("czech", told.append)
    assert czech("Nabíječka") == czech("nabíječky") == czech("nabijecka")
    assert words_in("french", told.append)("L'huile") == words_in("french", told.append)("huiles")
    assert words_in("english", told.append) is analyze
    assert told == []


def test_a_language_without_stemmer_is_told_once_and_compares_words() -> None:
    told: list[str] = []
    words = words_in("thai", told.append)
    assert words("Rote SCHUHE 42") == ["rote", "schuhe", "42"]
    assert len(told) == 1
    assert "thai" in told[0]


def test_letters_are_folded_as_in_lucene() -> None:
    words = {"straße": "strasse", "łódź": "lodz", "ørsted": "orsted", "日本": "日本", "й": "й"}
    assert {word: fold(word) for word in words} == words


def test_every_language_can_be_read_without_a_cluster() -> None:
    for language in LANGUAGES:
        assert words_in(language, lambda _: None)("Nabíječka 42")[-1] == "42"


@pytest.mark.integration
def test_folding_is_that_of_the_node(node: NodeStatus) -> None:
    client = connect(OpenSearchConfig(url=node.url))
    letters = [chr(code).lower() for code in range(0xC0, 0x180) if chr(code).isalpha()]
    body = {"tokenizer": "whitespace", "filter": ["asciifolding"], "text": " ".join(letters)}
    tokens = [token["token"] for token in client.indices.analyze(body=body)["tokens"]]
    assert [fold(letter) for letter in letters] == tokens
