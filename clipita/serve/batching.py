"""The batch queue: items of concurrent requests are encoded together."""

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
from clipita.serve.metrics import Metrics
from clipita.serve_config import ServeConfig

Item = TypeVar("Item")
Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Job(Generic[Item]):
    items: Sequence[Item]
    done: asyncio.Future[Vectors]


class Batcher(Generic[Item]):
    """A bounded queue in front of an encoder that runs in one thread.

    An idle encoder starts at once; a busy one takes what has gathered in the queue as its next batch. `encode` turns
    items into unit vectors, [len(items), dim]. Batches and waiting items are counted under `name`.
    """

    def __init__(
        self, encode: Callable[[Sequence[Item]], Vectors], config: ServeConfig, metrics: Metrics, name: str
    ) -> None:
        self._encode = encode
        self._largest = config.batch_size
        self._capacity = config.queue
        self._batches = metrics.batches.labels(name)
        self._queue: deque[_Job[Item]] = deque()
        self._filled = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._worker: asyncio.Task[None] | None = None
        self._waiting = 0
        metrics.waiting.labels(name).set_function(lambda: self._waiting)

    async def __call__(self, items: Sequence[Item]) -> Vectors:
        """The items' vectors, [len(items), dim]; a RequestError if the queue is full (503) or too small (413)."""
        if len(items) > self._capacity:
            raise RequestError(
                f"{len(items)} items are too many for one request.", status=413, hint=f"Send {self._capacity} at most."
            )
        if self._waiting + len(items) > self._capacity:
            raise RequestError(
                "Too many requests are waiting for the model.", status=503, hint="Try again in a moment."
            )
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        job = _Job(items, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._waiting += len(items)
        self._filled.set()
        return await job.done

    async def close(self) -> None:
        """Stop, and cancel what waits."""
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
                self._waiting -= len(job.items)
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
            self._waiting -= len(items)

    def _in_slices(self, items: Sequence[Item]) -> Vectors:
        slices = [items[start : start + self._largest] for start in range(0, len(items), self._largest)]
        for part in slices:
            self._batches.observe(len(part))
        return np.concatenate([self._encode(part) for part in slices])
