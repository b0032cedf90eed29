"""Category names as people type them, and phrases of the catalogue's own text. Both need no label but the name."""

from __future__ import annotations

import random
from collections.abc import Sequence

MAX_TYPOS = 40
"""Most misspellings of one name that are learnt."""
MAX_TEXTS = 20_000
"""Texts of all names together: with a large tree each name gets fewer."""
MAX_PHRASES = 8_192
_LONGEST_PHRASE = 3
_SIBILANTS = ("ses", "shes", "ches", "xes", "zes")


def singular(name: str) -> str:
    """The name with its last word in the singular, by the rules of English; unchanged where none fits."""
    head, space, last = name.rpartition(" ")
    lower = last.lower()
    if lower.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif lower.endswith(_SIBILANTS):
        last = last[:-2]
    elif lower.endswith("s") and not lower.endswith("ss") and len(last) > 3:
        last = last[:-1]
    return f"{head}{space}{last}"


def plural(name: str) -> str:
    """The name with an s, where it has none."""
    return name if name.lower().endswith("s") else f"{name}s"


def misspellings(name: str) -> list[str]:
    """The lower-case name with one letter left out, doubled, or swapped with the next."""
    word = name.lower()
    found = set()
    for at, letter in enumerate(word):
        if letter.isalpha():
            found.add(word[:at] + word[at + 1 :])
            found.add(word[:at] + letter + word[at:])
            if at + 1 < len(word) and word[at + 1].isalpha():
                found.add(word[:at] + word[at + 1] + letter + word[at + 2 :])
    return sorted(text for text in found - {word} if text.strip())


def name_variants(name: str, templates: Sequence[str], chance: random.Random, limit: int) -> list[str]:
    """At most `limit` ways to type a name, the name itself first; templates have {} where the name goes."""
    forms = [name, name.lower(), singular(name), singular(name).lower(), plural(name), plural(name).lower()]
    framed = [template.replace("{}", form) for template in templates for form in (name, singular(name).lower())]
    slips = misspellings(name)
    chosen = slips if len(slips) <= MAX_TYPOS else chance.sample(slips, MAX_TYPOS)
    return list(dict.fromkeys([*forms, *framed, *chosen]))[: max(1, limit)]


def all_variants(names: Sequence[str], templates: Sequence[str], seed: int) -> list[list[str]]:
    """Ways to type each name; a text that fits two names is given to neither, except a name to itself."""
    chance = random.Random(seed)
    limit = MAX_TEXTS // max(1, len(names))
    variants = [name_variants(name, templates, chance, limit) for name in names]
    owners: dict[str, set[int]] = {}
    for position, texts in enumerate(variants):
        for text in texts:
            owners.setdefault(text.lower(), set()).add(position)
    return [
        [text for text in texts if text == name or len(owners[text.lower()]) == 1]
        for name, texts in zip(names, variants, strict=True)
    ]


def phrases(titles: Sequence[str | None], attributes: Sequence[Sequence[str]], seed: int) -> list[str]:
    """At most `MAX_PHRASES` words and short n-grams drawn from titles, and values of attributes (`name: value`)."""
    chance = random.Random(seed)
    values = {text.partition(": ")[2].strip() for texts in attributes for text in texts}
    found = {value for value in values if value} if len(values) <= MAX_PHRASES // 8 else set()
    texts = [title.split() for title in titles if title and title.strip()]
    for _ in range(4 * MAX_PHRASES if texts else 0):
        if len(found) >= MAX_PHRASES:
            break
        words = chance.choice(texts)
        length = min(len(words), chance.randint(1, _LONGEST_PHRASE))
        start = chance.randrange(len(words) - length + 1)
        found.add(" ".join(words[start : start + length]))
    return sorted(found)
