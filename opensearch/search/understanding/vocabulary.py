"""The words that a shop's own data knows: values of its fields, names of its categories and of its number fields."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

MAX_WORDS = 5
"""A longer value is a sentence, which nobody types."""

MAX_READ = 64
"""Words of a query that are read; a longer text is no query of attributes."""

Stems = tuple[str, ...]

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Word(NamedTuple):
    """A word of a text: its stem, which is empty for a stop word, and its place in characters."""

    stem: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a field, and how many products have it."""

    field: str
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Known:
    """What some words mean: the values of one field that are these words, then those that contain them.

    Attributes:
        field: the shop's name of the field.
        values: as the products have them; the most frequent of those that are exactly these words first.
        weak: whether the words are too short to mean this without the field's name beside them: a number, a letter.
    """

    field: str
    values: tuple[str, ...]
    weak: bool


class Vocabulary:
    """Looks up values, category names and field names by their stems.

    Args:
        values: of all fields; those of more than `MAX_WORDS` words are left out.
        categories: names of the shop's categories.
        numbers: the shop's names of its number fields.
        stem: a word as the index's analyzer has it; empty for a stop word.
        openings: words that begin titles, see `openings`.
        title: the shop's name of the field with the titles.

    Attributes:
        title: as given.
        price: the number field that holds prices; None if no field or several could.
        longest: how many words the longest key has.
    """

    def __init__(
        self,
        values: Iterable[Value],
        categories: Iterable[str],
        numbers: Iterable[str],
        stem: Callable[[str], str],
        openings: Iterable[str] = (),
        title: str = "title",
    ) -> None:
        self._stem = stem
        self.title = title
        by_field: dict[str, dict[Stems, list[Value]]] = {}
        for value in values:
            key = self.key(value.text)
            if 0 < len(key) <= MAX_WORDS:
                by_field.setdefault(value.field, {}).setdefault(key, []).append(value)
        self._values: dict[Stems, dict[str, Known]] = {}
        for (key, field), (_, known) in sorted(_meanings(by_field).items(), key=lambda entry: -entry[1][0]):
            self._values.setdefault(key, {})[field] = known
        self._categories = {key for name in categories if (key := self.key(name))}
        self._fields: dict[Stems, str] = {self.key(spaced(field)): field for field in by_field}
        self._numbers: dict[Stems, str] = {self.key(spaced(name)): name for name in numbers}
        self._openings = {key: text for text in openings if (key := self.key(text)) and not _is_weak(key)}
        prices = [name for key, name in self._numbers.items() if stem("price") in key]
        self.price = "price" if "price" in prices else prices[0] if len(prices) == 1 else None
        keys = [*self._values, *self._categories, *self._fields, *self._numbers, *self._openings]
        self.longest = max(map(len, keys), default=0)
        self._first = frozenset(key[0] for key in keys if key)

    def words(self, text: str) -> list[Word]:
        """The first words of a text."""
        stem = self._stem
        return [Word(stem(match.group().lower()), *match.span()) for match in _matches(text)]

    def key(self, text: str) -> Stems:
        """The stems of a text without its stop words."""
        return tuple(word.stem for word in self.words(text) if word.stem)

    def begins(self, stem: str) -> bool:
        """Whether anything known begins with this word."""
        return stem in self._first

    def is_category(self, stems: Stems) -> bool:
        """Whether these words are the whole name of a category."""
        return stems in self._categories

    def meanings(self, stems: Stems) -> Mapping[str, Known]:
        """What these words mean, by field; the field whose value most products have first."""
        return self._values.get(stems, {})

    def field(self, stems: Stems) -> str | None:
        """The field of values that has this name."""
        return self._fields.get(stems)

    def opening(self, stems: Stems) -> str | None:
        """The beginning of titles that these words are, as titles write it."""
        return self._openings.get(stems)

    def number(self, stems: Stems) -> str | None:
        """The number field that has this name."""
        return self._numbers.get(stems)


def words_of(texts: Iterable[str]) -> set[str]:
    """The words that a stemmer must know for these texts, in lower case."""
    return {match.group().lower() for text in texts for match in _matches(text)}


def words_in(text: str) -> list[str]:
    """The first words of a text, as written."""
    return [match.group() for match in _matches(text)]


def _matches(text: str) -> Iterator[re.Match[str]]:
    return itertools.islice(_WORD.finditer(text), MAX_READ)


def _meanings(by_field: Mapping[str, Mapping[Stems, list[Value]]]) -> dict[tuple[Stems, str], tuple[int, Known]]:
    """Each key of each field, with how many products have exactly that value."""
    found: dict[tuple[Stems, str], tuple[int, Known]] = {}
    for field, keys in by_field.items():
        containing: dict[Stems, list[Value]] = {}
        for key, values in keys.items():
            for start in range(len(key)):
                for end in range(start + 1, len(key) + 1):
                    if end - start < len(key) and key[start:end] in keys:
                        containing.setdefault(key[start:end], []).extend(values)
        for key, values in keys.items():
            exact = sorted(values, key=lambda value: -value.count)
            longer = sorted(containing.get(key, ()), key=lambda value: -value.count)
            texts = tuple(dict.fromkeys(value.text for value in [*exact, *longer]))
            found[key, field] = (exact[0].count, Known(field, texts, _is_weak(key)))
    return found


def _is_weak(key: Stems) -> bool:
    return len(key) == 1 and (len(key[0]) == 1 or key[0].isdigit())


def spaced(name: str) -> str:
    """A field's name as a text: `attributes.heel_height` is "heel height"."""
    return name.rpartition(".")[2].replace("_", " ").replace("-", " ")
