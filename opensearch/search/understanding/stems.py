"""Words as the index's analyzer has them, so that "shoes" of a query is "Shoe" of a product's field."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from clipita.errors import AuthenticationError
from clipita.evaluation.words import STOP_WORDS, stem
from clipita.opensearch.search.fields import mapping_at

log = logging.getLogger("clipita.opensearch")

MAX_LENGTH = 50
"""A longer word is its own stem, so that kept words stay small."""
KEPT_WORDS = 100_000
AT_ONCE = 200
"""Words of one request: an analyzer may make 50 tokens of each, and the cluster refuses more than 10,000 tokens."""

Ask = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Sends the body of an `_analyze` request."""


class Stemmer:
    """A word's stem by the analyzer of one text field; empty for a stop word.

    The stems of the `english` analyzer are computed here. Those of any other are asked of the cluster, once a word.

    Args:
        properties: of the index's mapping.
        field: the path of the text field.
    """

    def __init__(self, properties: Mapping[str, Any], field: str) -> None:
        self._field = field
        self._local = mapping_at(properties, field).get("analyzer") == "english"
        self._stems: dict[str, str] = {}

    def __call__(self, word: str) -> str:
        """The stem of a word in lower case; the word itself where it has not been learnt."""
        return english(word) if self._local else self._stems.get(word, word)

    def unknown(self, words: Collection[str]) -> list[str]:
        """Those of some words that must be learnt first."""
        if self._local:
            return []
        return [word for word in words if word not in self._stems and len(word) <= MAX_LENGTH]

    def learn(self, words: Sequence[str], ask: Ask) -> None:
        """Ask the cluster for the stems of unknown words; without the permission, a word is its own stem."""
        if len(self._stems) + len(words) > KEPT_WORDS:
            self._stems.clear()
        for start in range(0, len(words), AT_ONCE):
            some = words[start : start + AT_ONCE]
            try:
                stems = _joined(some, ask({"field": self._field, "text": some})["tokens"])
            except AuthenticationError as error:
                log.warning("Words of queries are compared with values as they are: %s", error.message)
                self._stems.update(zip(words, words, strict=True))
                return
            self._stems.update(zip(some, stems, strict=True))


def english(word: str) -> str:
    """The stem of a word in lower case as the analyzer `english` has it; empty for a stop word."""
    if len(word) > MAX_LENGTH:
        return word
    word = word.removesuffix("'s").removesuffix("\u2019s")
    return "" if word in STOP_WORDS else stem(word)


def _joined(words: Sequence[str], tokens: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tokens of each word; the answer counts characters through all words, with one between two of them."""
    joined, position, start = [], 0, 0
    for word in words:
        end = start + len(word.encode("utf-16-le")) // 2
        own = []
        while position < len(tokens) and tokens[position]["start_offset"] <= end:
            own.append(tokens[position]["token"])
            position += 1
        joined.append(" ".join(own))
        start = end + 1
    return joined
