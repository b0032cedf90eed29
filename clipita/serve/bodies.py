"""Request bodies are read before a request counts as one under way: who sends slowly keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Message, Receive

from clipita.errors import RequestError
from clipita.serve.embedding import MAX_BODY

BODY_LIMITS = {"/v1/embed/product": MAX_BODY}
OTHER_BODY_LIMIT = 256 * 1024
"""Bytes of a request's body, by path and elsewhere."""
PER_PEER = 32
"""Unfinished bodies of one address; a further one ends the oldest. A body that comes at once is never unfinished."""
BYTES_PER_SECOND = 1024 * 1024
"""What a body may bring to have a second more."""
MOST_BYTES = 256 * 1024 * 1024
"""Bytes of all bodies that are in memory."""


class Bodies:
    """Reads bodies within limits of size, time, memory, and number per address.

    Args:
        seconds: for a body to arrive; each `BYTES_PER_SECOND` of it adds one.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._unfinished: dict[str, dict[asyncio.Timeout, None]] = {}
        self._bytes = 0

    async def read(self, receive: Receive, peer: str, most: int) -> bytes | None:
        """The whole body, to be given back with `release`; None where the caller went away.

        Raises:
            RequestError: the body is larger than `most` bytes (413), too slow, or the oldest of too many (408), or
                bodies take too much memory (503).
        """
        chunks: list[bytes] = []
        size = 0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self._seconds) as deadline, self._among(peer, deadline) as unfinished:
                more = True
                while more:
                    message: Message = await receive()
                    if message["type"] == "http.disconnect":
                        self.release(size)
                        return None
                    chunk: bytes = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(chunk)
                    self._bytes += len(chunk)
                    self._check(size, most)
                    chunks.append(chunk)
                    if deadline in unfinished and not deadline.expired():
                        deadline.reschedule(begun + self._seconds + size / BYTES_PER_SECOND)
        except TimeoutError:
            self.release(size)
            raise RequestError("The request's body came too slowly.", status=408, hint="Send it again.") from None
        except BaseException:
            self.release(size)
            raise
        return b"".join(chunks)

    @asynccontextmanager
    async def _among(self, peer: str, deadline: asyncio.Timeout) -> AsyncIterator[Collection[asyncio.Timeout]]:
        """Count a body among the unfinished ones of its address, the oldest of which ends if they are too many."""
        unfinished = self._unfinished.setdefault(peer, {})
        unfinished[deadline] = None
        if len(unfinished) > PER_PEER:
            oldest = next(iter(unfinished))
            del unfinished[oldest]
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())
        try:
            yield unfinished
        finally:
            unfinished.pop(deadline, None)
            if not unfinished:
                self._unfinished.pop(peer, None)

    def _check(self, size: int, most: int) -> None:
        if size > most:
            raise too_large(most)
        if self._bytes > MOST_BYTES:
            raise RequestError("The server is busy.", status=503, hint="Try again in a moment.")

    def release(self, size: int) -> None:
        """Count a body's bytes no longer."""
        self._bytes -= size


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request has a body."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


def body_limit(path: str) -> int:
    """Most bytes of a body to a path."""
    return BODY_LIMITS.get(path, OTHER_BODY_LIMIT)


def too_large(most: int) -> RequestError:
    """The error for a body above a limit."""
    return RequestError("The request is too large.", status=413, hint=f"Send {most:,} bytes at most.")


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, and then what else comes."""
    given = False

    async def read() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read
