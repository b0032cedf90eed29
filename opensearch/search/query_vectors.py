"""Query texts to vectors, each encoded once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from clipita.errors import UsageError

if TYPE_CHECKING:
    from clipita.runtime import Bundle

KEPT = 10_000
"""Vectors that are kept, the least recently used go first; at 256 dimensions each takes some 8 KB."""
LONGEST = 200
"""Characters of a text that is kept as it is."""


class QueryVectors:
    """The unit vectors of queries; may be shared by threads.

    Args:
        bundle: the model; None gives vectors to nothing.
        device: cpu, cuda or cuda:N.
    """

    def __init__(self, bundle: Bundle | None, device: str = "cpu") -> None:
        self._encoder = None
        if bundle is not None:
            from clipita.runtime import TextEncoder

            self._encoder = TextEncoder(bundle, device)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def __call__(self, query: str) -> tuple[float, ...]:
        """The query's vector, [dim].

        Raises:
            UsageError: there is no model.
        """
        vector = self.peek(query)
        if vector is None:
            if self._encoder is None:
                raise UsageError(
                    "This search was made without a model.",
                    hint="Give `model`, use the mode lexical, or name a category.",
                )
            vector = tuple(self._encoder.encode([query])[0].tolist())
            self.keep(query, vector)
        return vector

    def keep(self, query: str, vector: tuple[float, ...]) -> None:
        """Keep a vector that was encoded elsewhere, in a batch for instance."""
        with self._lock:
            self._kept[_key(query)] = vector
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def peek(self, query: str) -> tuple[float, ...] | None:
        """The vector if it is kept."""
        key = _key(query)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)


def _key(query: str) -> str:
    """The query, or a digest of a long one: ten thousand texts of ten thousand characters would fill the memory."""
    if len(query) <= LONGEST:
        return query
    return "\0" + hashlib.blake2b(query.encode(errors="surrogatepass"), digest_size=32).hexdigest()
