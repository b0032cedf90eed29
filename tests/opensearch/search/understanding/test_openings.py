"""Words that open titles and stand hardly anywhere else."""

from __future__ import annotations

from clipita.opensearch.search.understanding.openings import LEAST_TITLES, openings
from clipita.opensearch.search.understanding.vocabulary import MAX_READ


def times(title: str, count: int = LEAST_TITLES) -> list[str]:
    return [f"{title} model{number}" for number in range(count)]


def test_a_brand_opens_titles() -> None:
    assert openings([*times("Puma"), *times("puma", 2), *times("Lee")]) == ["Lee", "Puma"]


def test_few_titles_say_nothing() -> None:
    assert openings(times("Puma shoe", LEAST_TITLES - 1)) == []


def test_words_of_other_places_are_none() -> None:
    titles = [*times("Leather"), *times("Acme leather", 2), *times("Acme red"), *times("red")]
    assert openings(titles) == ["Acme"]


def test_an_opening_goes_on_with_what_nearly_always_follows() -> None:
    titles = [*times("Forever New"), *times("Acme new"), *times("Acme")]
    assert openings(titles) == ["Acme", "Forever", "Forever New"]


def test_an_opening_goes_on_with_a_word_of_its_own() -> None:
    titles = [*times("John Miller"), *times("John Players"), *times("John blue"), *times("blue")]
    assert openings(titles) == ["John", "John Miller", "John Players"]


def test_hostile_titles() -> None:
    assert openings([]) == []
    assert openings(["", "   ", "\u200b", "💥", "\ud800"] * LEAST_TITLES) == []
    assert openings(["word " * (MAX_READ * 100)] * LEAST_TITLES) == ["word", "word word", "word word word"]
