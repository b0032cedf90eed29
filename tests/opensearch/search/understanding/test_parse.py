"""A query's words become conditions on fields; what is left is searched."""

from __future__ import annotations

import functools
import statistics
import time
from typing import Any

import pytest

from clipita.opensearch.search.understanding.parse import Understanding, understand
from clipita.opensearch.search.understanding.stems import english
from clipita.opensearch.search.understanding.vocabulary import Value, Vocabulary

stem = functools.cache(english)
VALUES = [
    ("colour", "Red"), ("colour", "Blue"), ("colour", "Navy Blue"), ("colour", "Skin"), ("gender", "Men"),
    ("gender", "Women"), ("usage", "Casual"), ("usage", "Sports"), ("brand", "Nike"), ("brand", "Forever New"),
    ("brand", "Casual Shoes"), ("size", "42"), ("size", "M"), ("size", "XL"),
]  # fmt: skip
CATEGORIES = ["Casual Shoes", "Shoes", "Dresses", "Skin", "Sports Bags", "Nike", "Hair Colour"]
SHOP = Vocabulary(
    [Value(field, text, 10 - number) for number, (field, text) in enumerate(VALUES)],
    CATEGORIES,
    ["price", "heel_height"],
    stem,
)


def parts(found: Understanding) -> list[tuple[str, str, Any]]:
    return [(part.text, part.field, part.value) for part in found.parts]


@pytest.mark.parametrize(
    ("text", "rest", "expected"),
    [
        ("red dress", "dress", [("red", "colour", "Red")]),
        ("Blue dresses for men's", "dresses", [("Blue", "colour", "Blue"), ("men's", "gender", "Men")]),
        ("navy blue dress", "dress", [("navy blue", "colour", "Navy Blue")]),
        ("dress, forever new", "dress,", [("forever new", "brand", "Forever New")]),
        ("dress in red", "dress", [("red", "colour", "Red")]),
        ("red colour dress", "dress", [("red colour", "colour", "Red")]),
        ("dress size 42 xl", "dress", [("size 42", "size", "42"), ("xl", "size", "XL")]),
        ("size m women dress", "dress", [("size m", "size", "M"), ("women", "gender", "Women")]),
        ("shoes 42", "shoes 42", []),
        ("levis 501 m", "levis 501 m", []),
        ("nothing known here", "nothing known here", []),
        ("   ", "   ", []),
        ("and or", "and or", []),
        ("💥 red\u200b", "", [("red", "colour", "Red")]),
    ],
)
def test_values_are_taken_out(text: str, rest: str, expected: list[tuple[str, str, str]]) -> None:
    found = understand(text, SHOP)
    assert parts(found) == expected
    assert found.rest == rest
    assert all(text[part.start : part.end] == part.text for part in found.parts)
    assert all(part.kind == "value" and not part.strict for part in found.parts)


@pytest.mark.parametrize(
    ("text", "rest", "fields"),
    [
        ("casual shoes", "casual shoes", []),
        ("red casual shoe", "casual shoe", ["colour"]),
        ("casual dress", "dress", ["usage"]),
        ("sports bag women", "sports bag", ["gender"]),
        ("skin", "skin", []),
        ("nike shoes", "nike shoes", []),
        ("hair colour red", "hair colour", ["colour"]),
    ],
)
def test_names_of_categories_win(text: str, rest: str, fields: list[str]) -> None:
    found = understand(text, SHOP)
    assert (found.rest, [part.field for part in found.parts]) == (rest, fields)


@pytest.mark.parametrize(
    ("text", "rest", "field", "value"),
    [
        ("hush puppies dress", "dress", "title", "Hush Puppies"),
        ("hush dress", "dress", "title", "Hush"),
        ("nikes dress", "nikes dress", None, None),
        ("red dress", "dress", "colour", "Red"),
        ("w dress", "w dress", None, None),
    ],
)
def test_openings_of_titles_are_taken_where_nothing_else_is_known(
    text: str, rest: str, field: str | None, value: str | None
) -> None:
    shop = Vocabulary(
        [Value("colour", "Red", 1)], ["Dresses", "Nike"], [], stem, ["Hush", "Hush Puppies", "Nike", "Red", "W"]
    )
    found = understand(text, shop)
    assert [(part.field, part.value) for part in found.parts] == ([] if field is None else [(field, value)])
    assert found.rest == rest
    for part in found.parts:
        assert part.kind == "value"
        assert part.filter == ({"match": value} if field == "title" else (value,))
    assert not understand(text, shop, values=False).parts


def test_a_query_of_values_alone_has_no_rest() -> None:
    found = understand("red for women", SHOP)
    assert found.rest == ""
    assert parts(found) == [("red", "colour", "Red"), ("women", "gender", "Women")]
    assert not found.names_category


def test_values_of_one_field_stand_side_by_side() -> None:
    found = understand("red blue dress", SHOP)
    assert parts(found) == [("red", "colour", "Red"), ("blue", "colour", "Blue")]
    assert [part.filter for part in found.parts] == [("Red",), ("Blue", "Navy Blue")]


@pytest.mark.parametrize(
    ("text", "rest", "field", "value", "bounds"),
    [
        ("dress under 1000", "dress", "price", "under 1,000", {"lt": 1000}),
        ("dress price 50-80", "dress", "price", "50 to 80", {"gte": 50, "lte": 80}),
        ("dress between 50 and 80", "dress", "price", "50 to 80", {"gte": 50, "lte": 80}),
        ("shoes heel height under 5", "shoes", "heel_height", "under 5", {"lt": 5}),
        ("shoes with heel heights of 5.5", "shoes", "heel_height", "5.5", {"gte": 5.5, "lte": 5.5}),
        ("over 20", "", "price", "over 20", {"gt": 20}),
    ],
)
def test_numbers_are_ranges_of_a_field(text: str, rest: str, field: str, value: str, bounds: Any) -> None:
    found = understand(text, SHOP)
    (part,) = found.parts
    assert (found.rest, part.field, part.value, part.filter, part.kind, part.strict) == (
        rest, field, value, bounds, "range", True,
    )  # fmt: skip


def test_without_a_price_field_a_price_stays_words() -> None:
    shop = Vocabulary([Value("colour", "Red", 1)], CATEGORIES, ["stock"], stem)
    found = understand("red dress under 1000 rs", shop)
    assert found.rest == "dress under 1000 rs"
    assert parts(found) == [("red", "colour", "Red")]


def test_parts_can_stay_words() -> None:
    found = understand("Red dress under 50 for women", SHOP, keep_words=("red", "under 50", "", "(odd"))
    assert found.rest == "Red dress under 50"
    assert parts(found) == [("women", "gender", "Women")]


def test_values_can_be_strict_or_left_alone() -> None:
    assert all(part.strict for part in understand("red dress under 50", SHOP, strict=True).parts)
    found = understand("red dress under 50", SHOP, values=False)
    assert (found.rest, parts(found)) == ("red dress", [("under 50", "price", "under 50")])


def test_an_empty_vocabulary_understands_nothing() -> None:
    assert understand("red dress under 50", Vocabulary((), (), (), stem)).parts == ()


def test_it_takes_less_than_a_third_of_a_millisecond() -> None:
    values = [Value("brand", f"brand{number} maker{number % 100}", 1) for number in range(10_000)]
    shop = Vocabulary([*values, Value("colour", "Red", 1)], [f"category {n}" for n in range(2_000)], ["price"], stem)
    query = "brand77 maker77 red shoes for women in size 42 under 50 euros with leather sole"
    times = []
    for _ in range(200):
        started = time.perf_counter()
        found = understand(query, shop)
        times.append(time.perf_counter() - started)
    assert len(found.parts) == 3
    assert statistics.median(times) < 0.3e-3


@pytest.mark.parametrize("text", ["red " * 5_000, "x" * 100_000, "forever " * 3_000])
def test_long_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    understand(text, SHOP)
    assert time.perf_counter() - started < 1
