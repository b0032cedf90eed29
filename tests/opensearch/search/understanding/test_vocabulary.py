"""Words look up values, categories and fields by their stems."""

from __future__ import annotations

import pytest

from clipita.opensearch.search.understanding.stems import english
from clipita.opensearch.search.understanding.vocabulary import Value, Vocabulary

VALUES = [
    Value("colour", "Blue", 9), Value("colour", "Navy Blue", 4), Value("colour", "BLUES", 2),
    Value("brand", "Blue", 3), Value("brand", "And", 5), Value("brand", "Lock & Key", 1),
    Value("size", "42", 7), Value("size", "M", 7),
    Value("care", "wash it by hand in cold water only, never tumble dry", 1),
]  # fmt: skip
VOCABULARY = Vocabulary(VALUES, ["Casual Shoes", "Hair Colour", "The"], ["sale_price", "heel-height"], english)


def test_a_value_stands_for_those_that_are_the_same_and_those_that_contain_it() -> None:
    found = VOCABULARY.meanings(("blue",))
    assert {field: known.values for field, known in found.items()} == {
        "colour": ("Blue", "BLUES", "Navy Blue"),
        "brand": ("Blue",),
    }
    assert list(found) == ["colour", "brand"]
    assert VOCABULARY.meanings(("navi", "blue"))["colour"].values == ("Navy Blue",)
    assert not VOCABULARY.meanings(("navi",))


def test_stop_words_and_sentences_are_no_values() -> None:
    assert VOCABULARY.key("And the") == ()
    assert VOCABULARY.key("Lock and Keys") == ("lock", "kei")
    assert not VOCABULARY.begins("wash")


@pytest.mark.parametrize(("text", "weak"), [("42", True), ("m", True), ("blues", False)])
def test_numbers_and_letters_are_weak(text: str, weak: bool) -> None:
    known = next(iter(VOCABULARY.meanings(VOCABULARY.key(text)).values()))
    assert known.weak is weak


def test_names_are_known_by_their_words() -> None:
    assert VOCABULARY.is_category(VOCABULARY.key("casual shoe"))
    assert not VOCABULARY.is_category(("casual",))
    assert VOCABULARY.number(VOCABULARY.key("heel heights")) == "heel-height"
    assert VOCABULARY.field(VOCABULARY.key("Colours")) == "colour"


@pytest.mark.parametrize(
    ("numbers", "price"),
    [(["price", "sale_price"], "price"), (["sale_price", "stock"], "sale_price"), (["a_price", "b_price"], None),
     (["stock"], None), ([], None)],
)  # fmt: skip
def test_the_price_is_the_field_of_that_name(numbers: list[str], price: str | None) -> None:
    assert Vocabulary((), (), numbers, english).price == price
