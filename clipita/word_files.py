"""Files of words that a shop keeps: synonyms in Solr's format, and words that compounds are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import UsageError

MAX_BYTES = 10_000_000
MAX_RULES = 50_000
"""They are kept in the index's settings, of which every node of a cluster holds a copy."""
MAX_PHRASE = 200
"""Characters of a phrase."""
SHOWN = 5

_COMMA = re.compile(r"(?<!\\),")
_ARROW = re.compile(r"(?<!\\)=>")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Rule:
    """One line of synonyms.

    Attributes:
        line: its number, from 1.
        phrases: what people type.
        stand_for: what these are searched as instead; empty where all phrases stand for each other.
    """

    line: int
    phrases: tuple[str, ...]
    stand_for: tuple[str, ...] = ()


def read_synonyms(file: str | Path) -> list[Rule]:
    r"""The rules of a file in Solr's format: `sofa, couch` or `tee => t-shirt`; # begins a comment, \, is a comma.

    Raises:
        UsageError: the file cannot be read, or lines of it are no rules; with the numbers of these lines.
    """
    rules, faults = [], []
    for line, text in _lines(Path(file)):
        sides = [tuple(_phrase(part) for part in _COMMA.split(side)) for side in _ARROW.split(text)]
        phrases = [phrase for side in sides for phrase in side]
        if len(sides) > 2:
            faults.append((line, "has more than one =>"))
        elif not all(phrases):
            faults.append((line, "has an empty phrase"))
        elif len(phrases) == 1:
            faults.append((line, "has one phrase alone"))
        elif any(len(phrase) > MAX_PHRASE for phrase in phrases):
            faults.append((line, f"has a phrase of more than {MAX_PHRASE} characters"))
        else:
            rules.append(Rule(line, sides[0], sides[1] if len(sides) == 2 else ()))
    refuse(file, faults, r"Write `a, b, c` or `a, b => c`, and \, for a comma in a phrase.")
    if len(rules) > MAX_RULES:
        raise UsageError(f"{file} has {len(rules):,} rules; {MAX_RULES:,} are allowed.")
    return rules


def read_compounds(file: str | Path) -> list[str]:
    """The words of a file, one per line, in lower case.

    Raises:
        UsageError: the file cannot be read or has no word, or lines of it are no single words; with their numbers.
    """
    words, faults = [], []
    for line, text in _lines(Path(file)):
        if not text.isalpha() or len(text) < 2:
            faults.append((line, f"is no word: {text[:40]!r}"))
        words.append(text.lower())
    refuse(file, faults, "Write one word per line, letters only.")
    if not words:
        raise UsageError(f"{file} has no words.")
    if len(words) > MAX_RULES:
        raise UsageError(f"{file} has {len(words):,} words; {MAX_RULES:,} are allowed.")
    return list(dict.fromkeys(words))


def refuse(file: str | Path, faults: list[tuple[int, str]], hint: str | None = None) -> None:
    """Raise a UsageError that names the first faulty lines, if there are any."""
    if faults:
        shown = "; ".join(f"line {line} {fault}" for line, fault in faults[:SHOWN])
        more = f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
        raise UsageError(f"{file}: {shown}{more}.", hint=hint)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that are neither blank nor comments, with their numbers."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UsageError(f"{file} has more than {MAX_BYTES / 1e6:.0f} MB.")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", hint="Give a text file in UTF-8.") from error
    for number, line in enumerate(text.split("\n"), 1):
        if (line := line.strip()) and not line.startswith("#"):
            yield number, line


def _phrase(part: str) -> str:
    return " ".join(_ESCAPED.sub(r"\1", part).split())
