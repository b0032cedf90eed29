"""Words that open titles, such as brands where the catalogue has no field for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clipita.opensearch.search.understanding.vocabulary import words_in

LEAST_TITLES = 5
"""Titles that must begin alike."""
SHARE = 0.9
"""Of the titles that have a word, those that have it where an opening does."""
LONGEST = 3

Words = tuple[str, ...]


def openings(titles: Sequence[str]) -> list[str]:
    """The words, one to three, that stand at the beginning of titles and hardly anywhere else: "Hush Puppies".

    An opening of one word goes on where nearly all of its titles do so alike, or where nearly all titles with the next
    word have it there. Each is given as most titles write it.
    """
    began: Counter[Words] = Counter()
    having: Counter[str] = Counter()
    written: dict[Words, Counter[str]] = {}
    for title in titles:
        words = words_in(title)
        lower = [word.lower() for word in words]
        having.update(set(lower))
        for length in range(1, min(LONGEST, len(words)) + 1):
            key = tuple(lower[:length])
            began[key] += 1
            written.setdefault(key, Counter())[" ".join(words[:length])] += 1
    found: set[Words] = set()
    # Shorter ones come first, as a longer one begins with one of them.
    for key in sorted((key for key, count in began.items() if count >= LEAST_TITLES), key=len):
        before = key[:-1]
        alone = began[key] >= SHARE * having[key[-1]]
        if (alone and not before) or (before in found and (alone or began[key] >= SHARE * began[before])):
            found.add(key)
    return sorted(written[key].most_common(1)[0][0] for key in found)
