"""Items of concurrent requests, encoded together: while one batch runs, the next one gathers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from clipita.errors import RequestError

Item = TypeVar("Item")
Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Job(Generic[Item]):
    items: Sequence[Item]
    done: asyncio.Future[Vectors]


class Batcher(Generic[Item]):
    """A bounded queue in front of an encoder that runs in one thread.

    No batch waits for company: an idle encoder starts at once, a busy one finds the queue's content as its next batch.

    Args:
        encode: items to unit vectors, [len(items), dim].
        largest: items that are encoded at once.
        capacity: items that may wait; more are refused.
        observe: told the size of every batch.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Item]], Vectors],
        *,
        largest: int,
        capacity: int,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._encode = encode
        self._largest = largest
        self._capacity = capacity
        self._observe = observe
        self._queue: deque[_Job[Item]] = deque()
        self._filled = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._worker: asyncio.Task[None] | None = None
        self.waiting = 0

    async def __call__(self, items: Sequence[Item]) -> Vectors:
        """The items' vectors, [len(items), dim].

        Raises:
            RequestError: too much waits already (status 503), or there are more items than may ever wait (413).
        """
        if len(items) > self._capacity:
            raise RequestError(
                f"{len(items)} items are too many for one request.", status=413, hint=f"Send {self._capacity} at most."
            )
        if self.waiting + len(items) > self._capacity:
            raise RequestError(
                "Too many requests are waiting for the model.", status=503, hint="Try again in a moment."
            )
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        job = _Job(items, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self.waiting += len(items)
        self._filled.set()
        return await job.done

    async def close(self) -> None:
        """Stop; what still waits is cancelled."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for job in self._queue:
            job.done.cancel()
        self._thread.shutdown(wait=True)

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            jobs = self._next()
            if jobs:
                await self._run(jobs)

    def _next(self) -> list[_Job[Item]]:
        """The jobs of the next batch; those whose caller went away are dropped."""
        jobs: list[_Job[Item]] = []
        size = 0
        while self._queue and (not jobs or size + len(self._queue[0].items) <= self._largest):
            job = self._queue.popleft()
            if job.done.done():
                self.waiting -= len(job.items)
                continue
            jobs.append(job)
            size += len(job.items)
        if not self._queue:
            self._filled.clear()
        return jobs

    async def _run(self, jobs: list[_Job[Item]]) -> None:
        items = [item for job in jobs for item in job.items]
        try:
            vectors = await asyncio.get_running_loop().run_in_executor(self._thread, self._in_slices, items)
        except Exception as error:  # noqa: BLE001 - it is raised again in every request of the batch
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
        else:
            start = 0
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(vectors[start : start + len(job.items)])
                start += len(job.items)
        finally:
            self.waiting -= len(items)

    def _in_slices(self, items: Sequence[Item]) -> Vectors:
        slices = [items[start : start + self._largest] for start in range(0, len(items), self._largest)]
        for part in slices:
            self._observe(len(part))
        return np.concatenate([self._encode(part) for part in slices])
