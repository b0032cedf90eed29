"""The actors on a Ray cluster: the desk, where batches wait, and the encoders.

Ray is imported inside functions, so that this module loads without it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clipita.catalogue.product import Product
from clipita.errors import BundleError, ClipItaError, ProductError
from clipita.opensearch.ingest.documents import BrokenImages
from clipita.opensearch.ingest.stages import Prepared, decoding_pool, prepare
from clipita.runtime import Bundle, ProductEncoder


@dataclass(frozen=True)
class Encoded:
    """The result for one product: its vector, float32 [dim] of unit length, and a JPEG in base64; or its problem.

    Where images cannot be used, `broken_images` says why, and the vector is made of the rest.
    """

    vector: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    thumbnail: str | None = field(default=None, repr=False)
    problem: str | None = None
    broken_images: BrokenImages = ()


@dataclass(frozen=True)
class Failure:
    """Why an encoder cannot work."""

    host: str
    message: str
    hint: str | None


class Desk:
    """Where batches wait for an encoder: a Ray actor, the only part that both sides talk to.

    A batch stays here until its products have an outcome. So a reader that Ray restarts finds each batch again under
    its number, and finished ones as empty batches.
    """

    def __init__(self) -> None:
        self._batches: dict[int, bytes] = {}
        self._next = 0
        self._closed = False
        self._news = asyncio.Condition()
        self._encoders: dict[str, tuple[Any, str]] = {}

    async def put(self, number: int, batch: bytes) -> None:
        """Add batch `number`, counted from 0 without a gap."""
        async with self._news:
            self._batches[number] = batch
            self._next = number + 1
            self._news.notify_all()

    async def take(self, number: int) -> bytes | None:
        """Wait for batch `number`; empty when it is finished, None when no more will come."""
        async with self._news:
            await self._news.wait_for(lambda: self._closed or number < self._next)
            return self._batches.get(number, b"") if number < self._next and not self._closed else None

    async def settle(self, number: int) -> None:
        """Note that all products of this batch have an outcome."""
        self._batches.pop(number, None)

    async def close(self) -> None:
        """Note that no more batches are wanted."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def check_in(self, key: str, handle: Any, where: str) -> None:
        """Note that an encoder is ready."""
        self._encoders[key] = (handle, where)

    async def encoders(self) -> dict[str, tuple[Any, str]]:
        """Encoders so far by their key, each with its handle and its place in words."""
        return dict(self._encoders)


def batches(_block: Any, desk: Any, first: int) -> Iterator[pa.Table]:
    """The batches of a desk as rows {number, batch} of a data set, one per table, from number `first`."""
    import ray

    for number in itertools.count(first):
        batch = ray.get(desk.take.remote(number))
        if batch is None:
            return
        yield pa.table({"number": [number], "batch": pa.array([batch], pa.large_binary())})


class BatchEncoder:
    """An encoder in an actor; Ray calls it with rows of `batches`.

    Two calls may run at once: while one batch is encoded, the images of the next are decoded. This machine must have
    the bundle with this fingerprint too.
    """

    def __init__(self, desk: Any, bundle: Path, fingerprint: str, device: str, thumbnails: bool) -> None:
        import ray

        self._thumbnails = thumbnails
        self._turn = threading.Lock()
        self._encoder: ProductEncoder | Failure
        try:
            self._encoder = ProductEncoder(_same_bundle(bundle, fingerprint), device)
        except ClipItaError as error:
            # An exception here would make Ray retry forever.
            self._encoder = Failure(socket.gethostname(), error.message, error.hint)
        self._pool = decoding_pool()
        context = ray.get_runtime_context()
        key = f"{context.get_actor_id()} {os.getpid()}"
        desk.check_in.remote(key, context.current_actor, f"{socket.gethostname()}, process {os.getpid()}, {device}")

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Encode one batch: {number, batch} -> {number, encoded}, both payloads pickled."""
        products = pickle.loads(row["batch"]) if row["batch"] else []
        return {"number": row["number"], "encoded": pickle.dumps(self._encode(products))}

    def _encode(self, products: list[Product]) -> list[Encoded] | Failure:
        if isinstance(self._encoder, Failure):
            return self._encoder
        prepared = list(self._pool.map(self._prepared, products))
        ready = [entry.given for entry in prepared if not isinstance(entry.given, ProductError)]
        try:
            with self._turn:
                vectors = iter(self._encoder.encode(ready))
        except ClipItaError as error:
            return Failure(socket.gethostname(), error.message, error.hint)
        return [
            Encoded(problem=entry.given.message, broken_images=entry.broken_images)
            if isinstance(entry.given, ProductError)
            else Encoded(next(vectors), entry.thumbnail, broken_images=entry.broken_images)
            for entry in prepared
        ]

    def _prepared(self, product: Product) -> Prepared:
        assert isinstance(self._encoder, ProductEncoder)
        return prepare(self._encoder, product, self._thumbnails)


def _same_bundle(folder: Path, fingerprint: str) -> Bundle:
    bundle = Bundle.load(folder)
    if bundle.fingerprint != fingerprint:
        raise BundleError(
            f"{folder} holds the model {bundle.fingerprint[:8]} here, and {fingerprint[:8]} where the ingest was "
            "started.",
            hint="Copy the same bundle to every machine of the Ray cluster, or keep it on a shared disk.",
        )
    return bundle
