"""Numbers with a word of comparison or a currency are ranges."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.opensearch.search.understanding.quantities import quantities


def read(text: str) -> list[tuple[str, Any, bool]]:
    return [(text[found.start : found.end], found.bounds, found.of_price) for found in quantities(text)]


@pytest.mark.parametrize(
    ("text", "phrase", "bounds"),
    [
        ("shoes under 1000", "under 1000", {"lt": 1000}),
        ("kurta below 700 rs for men", "below 700 rs", {"lt": 700}),
        ("Less  than Rs. 1,500", "Less  than Rs. 1,500", {"lt": 1500}),
        ("up to 50 €", "up to 50 €", {"lte": 50}),
        ("max. 20", None, None),
        ("max 20 euros", "max 20 euros", {"lte": 20}),
        ("watches over 20", "over 20", {"gt": 20}),
        ("at least $15.50", "at least $15.50", {"gte": 15.5}),
        ("50-80 €", "50-80 €", {"gte": 50, "lte": 80}),
        ("$50 to $80", "$50 to $80", {"gte": 50, "lte": 80}),
        ("between 50 and 80", "between 50 and 80", {"gte": 50, "lte": 80}),
        ("under 2k", "under 2k", {"lt": 2000}),
        ("up to 9,99 €", "up to 9,99 €", {"lte": 9.99}),
        ("up to 1.299,00 €", "up to 1.299,00 €", {"lte": 1299}),
        ("under 50 in black", "under 50", {"lt": 50}),
    ],
)
def test_a_phrase_is_a_range_of_prices(text: str, phrase: str | None, bounds: Any) -> None:
    prices = [(found, range_) for found, range_, of_price in read(text) if of_price]
    assert prices == ([] if phrase is None else [(phrase, bounds)])


@pytest.mark.parametrize(
    "text",
    ["toys under 5 years", "under 50% off", "under 10 kg", "nike air max 90", "levis 501", "levis 501-505", "top 10",
     "from 2012", "80 to 50 €", "", "under", "under one hundred", "€50 dress", "in 3-packs", "9" * 400],
)  # fmt: skip
def test_other_numbers_are_no_prices(text: str) -> None:
    assert not [found for found in quantities(text) if found.of_price]


@pytest.mark.parametrize("text", ["under " * 2_000, "1-" * 5_000, "1,0" * 3_000, "under 1 " * 1_000])
def test_odd_texts_take_no_time(text: str) -> None:
    assert len(list(quantities(text))) <= 1_000
