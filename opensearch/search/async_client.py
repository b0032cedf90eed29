"""The same search for asyncio: `AsyncProductSearch`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from opensearchpy import AsyncOpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import QueryError
from clipita.opensearch.cluster.calls import Call, Result, Steps, resume, sent
from clipita.opensearch.cluster.connection import connect_async, with_url
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.search.clauses.query import clause_alone
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.options import SearchArguments, SearchOptions, given_options
from clipita.opensearch.search.request import search_body
from clipita.opensearch.search.results import SearchPage

if TYPE_CHECKING:
    from clipita.runtime import Bundle


class AsyncProductSearch:
    """Searches without blocking the event loop; requires the extra `async`.

    `search` plans the searches, which an asynchronous client sends. Encoding a new text, and reading the mapping and
    the categories, run in a thread.

    Example::

        async with await AsyncProductSearch.open("https://search.internal:9200", model="model/") as search:
            page = await search("running shoes", facets=["brand"])
    """

    def __init__(self, search: ProductSearch, opensearch: OpenSearchConfig | AsyncOpenSearch) -> None:
        self.search = search
        self.client = connect_async(opensearch) if isinstance(opensearch, OpenSearchConfig) else opensearch
        self._where = address_of(search.client)

    @classmethod
    async def open(
        cls,
        url: str | None = None,
        index: str = "products",
        model: str | Path | Bundle | None = None,
        config: SearchConfig | Mapping[str, Any] | None = None,
        opensearch: OpenSearchConfig | None = None,
        device: str = "cpu",
    ) -> Self:
        """Connect; arguments and errors as of `ProductSearch`, and MissingExtraError without aiohttp."""
        connection = with_url(opensearch, url)
        search = await asyncio.to_thread(ProductSearch, None, index, model, config, connection, device)
        return cls(search, connection)

    async def __call__(self, query: str | None = None, **options: Unpack[SearchOptions]) -> SearchPage:
        """One page of hits; arguments and errors as of `ProductSearch`."""
        given = given_options(options)
        arguments = await self._arguments(query, given)
        page = await self._run(self.search.steps(arguments, given))
        return await self(query, **options) if page is None else page

    async def body(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The request body of the same search."""
        return search_body(await self._arguments(query, given_options(options)))

    async def clause(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The query of the same search as one clause; as `ProductSearch.clause`."""
        given = given_options(options)
        return clause_alone(await self._arguments(query, given), given)

    async def text_to_encode(self, query: str, given: dict[str, Any]) -> str | None:
        """What of a query the model must encode, see `ProductSearch.text_to_encode`."""
        if self.search.understands(query, given):
            return self.search.text_to_encode(query, given)
        return await asyncio.to_thread(self.search.text_to_encode, query, given)

    async def close(self) -> None:
        """Close both connections."""
        await self.client.close()
        self.search.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _arguments(self, query: str | None, given: dict[str, Any]) -> SearchArguments:
        if self.search.is_ready(query, given):
            return self.search.arguments(query, given)
        return await asyncio.to_thread(self.search.arguments, query, given)

    async def _run(self, steps: Steps[Result]) -> Result:
        call, result = resume(steps)
        while call is not None:
            try:
                outcome = {"answer": await self._send(call)}
            except QueryError as error:
                outcome = {"error": error}
            call, result = resume(steps, **outcome)
        return cast("Result", result)

    async def _send(self, call: Call) -> Any:
        if call.method in ("refresh", "has_moved"):
            return await asyncio.to_thread(getattr(self.search, call.method), **call.arguments)
        with sent(self._where, call):
            return await getattr(self.client, call.method)(**call.arguments)
