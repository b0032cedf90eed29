"""Goes along with the alias: the service of the index that it points at, with the bundle of that index's model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import opensearchpy
import orjson
from opensearchpy.serializer import DEFAULT_SERIALIZERS, Deserializer, JSONSerializer

from clipita.config import OpenSearchConfig
from clipita.errors import ClipItaError, FingerprintError, IndexMissingError, IndexMovedError
from clipita.opensearch.cluster.connection import connect_async
from clipita.opensearch.cluster.errors import address_of, guarded
from clipita.opensearch.index import categories
from clipita.opensearch.index import index as indices
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.vectors import QueryVectors
from clipita.serve.encoders import Bundles, Encoders, Models
from clipita.serve.metrics import Metrics
from clipita.serve.service import Service
from clipita.serve_config import ServeConfig

EVERY_SECONDS = 1.0
"""Between two looks at the alias; a search that another index answers looks at once."""
RETRY_SECONDS = 5.0
"""Until a bundle that was not found, or could not be loaded, is looked for again."""

Answer = TypeVar("Answer")

log = logging.getLogger("clipita.serve")


class Follower:
    """Holds the service in force, and makes another when the alias moves.

    - To an index of the same model: the next service has the same encoders.
    - To an index of another model: its bundle is loaded in a thread. Meanwhile the former index is searched on by its
      own name; once it is deleted, the new one by words and stored category vectors alone.
    - No bundle fits: the new index is searched by words and stored category vectors, and `Service.missing` says why.

    A request keeps the service that it began with, so that no answer is made of two indices. Without `bundles` the
    server has no model at all.

    Attributes:
        current: the service in force.
        client: the asynchronous client of all services.
    """

    def __init__(
        self,
        search: ProductSearch,
        opensearch: OpenSearchConfig,
        models: Models | None,
        bundles: Bundles | None,
        config: ServeConfig,
        metrics: Metrics,
    ) -> None:
        self.client = connect_async(opensearch)
        transport: Any = self.client.transport
        transport.serializer = serializer = _FastJson()
        transport.deserializer = Deserializer({**DEFAULT_SERIALIZERS, serializer.mimetype: serializer})
        self._sync = search.client
        self._where = address_of(search.client)
        self._alias, self._configured = search.alias, search.configured
        self._bundles = bundles
        self._config, self._metrics = config, metrics
        self._encoders = None if models is None else Encoders(models, search.vectors, config, metrics)
        # Of the next model, until its index is searched.
        self._spare: Encoders | None = None
        missing = None if bundles is None or models is not None else _missing(search.fingerprint)
        self.current = Service(search, self.client, self._encoders, metrics, missing=missing)
        self._lock = asyncio.Lock()
        self._wanted: str | None = None
        self._retry_at = self._look_at = 0.0
        self._loading: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._watching = asyncio.create_task(self._watch())

    async def ask(self, question: Callable[[Service], Awaitable[Answer]]) -> Answer:
        """The answer of the service in force; asked again where the alias moved meanwhile."""
        while True:
            service = self.current
            try:
                return await question(service)
            except (FingerprintError, IndexMissingError, IndexMovedError):
                if not await self.follow(service):
                    raise

    async def follow(self, service: Service) -> bool:
        """Look where the alias points; returns whether another service than this one is in force now.

        Raises:
            ClusterError: there is no such index, or the cluster does not answer.
        """
        async with self._lock:
            if self.current is service:
                await self._follow()
            return self.current is not service

    async def close(self) -> None:
        """Stop the tasks, the encoders and the connections."""
        tasks = [task for task in (self._watching, self._loading, *self._retiring) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for encoders in (self._encoders, self._spare):
            if encoders is not None:
                await encoders.close()
        await self.client.close()
        self._sync.close()

    async def _follow(self) -> None:
        now = self.current
        name = await asyncio.to_thread(indices.resolve, self._sync, self._alias)
        settled = not now.held and (now.missing is None or time.monotonic() < self._retry_at)
        if settled and name == now.planner.index.name:
            return
        index = await asyncio.to_thread(indices.require, self._sync, self._alias)
        known = [one for one in (self._encoders, self._spare) if one and one.fingerprint == index.fingerprint]
        fits = known or self._bundles is None
        if fits:
            self._wanted = None
        loading = not fits and await self._load(index.fingerprint)
        if now.missing is None and loading and await self._exists(now.planner):
            if not now.held:
                self.current = await self._service(now.planner.index.name, self._encoders, held=True)
        elif fits:
            chosen = known[0] if known else None
            self.current = await self._service(index.name, chosen)
            others = {one for one in (self._encoders, self._spare) if one is not None} - {chosen}
            self._encoders, self._spare = chosen, None
            for encoders in others:
                self._retire(encoders)
        elif now.missing is None or now.planner.index.name != index.name:
            self.current = await self._service(index.name, None, missing=_missing(index.fingerprint))

    async def _complete(self) -> None:
        """Read an index again that got its first categories or thresholds since."""
        planner = self.current.planner

        def complete() -> None:
            if not planner.categories.general:
                found = categories.load(self._sync, planner.index.name)
                if (len(found), found.general) != (len(planner.categories), ()):
                    planner.refresh()

        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + RETRY_SECONDS
            await asyncio.to_thread(complete)

    async def _exists(self, planner: ProductSearch) -> bool:
        with guarded(self._where):
            return bool(await self.client.indices.exists(index=planner.index.name))

    async def _service(
        self, index: str, encoders: Encoders | None, *, held: bool = False, missing: str | None = None
    ) -> Service:
        """A service of an index, ready to answer; searched through the alias, or by the index's own name if `held`."""

        def make() -> ProductSearch:
            vectors = None if encoders is None else encoders.vectors
            search = ProductSearch(self._sync, index, vectors, self._configured)
            search.alias = self._alias
            search.target = index if held else self._alias
            # Read before the first request needs it.
            _ = search.capabilities, search.categories
            return search

        search = await asyncio.to_thread(make)
        return Service(search, self.client, encoders, self._metrics, held=held, missing=missing)

    async def _load(self, fingerprint: str) -> bool:
        """Whether the bundle of a model is being loaded; begins to, where there is one."""
        if fingerprint != self._wanted:
            self._wanted, self._retry_at = fingerprint, 0.0
        if self._loading is None and time.monotonic() >= self._retry_at:
            assert self._bundles is not None
            path = await asyncio.to_thread(self._bundles.find, fingerprint)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if path is None:
                log.error("%s", _missing(fingerprint))
            else:
                self._loading = asyncio.create_task(self._use(path, fingerprint))
        return self._loading is not None

    async def _use(self, path: Path, fingerprint: str) -> None:
        """Load a bundle and go over to it, unless the alias moved again meanwhile."""
        assert self._bundles is not None
        started = time.monotonic()
        loaded: tuple[Models, QueryVectors] | None = None
        try:
            loaded = await asyncio.to_thread(self._bundles.load, path)
        except Exception:  # searches go on as they are, whatever is wrong with the bundle
            log.exception("the bundle %s of the index's model cannot be loaded", path)
        async with self._lock:
            self._loading = None
            if loaded is None:
                self._retry_at = time.monotonic() + RETRY_SECONDS
            elif fingerprint == self._wanted:
                log.info("loaded the bundle %s in %.1f s", path, time.monotonic() - started)
                if self._spare is not None:
                    self._retire(self._spare)
                self._spare = Encoders(*loaded, self._config, self._metrics)
                self._retry_at = 0.0
                with suppress(ClipItaError):
                    await self._follow()

    def _retire(self, encoders: Encoders) -> None:
        """Close encoders once no request can have them."""

        async def close() -> None:
            try:
                await asyncio.sleep(self._config.request_timeout)
            finally:
                await encoders.close()

        task = asyncio.create_task(close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.follow(self.current)
                await self._complete()
            except ClipItaError as error:
                log.debug("the alias %s cannot be read: %s", self._alias, error)
            except Exception:  # a defect here must not end the following
                log.exception("the alias %s cannot be followed", self._alias)


def _missing(fingerprint: str) -> str:
    return f"The index holds vectors of model {fingerprint}, whose bundle this server has not loaded."


class _FastJson(JSONSerializer):  # type: ignore[misc]  # opensearch-py is untyped to us
    """JSON by orjson; the client's own took a third of a search's Python time."""

    def dumps(self, data: Any) -> Any:
        if isinstance(data, str | bytes):
            return data
        try:
            return orjson.dumps(data, default=self.default).decode()
        except TypeError:
            # A whole number beyond 64 bits, which a cursor may hold: the cluster says what is wrong with it.
            return super().dumps(data)

    def loads(self, s: str) -> Any:
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise opensearchpy.SerializationError(s, error) from error
