"""Answers that were given a moment ago, and answers that are just being made."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

KEPT = 1_000
"""A page of 24 products is some 25 KB."""


class RecentAnswers:
    """Gives an answer again while it is fresh; those who ask at once share one. For one event loop.

    OpenSearch itself shows a change at its next refresh only, every second as shipped, so answers that are as fresh as
    that hide nothing that a shop relied on.

    Args:
        seconds: how long an answer is given again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[bytes, tuple[float, asyncio.Task[bytes]]] = OrderedDict()

    async def get(self, request: bytes, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer to this very request.

        Args:
            request: what was asked, word by word.
            make: makes it. An error reaches all who wait for it, and is not kept.
        """
        begun, task = self._kept.get(request, (0.0, None))
        if task is None or time.monotonic() - begun > self._seconds:
            task = asyncio.ensure_future(_awaited(make))
            self._keep(request, task)
        # One caller who goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def _keep(self, request: bytes, task: asyncio.Task[bytes]) -> None:
        self._kept.pop(request, None)
        self._kept[request] = (time.monotonic(), task)
        task.add_done_callback(lambda done: self._forget_failed(request, done))
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _forget_failed(self, request: bytes, task: asyncio.Task[bytes]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._kept.get(request, (0.0, None))[1] is task:
            del self._kept[request]


async def _awaited(make: Callable[[], Awaitable[bytes]]) -> bytes:
    return await make()
