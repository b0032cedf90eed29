"""The same search for asyncio: `AsyncProductSearch`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import opensearchpy

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import QueryError
from clipita.opensearch.cluster.connection import connect_async
from clipita.opensearch.cluster.errors import address_of, guarded
from clipita.opensearch.search import client_fusion
from clipita.opensearch.search.arguments import SearchArguments
from clipita.opensearch.search.client import ProductSearch, config_for
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.fusion import is_past_the_end
from clipita.opensearch.search.options import SearchOptions, given_options, remarks_on
from clipita.opensearch.search.request import search_body
from clipita.opensearch.search.results import SearchPage, read_page
from clipita.opensearch.search.sending import at_snapshot, expired, explained, search_params, snapshot_params

if TYPE_CHECKING:
    from clipita.runtime import Bundle


class AsyncProductSearch:
    """Searches without blocking the event loop; needs the extra `async`.

    Searches go through an asynchronous client. What may take the processor (encoding a new text) or is rare (reading
    the mapping and the categories) runs in a thread.

    Example::

        async with await AsyncProductSearch.open("https://search.internal:9200", model="model/") as search:
            page = await search("running shoes", facets=["brand"])

    Args:
        search: does the planning.
        opensearch: where and how to connect.
    """

    def __init__(self, search: ProductSearch, opensearch: OpenSearchConfig) -> None:
        self.search = search
        self.client = connect_async(opensearch)
        self._where = address_of(search.client)

    @classmethod
    async def open(
        cls,
        url: str | None = None,
        index: str = "products",
        model: str | Path | Bundle | None = None,
        config: SearchConfig | None = None,
        opensearch: OpenSearchConfig | None = None,
        device: str = "cpu",
    ) -> Self:
        """Connect; arguments and errors as of `ProductSearch`, and MissingExtraError without aiohttp."""
        connection = config_for(url, opensearch or OpenSearchConfig())
        search = await asyncio.to_thread(ProductSearch, None, index, model, config, connection, device)
        return cls(search, connection)

    async def __call__(self, query: str | None = None, **options: Unpack[SearchOptions]) -> SearchPage:
        """One page of hits; arguments and errors as of `ProductSearch`."""
        given = given_options(options)
        fingerprint = self.search.index.fingerprint
        arguments = await self._plan(query, given)
        body = search_body(arguments)
        snapshot = await self._snapshot(arguments, given)
        try:
            if arguments.by_client:
                answer = await self._fused(arguments)
            else:
                answer = await self._send(body, arguments, snapshot)
        except QueryError as error:
            if not is_past_the_end(error, arguments):
                raise
            answer = await self._send({**body, "from": 0, "size": 0}, arguments, snapshot)
        if self.search.index.fingerprint != fingerprint:
            # The alias moved; the category's vector was of the model before.
            return await self(query, **options)
        page = read_page(answer, arguments, remarks_on(arguments), snapshot)
        if snapshot is not None and page.cursor is None:
            with guarded(self._where, QueryError):
                await self.client.delete_pit(body={"pit_id": [snapshot[0]]}, params={"ignore": 404})
        return page

    async def arguments(self, query: str | None, given: dict[str, Any]) -> SearchArguments:
        """Checked arguments of a search, vector included; as of `ProductSearch`."""
        return await self._plan(query, given)

    async def send(self, arguments: SearchArguments, body: bytes, index: object) -> SearchPage | None:
        """One page of a search that was planned before.

        Args:
            arguments: the plan; of no snapshot and no native fusion.
            body: `search_body` of it, as JSON.
            index: `search.index` as it was when the planning began.

        Returns:
            The page; None where the index was read anew since, so that fields, vector and model may be others.
        """
        if self.search.index is not index:
            return None
        answer = await self._send(body, arguments)
        if self.search.index is not index:
            return None
        return read_page(answer, arguments, remarks_on(arguments))

    async def body(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The request body of the same search."""
        arguments = await self._plan(query, given_options(options))
        if arguments.by_client:
            raise client_fusion.no_single_request(arguments)
        return search_body(arguments)

    async def close(self) -> None:
        """Close both connections."""
        await self.client.close()
        self.search.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _plan(self, query: str | None, given: dict[str, Any]) -> SearchArguments:
        if self.search.is_ready(query, given):
            return self.search.arguments(query, given)
        return await asyncio.to_thread(self.search.arguments, query, given)

    async def _fused(self, arguments: SearchArguments) -> dict[str, Any]:
        with guarded(self._where, QueryError):
            answer = await self.client.msearch(index=self.search.alias, body=client_fusion.requests(arguments))
        ranking, union = client_fusion.read(answer, arguments)
        page = client_fusion.cut(ranking, arguments)
        found = await self._send(client_fusion.page_request(page, arguments))
        return client_fusion.as_answer(page, union, found)

    async def _snapshot(self, arguments: SearchArguments, given: dict[str, Any]) -> tuple[str, str] | None:
        if "cursor" in given:
            return Cursor.decode(given["cursor"]).snapshot
        if "snapshot" not in given:
            return None
        with guarded(self._where, QueryError):
            made = await self.client.create_pit(index=self.search.alias, params=snapshot_params(arguments, given))
        return made["pit_id"], given["snapshot"]

    async def _send(
        self, body: Any, arguments: SearchArguments | None = None, snapshot: tuple[str, str] | None = None
    ) -> Any:
        with guarded(self._where, QueryError):
            if snapshot is None:
                params = search_params(arguments)
                answer = await self.client.search(index=self.search.alias, body=body, params=params)
            else:
                try:
                    return await self.client.search(body=at_snapshot(body, snapshot), params=explained(arguments))
                except opensearchpy.NotFoundError:
                    raise expired() from None
        if self.search.moved(answer):
            await asyncio.to_thread(self.search.refresh)
        return answer
