"""What requests need of one index: the search, the encoders of its model, and its storefront facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch

from clipita.catalogue.product import Product
from clipita.errors import RequestError
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.vectors import Encoded
from clipita.serve.batching import Vectors
from clipita.serve.encoders import Encoders
from clipita.serve.metrics import Metrics
from clipita.serve.storefront import Shop


class Service:
    """The search and the encoders behind the endpoints, for one index and its model.

    Without `encoders` only words and stored category vectors are searched.

    Attributes:
        missing: why the server has no encoders for this index, though it is to have some; None where all is well.
        held: whether the alias has left this index, which answers until the next model is loaded.
    """

    def __init__(
        self,
        search: ProductSearch,
        client: AsyncOpenSearch,
        encoders: Encoders | None,
        metrics: Metrics,
        *,
        missing: str | None = None,
        held: bool = False,
    ) -> None:
        # An alias swap makes another service: see `Follower`.
        search.moves = False
        self.planner = search
        self.encoders = encoders
        self.missing = missing
        self.held = held
        self.shop = Shop(client, search)
        self._search = AsyncProductSearch(search, client)
        self._cluster_seconds = metrics.cluster

    async def find(self, given: dict[str, Any]) -> bytes:
        """One page of a search as JSON; a new text is encoded together with those of other requests.

        `given` are the options of `ProductSearch`, and `query`.
        """
        options = dict(given)
        query = options.pop("query", None)
        remarks: tuple[str, ...] = ()
        if self.missing is not None and "category" not in options:
            remarks = (f"{self.missing} Words alone were searched.",)
            options["mode"] = "lexical"
        elif self.encoders is not None and isinstance(query, str) and query.strip():
            text = await self._search.text_to_encode(query, options)
            if text is not None:
                *vector, gate = (await self.encoders.gated([text]))[0].tolist()
                self.planner.vectors.keep(text, Encoded(tuple(vector), gate))
        page = await self._search(query, **options)
        if remarks:
            page = dataclasses.replace(page, remarks=(*remarks, *page.remarks))
        self._cluster_seconds.observe(page.took_ms / 1000)
        # orjson reads dataclasses directly; copying them to dictionaries would take longer than planning the search.
        return orjson.dumps(page, option=orjson.OPT_NON_STR_KEYS)

    async def about(self) -> dict[str, Any]:
        """The index, its model, and its fields: the answer of `/v1/index`."""
        index, defaults = self.planner.index, self.planner.config
        about = {
            "alias": self.planner.alias,
            "index": index.name,
            "model": index.meta.get("model"),
            "fingerprint": index.fingerprint,
            "free_text": self.encoders is not None,
            "mode": defaults.mode,
            "size": defaults.size,
        }
        return {**about, **await self.shop.fields()}

    async def embed_texts(self, texts: Sequence[str]) -> dict[str, Any]:
        """`{vectors, dim, fingerprint}`; a RequestError without a model (501, 503) or if the queue is full (503)."""
        encoders = self._encoders()
        return _answer(await encoders.texts(texts), encoders)

    async def embed_products(self, products: Sequence[Product]) -> dict[str, Any]:
        """As `embed_texts`; also a ProductError for an unusable product."""
        encoders = self._encoders()
        return _answer(await encoders.products(products), encoders)

    def _encoders(self) -> Encoders:
        if self.encoders is not None:
            return self.encoders
        if self.missing is not None:
            raise RequestError(self.missing, status=503, hint="Try again when /readyz says ready.")
        raise RequestError("This server runs without a model.", status=501, hint="Start it with --model.")


def _answer(vectors: Vectors, encoders: Encoders) -> dict[str, Any]:
    return {"vectors": vectors, "dim": vectors.shape[1], "fingerprint": encoders.fingerprint}
