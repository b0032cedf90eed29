"""Words of titles for the offline baseline, as the index's analyzer has them.

The `english` chain is that of Lucene's EnglishAnalyzer: standard tokenizer, possessive filter, lower case, stop words,
Porter stemmer.

Reference: https://lucene.apache.org/core/10_3_0/analysis/common/org/apache/lucene/analysis/en/EnglishAnalyzer.html
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import snowballstemmer

from clipita.languages import ENGLISH, language_of

Words = Callable[[str], list[str]]
"""Terms of a text, in order and with repetitions."""

# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
})
# fmt: on
"""EnglishAnalyzer.ENGLISH_STOP_WORDS_SET."""

MAX_TOKEN_LENGTH = 255
"""StandardAnalyzer.DEFAULT_MAX_TOKEN_LENGTH; a longer run of letters is cut into pieces."""

_IDEOGRAPHS = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_PICTOGRAPHS = (  # each is a token, which makes a title with a trade mark sign one term longer
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u231a\u231b\u2328\u23e9-\u23f3\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744"
    "\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767\u2795-\u2797\u27a1\u2b50\u2b55\U0001f300-\U0001f3fa"
    "\U0001f400-\U0001f6ff\U0001f900-\U0001faff"
)
_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer: a run is one token

# Unicode Standard Annex #29, word boundaries: what may stand inside a word and inside a number (MidNumLet is in both).
_MID_ANY = ".'\u2018\u2019\u2024\ufe52\uff07\uff0e"
_MID_LETTER = _MID_ANY + ":\u00b7\u0387\u05f4\u2027\ufe13\ufe55\uff1a"
_MID_NUMBER = _MID_ANY + ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"

_LAST_CODE = 0x1FFFF  # letters beyond are ideographs

_PORTER = snowballstemmer.stemmer("porter")
_DOUBLED = re.compile(r"(?P<start>.*)(?P<consonant>[^aeiouylszbdfgmnprt])(?P=consonant)(?:ed|ing)s?$")
_POSSESSIVE = re.compile("['\u2019\uff07][sS]$")

# What ASCII folding changes besides marks on letters, in lower case.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ł": "l",
        "ı": "i",
        "ħ": "h",
        "ŧ": "t",
        "ŋ": "n",
        "ĸ": "q",
    }
)


def words_in(language: str, warn: Callable[[str], None]) -> Words:
    """What makes terms of a text: the index's own chain for English, for others lower case, stem and ASCII folding.

    Args:
        language: of `clipita.languages.LANGUAGES`.
        warn: called once where the language has no stemmer here.

    Raises:
        ConfigError: an unknown language.
    """
    facts = language_of(language)
    if language == ENGLISH:
        return analyze
    name = facts.snowball or language
    stem: Callable[[str], str] = str
    if name in snowballstemmer.algorithms():
        stem = lru_cache(maxsize=65_536)(snowballstemmer.stemmer(name).stemWord)
    else:
        warn(f"There is no stemmer for {language} here, so BM25 without a cluster compares whole words.")
    elided = re.compile(f"^(?:{'|'.join(facts.articles)})['\u2019]") if facts.articles else None

    def words(text: str) -> list[str]:
        found = (word.lower() for word in tokenize(text))
        return [fold(stem(elided.sub("", word) if elided else word)) for word in found]

    return words


def fold(word: str) -> str:
    """A word in lower case without marks on its letters.

    >>> fold("nabíječka")
    'nabijecka'
    """
    if word.isascii():
        return word
    return "".join(_plain(sign) for sign in word.translate(_LETTERS))


@lru_cache(maxsize=4_096)
def _plain(sign: str) -> str:
    """A Latin letter without its marks; any other sign as it is."""
    letters = "".join(part for part in unicodedata.normalize("NFKD", sign) if part.isascii())
    return letters or sign


def analyze(text: str) -> list[str]:
    """Terms of a text, in order and with repetitions.

    >>> analyze("Men's running shoes")
    ['men', 'run', 'shoe']
    """
    words = (_POSSESSIVE.sub("", word).lower() for word in tokenize(text))
    return [stem(word) for word in words if word and word not in STOP_WORDS]


def tokenize(text: str) -> list[str]:
    """Words of a text by the rules of Lucene's StandardTokenizer (Unicode Standard Annex #29)."""
    words: list[str] = []
    for match in _word_pattern().finditer(text):
        word = match.group()
        words.extend(word[start : start + MAX_TOKEN_LENGTH] for start in range(0, len(word), MAX_TOKEN_LENGTH))
    return words


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Porter's stem of a lower-case word, as Lucene's PorterStemmer gives it.

    Snowball's `porter` differs from it in four things that are corrected here: words of two letters stay, double
    consonants such as kk become single before `-ed` and `-ing` (`trekking`: `trek`), `-bli` becomes `-ble`, and
    `-logi` becomes `-log`.
    """
    if len(word) <= 2:
        return word
    doubled = _DOUBLED.match(word)
    if doubled and any(_vowels(doubled["start"])):
        word = doubled["start"] + doubled["consonant"]
    stemmed: str = _PORTER.stemWord(word)
    if stemmed.endswith("bli") and _measure_is_positive(stemmed[:-3]):
        return str(_PORTER.stemWord(stemmed[:-1] + "e"))
    if stemmed.endswith("logi") and _measure_is_positive(stemmed[:-4]):
        return stemmed[:-1]
    return stemmed


def _vowels(letters: str) -> list[bool]:
    """Which letters are vowels to Porter: y is one after a consonant."""
    flags: list[bool] = []
    for letter in letters:
        flags.append(letter in "aeiou" or (letter == "y" and bool(flags) and not flags[-1]))
    return flags


def _measure_is_positive(letters: str) -> bool:
    """Porter's m > 0: somewhere a consonant follows a vowel."""
    return any(before and not after for before, after in itertools.pairwise(_vowels(letters)))


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    kinds: dict[str, list[int]] = {"letter": [], "number": [], "mark": []}
    special = re.compile(f"[{_IDEOGRAPHS}{_KATAKANA}{_WITHOUT_SPACES}]")
    for code in range(_LAST_CODE + 1):
        category = unicodedata.category(chr(code))
        if category[0] == "M" or category == "Cf":
            kinds["mark"].append(code)
        elif category == "Nd":
            kinds["number"].append(code)
        elif (category[0] == "L" or category == "Nl") and not special.match(chr(code)):
            kinds["letter"].append(code)
    letter, number, mark = (_character_class(codes) for codes in kinds.values())
    marks = f"[{mark}]*"
    letters = f"(?:[{letter}]{marks})+"
    numbers = f"(?:[{number}]{marks})+"
    run = f"(?:(?:{letters}(?:[{_MID_LETTER}]{marks}{letters})*|{numbers}(?:[{_MID_NUMBER}]{marks}{numbers})*)+"
    run += f"|(?:[{_KATAKANA}]{marks})+)"
    joiner = f"_{marks}"
    word = f"(?:{joiner})*{run}(?:(?:{joiner})+{run})*(?:{joiner})*"
    pictograph = f"[{_PICTOGRAPHS}](?:\u200d[{_PICTOGRAPHS}]|[\U0001f3fb-\U0001f3ff{mark}])*"
    return re.compile(f"{pictograph}|[{_IDEOGRAPHS}]{marks}|(?:[{_WITHOUT_SPACES}]{marks})+|{word}")


def _character_class(codes: list[int]) -> str:
    """Runs of consecutive code points as the inside of a regular expression's brackets."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs)
