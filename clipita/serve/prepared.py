"""Searches that were planned before: a category page is asked for again and again, and its plan is always the same."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from clipita.opensearch.search.arguments import SearchArguments

KEPT = 1_000
"""At 256 dimensions a body takes some 6 KB."""
LARGEST = 4 * 1024
"""Bytes of a request that is kept; so that a thousand odd ones do not fill the memory."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A planned search.

    Attributes:
        arguments: how to read the answer.
        body: the request's, as JSON.
    """

    arguments: SearchArguments
    body: bytes


class PreparedSearches:
    """The least recently used go first. Not for threads: the event loop alone uses it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Prepared] = OrderedDict()
        self._index: object = None

    def get(self, request: bytes, index: object) -> Prepared | None:
        """What was planned for this request, on this very index.

        Args:
            request: the bytes that were asked.
            index: `ProductSearch.index`; another object means that fields, vectors and settings were read anew.
        """
        if index is not self._index:
            self._kept.clear()
            self._index = index
        found = self._kept.get(request)
        if found is not None:
            self._kept.move_to_end(request)
        return found

    def keep(self, request: bytes, options: dict[str, Any], prepared: Prepared, index: object) -> None:
        """Keep a plan, unless it is of its moment: boosts look at the clock, and a cursor is followed once."""
        passing = prepared.arguments.boosts or "cursor" in options
        if passing or len(request) > LARGEST or index is not self._index:
            return
        self._kept[request] = prepared
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
