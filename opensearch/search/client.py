"""Category search for a storefront: `ProductSearch`.

A search is a generator of calls to the cluster (`ProductSearch.steps`), so that the synchronous and the asynchronous
client differ in how a call is sent and in nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack, cast

import opensearchpy
from cachetools import LRUCache
from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import QueryError, UsageError
from clipita.opensearch.cluster.connection import Capabilities, capabilities, connect
from clipita.opensearch.cluster.errors import address_of, translate
from clipita.opensearch.index import categories as category_store
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.categories import Categories, CategoryVector
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.defaults import settings_for
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.options import (
    MAX_WINDOW,
    SearchArguments,
    SearchOptions,
    given_options,
    names_in,
    resolve,
)
from clipita.opensearch.search.request import ranking_body, search_body, search_params, shorten, union_body
from clipita.opensearch.search.results import SearchPage, read_page

if TYPE_CHECKING:
    from clipita.runtime import Bundle

KEPT_VECTORS = 10_000
"""Query vectors in the cache, which drops the least recently used; at 256 dimensions each takes about 8 KB."""
LONGEST_KEY = 200
"""Characters of a text that is a key itself, not by its digest: 10,000 texts of 10,000 characters would take 100 MB."""

Result = TypeVar("Result")


class Call(NamedTuple):
    """One call to the cluster: a method of opensearch-py's client, and its arguments."""

    method: str
    arguments: dict[str, Any]


Steps = Generator[Call, Any, Result]
"""Yields calls, gets their answers, returns the result."""


class ProductSearch:
    """Searches one index with one model; may be shared by threads.

    Example::

        search = ProductSearch("https://search.internal:9200", index="products", model="model/")
        page = search("running shoes", filters={"brand": ["Nike"], "price": {"lte": 80}}, facets=["brand"])
        page = search(category="Shoes > Running", sort="price", page=3)

    Args:
        cluster: URL, or a client of opensearch-py, or None for what `opensearch` says (the local node by default).
        index: the alias.
        model: the bundle's folder, or the bundle; without one, free text is searched by its words alone, and
            categories by their stored vectors.
        config: defaults of every search. None, and what a mapping leaves out, comes from the index, where
            `clipita tune` stores it, and else from `SearchConfig`; a `SearchConfig` holds as it is.
        opensearch: user, certificates, time limit.
        device: where queries are encoded: cpu, cuda or cuda:N.

    Attributes:
        alias: as given.
        index: what the alias points at.
        fingerprint: of the model whose vectors it holds.
        config: the defaults in force.
        names: the index's fields, by the names that the shop gives them.

    Raises:
        ClusterError: no connection, see `cluster.connect`.
        IndexMissingError: there is no such index.
        FingerprintError: the index holds vectors of another model.
        BundleError: the bundle is missing or changed.
    """

    def __init__(
        self,
        cluster: str | OpenSearch | None = None,
        index: str = "products",
        model: str | Path | Bundle | None = None,
        config: SearchConfig | Mapping[str, Any] | None = None,
        opensearch: OpenSearchConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.alias = index
        self.client = connect(opensearch, cluster) if isinstance(cluster, str | None) else cluster
        self._configured = config
        if isinstance(model, str | Path):
            from clipita.runtime.bundle import QUERY_FILES, Bundle

            model = Bundle.load(Path(model), QUERY_FILES)
        self._bundle = model
        self._encoder = None
        if self._bundle is not None:
            from clipita.runtime import TextEncoder

            self._encoder = TextEncoder(self._bundle, device)
        self._vectors: LRUCache[str, tuple[float, ...]] = LRUCache(KEPT_VECTORS)
        self._lock = threading.Lock()
        self._capabilities: Capabilities | None = None
        self._categories: Categories | None = None
        self.refresh()

    def __call__(self, query: str | None = None, **options: Unpack[SearchOptions]) -> SearchPage:
        """One page of hits.

        Args:
            query: any words, or a category's name; may be left out where `category` is given.
            options: see `SearchOptions`.

        Raises:
            UsageError: an empty query, an unknown field or category, a page beyond 10,000 hits, a mode that needs a
                model.
            QueryError: the cluster refused the search.
            ClusterVersionError: the fusion requires a plugin that the cluster lacks.
            FingerprintError: the alias moved to an index of another model meanwhile.
        """
        given = given_options(options)
        page = self._run(self.steps(self.arguments(query, given), given))
        # The alias moved; the category's vector was of the former model.
        return self(query, **options) if page is None else page

    def body(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The request body of the same search, to send it yourself; arguments as in a call."""
        return search_body(self.arguments(query, given_options(options)))

    def rank(self, query: str | None = None, *, depth: int = 1000, **options: Unpack[SearchOptions]) -> list[str]:
        """Product ids, best first, at most `depth`; k is the depth too. For measuring retrieval quality.

        Raises:
            UsageError: the depth lies outside 1 to 10,000, or as in a call.
        """
        return list(self.scores(query, depth=depth, **options))

    def scores(
        self, query: str | None = None, *, depth: int = 1000, **options: Unpack[SearchOptions]
    ) -> dict[str, float]:
        """Product ids and their scores, best first; as `rank`."""
        if not 1 <= depth <= MAX_WINDOW:
            raise UsageError(f"depth is {depth}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
        arguments = self.arguments(query, {**given_options(options), "size": 1, "k": depth})
        answer = self._search(ranking_body(arguments), search_params(arguments))
        return {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}

    def vector(self, query: str) -> tuple[float, ...]:
        """The query's unit vector, [dim]; kept for the next time.

        Raises:
            UsageError: this search has no model.
        """
        vector = self.kept_vector(query)
        if vector is None:
            if self._encoder is None:
                raise UsageError(
                    "This search was made without a model.",
                    hint="Give `model`, use the mode lexical, or name a category.",
                )
            vector = tuple(self._encoder.encode([query])[0].tolist())
            self.keep_vector(query, vector)
        return vector

    def kept_vector(self, query: str) -> tuple[float, ...] | None:
        """The query's vector if it is kept."""
        with self._lock:
            found: tuple[float, ...] | None = self._vectors.get(_key(query))
        return found

    def keep_vector(self, query: str, vector: tuple[float, ...]) -> None:
        """Keep a vector that was encoded elsewhere, in a batch for instance."""
        with self._lock:
            self._vectors[_key(query)] = vector

    def present(self, ids: Sequence[str]) -> set[str]:
        """Those of at most 10,000 product ids that are in the index."""
        body = {"query": {"ids": {"values": list(ids)}}, "size": len(ids), "_source": False}
        return {hit["_id"] for hit in self._search(body, {})["hits"]["hits"]}

    def has_field(self, name: str) -> bool:
        """Whether the index has a field of this name, which may be an attribute's."""
        return self.names.has(name)

    @property
    def categories(self) -> Categories:
        """The shop's categories, as the last ingest run wrote them; empty where it wrote none."""
        if self._categories is None:
            self._categories = category_store.load(self.client, self.index.name)
        return self._categories

    def arguments(self, query: str | None, given: Mapping[str, Any]) -> SearchArguments:
        """Checked arguments of a search, vector included; `given` comes from `given_options`."""
        wanted = given.get("category")
        category = None if wanted is None else self._category(wanted)
        text = query if query is not None else "" if category is None else category.name
        names = names_in(given, self.config)
        if not all(self.names.has(name) for name in names):
            # New products may have brought new fields.
            self.refresh()
        # Checked before the query is encoded, as an empty one needs no vector.
        arguments = resolve(text, given, self.config, self.names)
        if arguments.native:
            if self._capabilities is None:
                self._capabilities = capabilities(self.client)
            arguments.fused_by.require(self._capabilities, min_score=arguments.min_score is not None)
        if arguments.mode == "lexical":
            return arguments
        return dataclasses.replace(arguments, vector=self.vector(text) if category is None else category.vector)

    def steps(self, arguments: SearchArguments, given: Mapping[str, Any]) -> Steps[SearchPage | None]:
        """The calls of one search and its page, or None if the alias moved: the arguments must be made again."""
        fingerprint = self.fingerprint
        params = search_params(arguments)
        body = search_body(arguments)
        snapshot = Cursor.decode(given["cursor"]).snapshot if "cursor" in given else None
        if snapshot is None and "snapshot" in given:
            keep = given["snapshot"]
            made = yield Call("create_pit", {"index": self.alias, "params": {**params, "keep_alive": keep}})
            snapshot = (made["pit_id"], keep)
        if snapshot is not None:
            # A point in time stays with the copies that it was made on, and takes the place of the index.
            body["pit"] = {"id": snapshot[0], "keep_alive": snapshot[1]}
            del params["preference"]
        where = {"params": params} if snapshot is not None else {"index": self.alias, "params": params}
        union = None
        if arguments.native and arguments.min_score is None:
            union = yield Call("search", {"body": union_body(arguments), **where})
            body.pop("aggs", None)
            if union["hits"]["total"]["value"] <= (arguments.page - 1) * arguments.size:
                # The plugin refuses a page behind the last hit, where any other query gives an empty one.
                return read_page(union, arguments, self._warnings(arguments))
        try:
            answer = yield Call("search", {"body": body, **where})
        except QueryError as error:
            if not (arguments.native and "Reached end of search result" in error.message):
                raise
            first = {**body, "from": 0, "size": 1}
            answer = yield Call("search", {"body": first, **where})
            answer["hits"]["hits"] = []
        hits = answer["hits"]["hits"]
        if snapshot is None and hits and hits[0]["_index"] != self.index.name:
            yield Call("refresh", {})
        if self.fingerprint != fingerprint:
            # With another model's vectors these hits mean nothing.
            return None
        page = read_page(answer, arguments, self._warnings(arguments), snapshot, union)
        if snapshot is not None and page.cursor is None:
            yield Call("delete_pit", {"body": {"pit_id": [snapshot[0]]}, "params": {"ignore": 404}})
        return page

    def refresh(self) -> None:
        """Read index, fields and categories again; errors as of the constructor."""
        index = indices.require(self.client, self.alias)
        if self._bundle is not None:
            indices.check_fingerprint(index, self._bundle, self.alias)
        self.index, self.fingerprint = index, index.fingerprint
        self.config = settings_for(index.meta, self._configured)
        self.names = FieldNames(index.properties, index.fields)
        self._categories = None

    def is_ready(self, query: str | None, given: Mapping[str, Any]) -> bool:
        """Whether `arguments` needs neither the cluster nor the model."""
        category = given.get("category")
        if category is not None:
            encoded = self._categories is not None and self._categories.find(category) is not None
        else:
            lexical = given.get("mode", self.config.mode) == "lexical"
            encoded = lexical or (query is not None and self.kept_vector(query) is not None)
        known = self._capabilities is not None or given.get("fusion", self.config.fusion) == "saturation"
        return encoded and known and all(self.names.has(name) for name in names_in(given, self.config))

    def _category(self, wanted: str | Sequence[str]) -> CategoryVector:
        found = self.categories.find(wanted)
        if found is None:
            # An ingest run may have brought it since.
            self.refresh()
            found = self.categories.find(wanted)
        if found is not None:
            return found
        if not len(self.categories):
            raise UsageError(
                f"The index {self.alias} has no category vectors.",
                hint=f"Write them with: clipita ingest --index {self.alias}",
            )
        raise self.categories.unknown(wanted)

    def _warnings(self, arguments: SearchArguments) -> tuple[str, ...]:
        warnings = []
        text, cut = shorten(arguments.text, len(arguments.fields))
        if cut and arguments.mode != "vector":
            warnings.append(f"The query is long: only its first {len(text)} characters were matched by words.")
        if arguments.native and arguments.min_score is not None:
            warnings.append(f"With a minimum score, total and facets of the fusion {arguments.fusion} may be too low.")
        return tuple(warnings)

    def _run(self, steps: Steps[Result]) -> Result:
        call, result = resume(steps)
        while call is not None:
            try:
                outcome = {"answer": self._send(call)}
            except QueryError as error:
                outcome = {"error": error}
            call, result = resume(steps, **outcome)
        return cast("Result", result)

    def _send(self, call: Call) -> Any:
        if call.method == "refresh":
            return self.refresh()
        with sent(self.client, call):
            return getattr(self.client, call.method)(**call.arguments)

    def _search(self, body: dict[str, Any], params: dict[str, str]) -> Any:
        return self._send(Call("search", {"index": self.alias, "body": body, "params": params}))


def resume(steps: Steps[Result], answer: Any = None, error: QueryError | None = None) -> tuple[Call | None, Any]:
    """Go on with a search after an answer or error; gives the next call and None, or None and the result."""
    try:
        return (steps.send(answer) if error is None else steps.throw(error)), None
    except StopIteration as stop:
        return None, stop.value


@contextmanager
def sent(client: OpenSearch | str, call: Call) -> Iterator[None]:
    """Turn exceptions of the client during a call into our errors; a lost point in time is the cursor's UsageError."""
    try:
        yield
    except (opensearchpy.OpenSearchException, opensearchpy.ImproperlyConfigured) as error:
        if isinstance(error, opensearchpy.NotFoundError) and "pit" in call.arguments.get("body", {}):
            raise UsageError(
                "The snapshot that this cursor reads is gone: it was kept too short, or the node restarted.",
                hint="Start at the first page again, with a longer snapshot.",
            ) from None
        where = client if isinstance(client, str) else address_of(client)
        raise translate(error, where, QueryError) from error


def _key(query: str) -> str:
    """The query, or a digest of a long one."""
    if len(query) <= LONGEST_KEY:
        return query
    return "\0" + hashlib.blake2b(query.encode(errors="surrogatepass"), digest_size=32).hexdigest()
