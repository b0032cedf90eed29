"""Vectors of queries: encoded once, and kept for the next time."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from clipita.errors import UsageError

if TYPE_CHECKING:
    from clipita.catalogue.product import CategoryPath
    from clipita.runtime import Bundle

KEPT = 10_000
"""Query vectors in the cache, which drops the least recently used; at 256 dimensions each takes about 8 KB."""
LONGEST_KEY = 200
"""Characters of a text that is a key itself, not by its digest: 10,000 texts of 10,000 characters would take 100 MB."""


class Encoded(NamedTuple):
    """A query's unit vector, [dim], and how near the query is to a known category: 0 to 1, NaN where nothing says."""

    vector: tuple[float, ...]
    gate: float = math.nan


class QueryVectors:
    """Encodes queries with a bundle, if there is one; may be shared by threads.

    Attributes:
        bundle: whose text graph is used; None where only what is kept is known.
    """

    def __init__(self, model: str | Path | Bundle | None, device: str) -> None:
        if isinstance(model, str | Path):
            from clipita.runtime.bundle import QUERY_FILES, Bundle

            model = Bundle.load(Path(model), QUERY_FILES)
        self.bundle = model
        self._encoder = None
        if self.bundle is not None:
            from clipita.runtime import TextEncoder

            self._encoder = TextEncoder(self.bundle, device)
        self._kept: LRUCache[str, Encoded] = LRUCache(KEPT)
        self._lock = threading.Lock()

    def encoded(self, query: str) -> Encoded:
        """The query's vector; kept for the next time.

        Raises:
            UsageError: there is no model.
        """
        found = self.kept(query)
        if found is None:
            if self._encoder is None:
                raise UsageError(
                    "This search was made without a model.",
                    hint="Give `model`, use the mode lexical, or name a category.",
                )
            *vector, gate = self._encoder.encode_gated([query])[0].tolist()
            found = Encoded(tuple(vector), gate)
            self.keep(query, found)
        return found

    def anchored(self, queries: Sequence[str]) -> list[tuple[float, ...]] | None:
        """Unit vectors as if no query named a known category, each [dim]; None where the model cannot say."""
        found = None if self._encoder is None else self._encoder.anchored(queries)
        return None if found is None else [tuple(row) for row in found.tolist()]

    def category(self, text: str) -> CategoryPath | None:
        """The category that a text names, if the bundle was amended by it."""
        return None if self.bundle is None else self.bundle.amendments.category(text)

    @property
    def category_texts(self) -> list[str]:
        """Every text that the bundle was amended by."""
        return [] if self.bundle is None else [text for text, _ in self.bundle.amendments.entries]

    def respelled(self, text: str) -> str | None:
        """A text with its added names of categories replaced by the categories' own; None where it has none."""
        return None if self.bundle is None else self.bundle.amendments.respelled(text)

    def kept(self, query: str) -> Encoded | None:
        """The query's vector if it is kept."""
        with self._lock:
            found: Encoded | None = self._kept.get(_key(query))
        return found

    def keep(self, query: str, encoded: Encoded) -> None:
        """Keep a vector that was encoded elsewhere, in a batch for instance."""
        with self._lock:
            self._kept[_key(query)] = encoded


def _key(query: str) -> str:
    """The query, or a digest of a long one."""
    if len(query) <= LONGEST_KEY:
        return query
    return "\0" + hashlib.blake2b(query.encode(errors="surrogatepass"), digest_size=32).hexdigest()
