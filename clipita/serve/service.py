"""What answers requests: one search, one text encoder, one product encoder, shared by all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from clipita.catalogue.product import Product
from clipita.config import OpenSearchConfig, ServeConfig
from clipita.errors import RequestError
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.serve.batching import Batcher, Vectors
from clipita.serve.client import equip
from clipita.serve.metrics import Metrics
from clipita.serve.storefront import Shop

if TYPE_CHECKING:
    from clipita.runtime import Bundle, ProductEncoder, TextEncoder
    from clipita.runtime.encoders import ProductInput

DECODERS = 2
"""Pictures decoded at a time: each may unpack to 150 MB."""


@dataclass(frozen=True)
class Models:
    """The encoders of one bundle.

    Attributes:
        bundle: where they come from.
        text: texts to vectors.
        product: products to vectors.
    """

    bundle: Bundle
    text: TextEncoder
    product: ProductEncoder

    @classmethod
    def load(cls, bundle: Bundle, device: str) -> Models:
        """Open both graphs.

        Raises:
            DeviceError: the device is not there.
            MissingExtraError: onnxruntime is not installed.
        """
        from clipita.runtime import ProductEncoder, TextEncoder

        return cls(bundle, TextEncoder(bundle, device), ProductEncoder(bundle, device))


class Service:
    """Everything that the endpoints share.

    Args:
        search: plans searches; connected already, so that a wrong address is told at the start.
        opensearch: how to connect.
        models: None where only words and stored category vectors are searched.
        config: limits.
        metrics: where batches and searches are counted.
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
        self.metrics = metrics
        self.planner = search
        self.search = AsyncProductSearch(search, opensearch)
        self.client = self.search.client
        self.where = address_of(search.client)
        equip(self.client)
        self.shop = Shop(self.client, search)
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._texts: Batcher[str] | None = None
        self._products: Batcher[ProductInput] | None = None
        if models is not None:
            largest, capacity = config.batch_size, config.queue
            self._texts = Batcher(
                models.text.encode, largest=largest, capacity=capacity, observe=metrics.batched("text")
            )
            self._products = Batcher(
                models.product.encode, largest=largest, capacity=capacity, observe=metrics.batched("product")
            )
            texts, products = self._texts, self._products
            metrics.watch("text", lambda: texts.waiting)
            metrics.watch("product", lambda: products.waiting)

    async def find(self, options: dict[str, Any]) -> bytes:
        """One page of a search, as JSON; a text that is new is encoded together with those of other requests.

        Args:
            options: of `ProductSearch`, `query` among them.
        """
        query = options.pop("query", None)
        if self._needs_vector(query, options):
            self.planner.keep_vector(query, tuple((await self.embed_texts([query]))[0].tolist()))
        page = await self.search(query, **options)
        self.metrics.searched(page.took_ms)
        # orjson reads dataclasses as they are, where a copy to dictionaries would take longer than the planning.
        return orjson.dumps(page, option=orjson.OPT_NON_STR_KEYS)

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dim].

        Raises:
            RequestError: there is no model (status 501), or too much waits (503).
        """
        if self._texts is None:
            raise no_model()
        return await self._texts(texts)

    async def embed_products(self, products: Sequence[Product]) -> Vectors:
        """Unit vectors, [len(products), dim].

        Raises:
            RequestError: as above.
            ProductError: a picture cannot be read, or a product has nothing that the model reads.
        """
        if self._products is None or self.models is None:
            raise no_model()
        loop = asyncio.get_running_loop()
        prepare = self.models.product.prepare
        inputs = await asyncio.gather(*(loop.run_in_executor(self._decoders, prepare, product) for product in products))
        return await self._products(inputs)

    async def close(self) -> None:
        """Close connections and threads."""
        for batcher in (self._texts, self._products):
            if batcher is not None:
                await batcher.close()
        self._decoders.shutdown(wait=True)
        await self.search.close()

    def _needs_vector(self, query: Any, options: dict[str, Any]) -> bool:
        lexical = options.get("mode", self.planner.config.mode) == "lexical"
        return (
            self._texts is not None
            and isinstance(query, str)
            and bool(query.strip())
            and "category" not in options
            and not lexical
            and self.planner.kept_vector(query) is None
        )


def no_model() -> RequestError:
    """The error where the server runs without a model."""
    return RequestError("This server runs without a model.", status=501, hint="Start it with --model.")
