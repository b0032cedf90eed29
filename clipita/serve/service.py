"""What all requests share: the search, the encoders, and the asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import opensearchpy
import orjson
from opensearchpy.serializer import DEFAULT_SERIALIZERS, Deserializer, JSONSerializer

from clipita.catalogue.images.decode import LARGE, pixels_of
from clipita.catalogue.product import Product
from clipita.config import OpenSearchConfig, ServeConfig
from clipita.errors import RequestError
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.vectors import Encoded
from clipita.serve.batching import Batcher, Vectors
from clipita.serve.metrics import Metrics
from clipita.serve.storefront import Shop

if TYPE_CHECKING:
    from clipita.runtime import Bundle, ProductEncoder, TextEncoder
    from clipita.runtime.encoders import ProductInput

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

    @classmethod
    def load(cls, bundle: Bundle, device: str) -> Models:
        """Open both graphs; errors as of the encoders."""
        from clipita.runtime import ProductEncoder, TextEncoder

        return cls(bundle, TextEncoder(bundle, device), ProductEncoder(bundle, device))


class Service:
    """The search and the encoders behind the endpoints.

    Without `models` only words and stored category vectors are searched. `search` is connected already, so that a wrong
    address is reported when the server starts.
    """

    def __init__(
        self,
        search: ProductSearch,
        opensearch: OpenSearchConfig,
        models: Models | None,
        config: ServeConfig,
        metrics: Metrics,
    ) -> None:
        self.models = models
        self.planner = search
        self.search = AsyncProductSearch(search, opensearch)
        self.client = self.search.client
        self.where = address_of(search.client)
        transport: Any = self.client.transport
        transport.serializer = serializer = _FastJson()
        transport.deserializer = Deserializer({**DEFAULT_SERIALIZERS, serializer.mimetype: serializer})
        self.shop = Shop(self.client, search)
        self._cluster_seconds = metrics.cluster
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="decode-large")
        self._texts: Batcher[str] | None = None
        self._products: Batcher[ProductInput] | None = None
        if models is not None:
            self._texts = Batcher(models.text.encode_gated, config, metrics, "text")
            self._products = Batcher(models.product.encode, config, metrics, "product")

    async def find(self, options: dict[str, Any]) -> bytes:
        """One page of a search as JSON; a new text is encoded together with those of other requests.

        `options` are those of `ProductSearch`, and `query`.
        """
        query = options.pop("query", None)
        if self._texts is not None and isinstance(query, str) and query.strip():
            text = await self.search.text_to_encode(query, options)
            if text is not None:
                *vector, gate = (await self._encode([text]))[0].tolist()
                self.planner.vectors.keep(text, Encoded(tuple(vector), gate))
        page = await self.search(query, **options)
        self._cluster_seconds.observe(page.took_ms / 1000)
        # orjson reads dataclasses directly; copying them to dictionaries would take longer than planning the search.
        return orjson.dumps(page, option=orjson.OPT_NON_STR_KEYS)

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dim]; a RequestError without a model (501) or if the queue is full (503)."""
        # A view of some columns cannot be written as JSON.
        return np.ascontiguousarray((await self._encode(texts))[:, :-1])

    async def _encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors, and the gate in the last column."""
        if self._texts is None:
            raise _no_model()
        return await self._texts(texts)

    async def embed_products(self, products: Sequence[Product]) -> Vectors:
        """Unit vectors, [len(products), dim]; errors as of `embed_texts`, or a ProductError for an unusable product."""
        if self._products is None or self.models is None:
            raise _no_model()
        loop = asyncio.get_running_loop()
        prepare = self.models.product.prepare
        pixels = [0 if product.image is None else pixels_of(product.image) for product in products]
        if sum(pixels) > MAX_REQUEST_PIXELS:
            raise RequestError(
                f"The images have {sum(pixels):,} pixels together; the limit is {MAX_REQUEST_PIXELS:,}.",
                status=413,
                hint="Send fewer images in one request, or smaller ones.",
            )
        # Images of ordinary size never wait for large ones.
        pools = (self._large if size > LARGE else self._decoders for size in pixels)
        tasks = [loop.run_in_executor(pool, prepare, product) for pool, product in zip(pools, products, strict=True)]
        return await self._products(await asyncio.gather(*tasks))

    async def close(self) -> None:
        """Close connections and threads."""
        for batcher in (self._texts, self._products):
            if batcher is not None:
                await batcher.close()
        self._decoders.shutdown(wait=True)
        self._large.shutdown(wait=True)
        await self.search.close()


def _no_model() -> RequestError:
    return RequestError("This server runs without a model.", status=501, hint="Start it with --model.")


class _FastJson(JSONSerializer):  # type: ignore[misc]  # opensearch-py is untyped to us
    """JSON by orjson; the client's own took a third of a search's Python time."""

    def dumps(self, data: Any) -> Any:
        if isinstance(data, str | bytes):
            return data
        try:
            return orjson.dumps(data, default=self.default).decode()
        except TypeError as error:
            raise opensearchpy.SerializationError(data, error) from error

    def loads(self, s: str) -> Any:
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise opensearchpy.SerializationError(s, error) from error
