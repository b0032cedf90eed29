"""Cursors: where a search goes on, as one opaque word that fits into a URL."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from clipita.errors import UsageError

VERSION = 1


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins.

    Attributes:
        after: sort values of the last hit so far.
        page: number of the page that comes next, 1-based.
        identity: of the search that it belongs to.
        snapshot: id and keep-alive of the point in time that all its pages read, if there is one.
    """

    after: tuple[Any, ...]
    page: int
    identity: str
    snapshot: tuple[str, str] | None = None

    def encode(self) -> str:
        """The cursor as one word of letters, digits, - and _."""
        content = [VERSION, self.after, self.page, self.identity, self.snapshot]
        return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str) -> Cursor:
        """Inverse of `encode`.

        Raises:
            UsageError: the word is no cursor of this version.
        """
        try:
            content = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
            version, after, page, identity, snapshot = content
        except (binascii.Error, ValueError, TypeError, RecursionError):
            raise _broken() from None
        whole = (
            version == VERSION
            and isinstance(after, list)
            and all(isinstance(value, str | int | float | None) for value in after)
            and isinstance(page, int)
            and page > 1
            and isinstance(identity, str)
            and (snapshot is None or (isinstance(snapshot, list) and [type(part) for part in snapshot] == [str, str]))
        )
        if not whole:
            raise _broken()
        return cls(tuple(after), page, identity, None if snapshot is None else (snapshot[0], snapshot[1]))


def _broken() -> UsageError:
    return UsageError("This is no cursor.", hint="Take it from the page before (page.cursor), unchanged.")
