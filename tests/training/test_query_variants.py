"""Category names as people type them, and the catalogue's own phrases."""

from __future__ import annotations

import random

import pytest

from clipita.config import QUERY_TEMPLATES
from clipita.training.query_variants import MAX_TEXTS, all_variants, misspellings, name_variants, phrases, singular


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Casual Shoes", "Casual Shoe"),
        ("Dresses", "Dress"),
        ("Watches", "Watch"),
        ("Accessories", "Accessory"),
        ("Sunglasses", "Sunglass"),
        ("Dress", "Dress"),
        ("Topwear", "Topwear"),
        ("Gas", "Gas"),
    ],
)
def test_singular(name: str, expected: str) -> None:
    assert singular(name) == expected


def test_misspellings_are_one_slip_away() -> None:
    assert set(misspellings("Tie")) == {"ie", "te", "ti", "ite", "tei", "ttie", "tiie", "tiee"}


def test_the_name_comes_first_and_no_text_twice() -> None:
    texts = name_variants("Kurtas", QUERY_TEMPLATES, random.Random(0), 1000)
    assert texts[0] == "Kurtas"
    assert len(set(texts)) == len(texts)
    assert {"kurta", "buy Kurtas online", "a photo of kurta"} <= set(texts)


def test_a_text_of_two_names_belongs_to_neither() -> None:
    first, second = all_variants(["Shirt", "Shirts"], (), seed=0)
    assert first[0] == "Shirt"
    assert second[0] == "Shirts"
    assert not {text.lower() for text in first} & {text.lower() for text in second}


def test_large_trees_get_fewer_variants_a_name() -> None:
    names = [f"Category {number}" for number in range(5000)]
    variants = all_variants(names, QUERY_TEMPLATES, seed=0)
    assert sum(map(len, variants)) <= MAX_TEXTS
    assert all(own[0] == name for own, name in zip(variants, names, strict=True))


def test_phrases_are_the_catalogues_own_words_and_repeat() -> None:
    titles = ["Puma Men Black Shoes", None, "  ", "Nike Women Red Top"]
    attributes = [["colour: Black"], ["usage: Sports"], [], []]
    found = phrases(titles, attributes, seed=3)
    assert found == phrases(titles, attributes, seed=3)
    assert {"Sports", "Black", "Puma Men"} <= set(found)
    assert all(any(phrase in (title or "") for title in titles) for phrase in set(found) - {"Sports"})


def test_a_catalogue_without_texts_has_no_phrases() -> None:
    assert phrases([None, ""], [[], []], seed=0) == []
