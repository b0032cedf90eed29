"""The encoders of one bundle behind batch queues, and the bundles that a server may choose from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from clipita.catalogue.images.decode import LARGE, pixels_of
from clipita.catalogue.product import Product
from clipita.errors import RequestError
from clipita.opensearch.search.vectors import QueryVectors
from clipita.serve.batching import Batcher, Vectors
from clipita.serve.metrics import Metrics
from clipita.serve_config import ServeConfig

if TYPE_CHECKING:
    from clipita.runtime import Bundle, ProductEncoder, TextEncoder
    from clipita.runtime.inputs import ProductInput

DECODERS = 2
"""Images of ordinary size that are decoded at a time; large ones are decoded one by one."""
MAX_REQUEST_PIXELS = 100 * 10**6
"""Pixels of all images of a request: a few hundred kilobytes may unpack to billions."""


@dataclass(frozen=True)
class Models:
    """The encoders of one bundle."""

    bundle: Bundle
    text: TextEncoder
    product: ProductEncoder
    device: str

    @classmethod
    def load(cls, bundle: Bundle, device: str) -> Models:
        """Open both graphs; errors as of the encoders."""
        from clipita.runtime import ProductEncoder, TextEncoder

        return cls(bundle, TextEncoder(bundle, device), ProductEncoder(bundle, device), device)


@dataclass(frozen=True)
class Bundles:
    """Where a server looks for the bundle of an index's model.

    Attributes:
        folders: each is a bundle, or holds bundles.
        device: where their encoders run: cpu, cuda or cuda:N.
    """

    folders: tuple[Path, ...]
    device: str

    def find(self, fingerprint: str) -> Path | None:
        """The folder that holds a model's bundle, which its manifest tells; None if no folder holds it."""
        from clipita.runtime.bundle import MANIFEST

        for folder in self.folders:
            for path in (folder, *sorted(folder.glob("*/"))):
                try:
                    manifest = orjson.loads((path / MANIFEST).read_bytes())
                except (OSError, ValueError):
                    # Another folder, or a bundle that is being copied here.
                    continue
                if isinstance(manifest, dict) and manifest.get("fingerprint") == fingerprint:
                    return path
        return None

    def load(self, path: Path) -> tuple[Models, QueryVectors]:
        """The encoders of a bundle, and those of a search's queries; errors as of `Bundle.load` and the encoders."""
        from clipita.runtime import Bundle

        models = Models.load(Bundle.load(path), self.device)
        return models, QueryVectors(models.bundle, self.device)


class Encoders:
    """The encoders of one bundle, each behind a batch queue; shared by all requests.

    Attributes:
        vectors: of the searches' queries.
    """

    def __init__(self, models: Models, vectors: QueryVectors, config: ServeConfig, metrics: Metrics) -> None:
        self.vectors = vectors
        self.fingerprint = models.bundle.fingerprint
        self._prepare = models.product.prepare
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="decode-large")
        self._texts: Batcher[str] = Batcher(models.text.encode_gated, config, metrics, "text")
        self._products: Batcher[ProductInput] = Batcher(models.product.encode, config, metrics, "product")

    async def gated(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors and in the last column the gate, [len(texts), dim + 1]; a RequestError if the queue is full."""
        return await self._texts(texts)

    async def texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dim]; a RequestError if the queue is full (503)."""
        # A view of some columns cannot be written as JSON.
        return np.ascontiguousarray((await self.gated(texts))[:, :-1])

    async def products(self, products: Sequence[Product]) -> Vectors:
        """Unit vectors, [len(products), dim]; errors as of `texts`, also a ProductError for an unusable product.

        A RequestError (413) for images of more than `MAX_REQUEST_PIXELS` together.
        """
        loop = asyncio.get_running_loop()
        pixels = [sum(map(pixels_of, product.images)) for product in products]
        if sum(pixels) > MAX_REQUEST_PIXELS:
            raise RequestError(
                f"The images have {sum(pixels):,} pixels together; the limit is {MAX_REQUEST_PIXELS:,}.",
                status=413,
                hint="Send fewer images in one request, or smaller ones.",
            )
        # Images of ordinary size never wait for large ones.
        pools = (self._large if size > LARGE else self._decoders for size in pixels)
        sized = zip(pools, products, strict=True)
        prepared = (loop.run_in_executor(pool, self._prepare, product) for pool, product in sized)
        return await self._products(await asyncio.gather(*prepared))

    async def close(self) -> None:
        """Stop the threads."""
        for batcher in (self._texts, self._products):
            await batcher.close()
        for pool in (self._decoders, self._large):
            pool.shutdown(wait=True)
