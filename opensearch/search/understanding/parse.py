"""What a query says about fields: `understand`. Nothing here talks to a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from clipita.opensearch.search.understanding.quantities import Quantity, quantities, whole
from clipita.opensearch.search.understanding.vocabulary import Known, Stems, Vocabulary, Word

_WORDS = {"lt": "under", "lte": "up to", "gt": "over", "gte": "from"}

Condition = tuple[str, ...] | Mapping[str, float | str]
"""Any of some values, a number's bounds, or words that a text must have."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A part of a query that says something about a field.

    `filters={part.field: part.filter}` is the same condition as a filter.

    Attributes:
        text: as typed.
        start: its place in the query, in characters.
        end: behind it.
        field: the shop's name of the field.
        value: in words: the value as the products have it, or "under 1000".
        filter: what products must have: any of some values, a number's bounds, or words of the title.
        kind: value or range.
        strict: whether others are left out; else they are ranked lower.
    """

    text: str
    start: int
    end: int
    field: str
    value: str
    filter: Condition
    kind: Literal["value", "range"]
    strict: bool


@dataclass(frozen=True, slots=True)
class Understanding:
    """A query that was read.

    Attributes:
        rest: the query without its parts and the stop words before them; empty where nothing is left.
        parts: in the order of the query.
        names_category: whether the rest has the whole name of a category.
    """

    rest: str
    parts: tuple[Understood, ...]
    names_category: bool


def understand(
    text: str,
    vocabulary: Vocabulary,
    *,
    strict: bool = False,
    keep_words: Collection[str] = (),
    values: bool = True,
) -> Understanding:
    """Read a query.

    Args:
        text: as typed.
        vocabulary: of the shop.
        strict: whether values are filters, as ranges always are.
        keep_words: parts of the text that stay words.
        values: whether values and openings of titles are parts too, not ranges alone.
    """
    return _Reader(text, vocabulary, strict, keep_words).read(values)


class _Reader:
    """One query while it is read: each word is free, part of a category's name, or taken."""

    def __init__(self, text: str, vocabulary: Vocabulary, strict: bool, keep_words: Collection[str]) -> None:
        self.text = text
        self.vocabulary = vocabulary
        self.strict = strict
        self.words = vocabulary.words(text)
        self.content = [word for word in self.words if word.stem]
        self.stems = tuple(word.stem for word in self.content)
        self.taken = [False] * len(self.content)
        self.parts: list[Understood] = []
        for kept in keep_words:
            for match in re.finditer(re.escape(kept), text, re.IGNORECASE) if kept else ():
                self._take(match.start(), match.end())

    def read(self, values: bool) -> Understanding:
        named = False
        for first, last, stems in self._runs():
            if self.vocabulary.is_category(stems) and self._is_free(first, last):
                self.taken[first:last] = [True] * (last - first)
                named = True
        for quantity in quantities(self.text):
            self._read_quantity(quantity)
        for first, last, stems in self._runs() if values else ():
            if self._is_free(first, last):
                self._read_value(first, last, self.vocabulary.meanings(stems))
        for first, last, stems in self._runs() if values else ():
            opening = self.vocabulary.opening(stems)
            if opening is not None and self._is_free(first, last):
                self._add(first, last, self.vocabulary.title, opening, {"match": opening})
        self.parts.sort(key=lambda part: part.start)
        return Understanding(self._rest(), tuple(self.parts), named)

    def _runs(self) -> Iterator[tuple[int, int, Stems]]:
        """Every run of words that something known begins with, the longest first."""
        stems = self.stems
        firsts = [position for position, stem in enumerate(stems) if self.vocabulary.begins(stem)]
        for length in range(min(self.vocabulary.longest, len(stems)), 0, -1):
            for first in firsts:
                if first + length <= len(stems):
                    yield first, first + length, stems[first : first + length]

    def _is_free(self, first: int, last: int) -> bool:
        return not any(self.taken[first:last])

    def _take(self, start: int, end: int) -> None:
        for position, word in enumerate(self.content):
            if word.start < end and start < word.end:
                self.taken[position] = True

    def _read_quantity(self, quantity: Quantity) -> None:
        place = [position for position, word in enumerate(self.content) if _inside(word, quantity)]
        if not place or not self._is_free(place[0], place[-1] + 1):
            return
        named = self._name_before(place[0], self.vocabulary.number)
        field, first = named or (self.vocabulary.price if quantity.of_price else None, place[0])
        if field is None:
            return
        start = quantity.start if named is None else self.content[first].start
        bounds: dict[str, float] = {name: whole(bound) for name, bound in quantity.bounds.items()}
        self._add(first, place[-1] + 1, field, _in_words(bounds), bounds, (start, quantity.end))

    def _read_value(self, first: int, last: int, meanings: Mapping[str, Known]) -> None:
        chosen = None
        for known in meanings.values():
            before = self._name_before(first, self.vocabulary.field, known.field)
            after = self._name_after(last, known.field)
            if before or after:
                first, last, chosen = before[1] if before else first, after or last, known
                break
            if chosen is None and not known.weak:
                chosen = known
        if chosen is not None:
            self._add(first, last, chosen.field, chosen.values[0], chosen.values)

    def _name_before(
        self, position: int, look_up: Callable[[Stems], str | None], wanted: str | None = None
    ) -> tuple[str, int] | None:
        """The field whose name ends before a position, and where the name begins."""
        for first in range(max(0, position - self.vocabulary.longest), position):
            found = look_up(self.stems[first:position])
            if found is not None and found == (wanted or found) and self._is_free(first, position):
                return found, first
        return None

    def _name_after(self, position: int, wanted: str) -> int | None:
        """Where the field's name ends that begins at a position."""
        for last in range(position + 1, min(len(self.stems), position + self.vocabulary.longest) + 1):
            if self.vocabulary.field(self.stems[position:last]) == wanted and self._is_free(position, last):
                return last
        return None

    def _add(
        self,
        first: int,
        last: int,
        field: str,
        value: str,
        condition: Condition,
        span: tuple[int, int] | None = None,
    ) -> None:
        """Take words, and with a `span` of characters what stands around them: a unit, a currency."""
        self.taken[first:last] = [True] * (last - first)
        kind: Literal["value", "range"] = "value" if span is None else "range"
        start, end = span or (self.content[first].start, self.content[last - 1].end)
        strict = self.strict or kind == "range"
        self.parts.append(Understood(self.text[start:end], start, end, field, value, condition, kind, strict))

    def _rest(self) -> str:
        if not self.parts:
            return self.text
        pieces, left = [], 0
        for part in self.parts:
            # A stop word before a part belongs to it: "for men", "in red".
            start = part.start
            for word in reversed([word for word in self.words if word.end <= part.start]):
                if word.stem or word.start < left:
                    break
                start = word.start
            pieces.append(self.text[left:start])
            left = part.end
        rest = " ".join("".join([*pieces, self.text[left:]]).split())
        return rest if any(word.stem for word in self.vocabulary.words(rest)) else ""


def _inside(word: Word, quantity: Quantity) -> bool:
    return quantity.start <= word.start < quantity.end


def _in_words(bounds: Mapping[str, float]) -> str:
    """Bounds as a text: "under 1000", "50 to 80", "42"."""
    if len(bounds) == 2:
        low, high = bounds["gte"], bounds["lte"]
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"
    name, bound = next(iter(bounds.items()))
    return f"{_WORDS[name]} {bound:,}"
