"""The languages of the words half, as Lucene's analyzers have them, and which one a shop's index is in.

Each entry is the chain of a built-in analyzer of OpenSearch, which its documentation spells out as a custom analyzer:
https://docs.opensearch.org/latest/analyzers/language-analyzers/index/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.errors import ConfigError
from clipita.option_table import nearest, option

Filter = str | Mapping[str, Any]
"""A token filter by the name of a built-in one, or by its settings."""

ENGLISH = "english"
COMPOUNDING = ("danish", "dutch", "finnish", "german", "norwegian", "swedish")
"""Languages whose compounds can be taken apart, by a list of words."""


@dataclass(frozen=True)
class LanguageConfig:
    """The language of titles and attributes."""

    language: str = option(
        ENGLISH, "Language of titles and attributes in a new index: a name of Lucene's language analyzers, czech."
    )
    synonyms: Path | None = option(
        None, "Synonyms in Solr's format, which a new index searches with too.", example="synonyms.txt"
    )
    compounds: Path | None = option(
        None,
        "Words, one per line, that compounds of a new index are taken apart into (German and its neighbours).",
        example="words.txt",
    )


@dataclass(frozen=True)
class Language:
    """How the words of a language are read.

    Attributes:
        filters: of the built-in analyzer, in their order.
        tokenizer: what makes words of a text.
        zero_width: zero-width joiners count as blanks.
        snowball: the name of its Snowball stemmer, where that is another than the language's.
        plugin: of the cluster that has these filters, where they are in none of its own.
    """

    filters: tuple[Filter, ...]
    tokenizer: str = "standard"
    zero_width: bool = False
    snowball: str = ""
    plugin: str = ""

    @property
    def articles(self) -> tuple[str, ...]:
        """Articles that are cut off before an apostrophe."""
        for entry in self.filters:
            if not isinstance(entry, str) and entry["type"] == "elision":
                return tuple(entry["articles"])
        return ()


def _stop(words: str | list[str]) -> Filter:
    return {"type": "stop", "stopwords": f"_{words}_" if isinstance(words, str) else words}


def _stemmer(language: str) -> Filter:
    return {"type": "stemmer", "language": language}


def _elision(articles: str) -> Filter:
    return {"type": "elision", "articles": articles.split(), "articles_case": True}


def _lowercase(language: str) -> Filter:
    return {"type": "lowercase", "language": language}


def _plain(name: str, stemmer: str = "") -> Language:
    return Language(("lowercase", _stop(name), _stemmer(stemmer or name)))


_INDIC: tuple[Filter, ...] = ("lowercase", "decimal_digit", "indic_normalization")
_CJK_STOP = (
    "a and are as at be but by for if in into is it no not of on or s such t that the their then there these they this "
    "to was will with www"
)
_DUTCH = {
    "type": "stemmer_override", "rules": ["fiets=>fiets", "bromfiets=>bromfiets", "ei=>eier", "kind=>kinder"]
}  # fmt: skip
_FRENCH = "l m t qu n s j d c jusqu quoiqu lorsqu puisqu"
_ITALIAN = "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d"

LANGUAGES: Mapping[str, Language] = {
    "arabic": Language(("lowercase", "decimal_digit", _stop("arabic"), "arabic_normalization", _stemmer("arabic"))),
    "armenian": _plain("armenian"),
    "basque": _plain("basque"),
    "bengali": Language((*_INDIC, "bengali_normalization", _stop("bengali"), _stemmer("bengali"))),
    "brazilian": Language(("lowercase", _stop("brazilian"), _stemmer("brazilian")), snowball="portuguese"),
    "bulgarian": _plain("bulgarian"),
    "catalan": Language((_elision("d l m n s t"), "lowercase", _stop("catalan"), _stemmer("catalan"))),
    "cjk": Language(("cjk_width", "lowercase", "cjk_bigram", _stop(_CJK_STOP.split()))),
    "czech": _plain("czech"),
    "danish": _plain("danish"),
    "dutch": Language(("lowercase", _stop("dutch"), _DUTCH, _stemmer("dutch"))),
    ENGLISH: Language((_stemmer("possessive_english"), "lowercase", _stop("english"), _stemmer("english"))),
    "estonian": _plain("estonian"),
    "finnish": _plain("finnish"),
    "french": Language((_elision(_FRENCH), "lowercase", _stop("french"), _stemmer("light_french"))),
    "galician": _plain("galician"),
    "german": Language(("lowercase", _stop("german"), "german_normalization", _stemmer("light_german"))),
    "greek": Language((_lowercase("greek"), _stop("greek"), _stemmer("greek"))),
    "hindi": Language((*_INDIC, "hindi_normalization", _stop("hindi"), _stemmer("hindi"))),
    "hungarian": _plain("hungarian"),
    "indonesian": _plain("indonesian"),
    "irish": Language(
        (
            {"type": "stop", "stopwords": ["h", "n", "t"], "ignore_case": True}, _elision("d m b"),
            _lowercase("irish"), _stop("irish"), _stemmer("irish"),
        )
    ),
    "italian": Language((_elision(_ITALIAN), "lowercase", _stop("italian"), _stemmer("light_italian"))),
    "latvian": _plain("latvian"),
    "lithuanian": _plain("lithuanian"),
    "norwegian": _plain("norwegian"),
    "persian": Language(
        ("lowercase", "decimal_digit", "arabic_normalization", "persian_normalization", _stop("persian"),
         "persian_stem"),
        zero_width=True,
    ),
    "polish": Language(("lowercase", "polish_stop", "polish_stem"), plugin="analysis-stempel"),
    "portuguese": _plain("portuguese", "light_portuguese"),
    "romanian": _plain("romanian"),
    "russian": _plain("russian"),
    "sorani": Language(("sorani_normalization", "lowercase", "decimal_digit", _stop("sorani"), _stemmer("sorani"))),
    "spanish": _plain("spanish", "light_spanish"),
    "swedish": _plain("swedish"),
    "thai": Language(("lowercase", "decimal_digit", _stop("thai")), tokenizer="thai"),
    "turkish": Language(("apostrophe", _lowercase("turkish"), _stop("turkish"), _stemmer("turkish"))),
}  # fmt: skip


def language_of(name: str) -> Language:
    """The language of this name.

    Raises:
        ConfigError: no language has this name; the hint offers the nearest.
    """
    if name not in LANGUAGES:
        raise ConfigError(f"There is no language {name!r} for the words half.", hint=nearest(name, LANGUAGES))
    return LANGUAGES[name]
