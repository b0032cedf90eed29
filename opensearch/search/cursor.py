"""Cursors: where a search goes on, as one opaque word that fits into a URL."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from clipita.errors import UsageError

VERSION = 2
SortValue = str | int | float | bool | None
Page = Annotated[int, msgspec.Meta(gt=1, lt=2**31)]
_CONTENT = tuple[Literal[2], tuple[SortValue, ...], Page, str, tuple[str, str] | None]


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins.

    Attributes:
        after: sort values of the last hit so far.
        page: number of the page that comes next, 1-based.
        identity: `SearchArguments.place` of the search that it belongs to.
        snapshot: id and keep-alive of the point in time that all its pages read, if there is one.
    """

    after: tuple[SortValue, ...]
    page: int
    identity: str
    snapshot: tuple[str, str] | None = None

    def encode(self) -> str:
        """The cursor as one word of letters, digits, - and _."""
        content = [VERSION, self.after, self.page, self.identity, self.snapshot]
        return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str) -> Cursor:
        """Inverse of `encode`; a UsageError for any other word."""
        try:
            content = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
            _, after, page, identity, snapshot = msgspec.convert(content, _CONTENT)
        except (binascii.Error, ValueError, TypeError, RecursionError, msgspec.ValidationError):
            raise UsageError(
                "This is not a cursor.", hint="Take it from the page before (page.cursor), unchanged."
            ) from None
        return cls(after, page, identity, snapshot)
