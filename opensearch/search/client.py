"""Category search for a storefront: `ProductSearch`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import opensearchpy
from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import ClusterVersionError, QueryError, UsageError
from clipita.opensearch.cluster.connection import Capabilities, capabilities, connect
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.index import categories as category_store
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.categories import Categories, CategoryVector
from clipita.opensearch.search import client_fusion
from clipita.opensearch.search.arguments import SearchArguments
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.fusion import is_past_the_end, require_fusion
from clipita.opensearch.search.options import SearchOptions, given_options, names_in, plan, remarks_on
from clipita.opensearch.search.query_vectors import QueryVectors
from clipita.opensearch.search.request import check_depth, ranking_body, search_body
from clipita.opensearch.search.results import SearchPage, read_page
from clipita.opensearch.search.sending import at_snapshot, expired, explained, search_params, snapshot_params
from clipita.opensearch.search.stored_settings import stored_settings

if TYPE_CHECKING:
    from clipita.runtime import Bundle


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
        config: defaults of every search; None takes those that `clipita tune` stored in the index, else the defaults.
        opensearch: user, certificates, time limit.
        device: where queries are encoded: cpu, cuda or cuda:N.

    Attributes:
        index: what the alias points at.
        names: its fields, by the names that the shop gives them.

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
        config: SearchConfig | None = None,
        opensearch: OpenSearchConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.alias = index
        self.client = _client(cluster, opensearch or OpenSearchConfig())
        self._configured = config
        self._bundle = load_bundle(model)
        self.vectors = QueryVectors(self._bundle, device)
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
            ClusterVersionError: the fusion needs a plugin that the cluster lacks, to do what is asked.
            FingerprintError: the alias moved to an index of another model meanwhile.
        """
        given = given_options(options)
        fingerprint = self.index.fingerprint
        arguments = self.arguments(query, given)
        body = search_body(arguments)
        snapshot = self._snapshot(arguments, given)
        try:
            answer = self._fused(arguments) if arguments.by_client else self._send(body, arguments, snapshot)
        except QueryError as error:
            if not is_past_the_end(error, arguments):
                raise
            answer = self._send({**body, "from": 0, "size": 0}, arguments, snapshot)
        if self.index.fingerprint != fingerprint:
            # The alias moved; the category's vector was of the model before.
            return self(query, **options)
        page = read_page(answer, arguments, remarks_on(arguments), snapshot)
        if snapshot is not None and page.cursor is None:
            self._drop(snapshot)
        return page

    def body(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The request body of the same search, for those who send it themselves; arguments as in a call."""
        arguments = self.arguments(query, given_options(options))
        if arguments.by_client:
            raise client_fusion.no_single_request(arguments)
        return search_body(arguments)

    def rank(self, query: str | None = None, *, depth: int = 1000, **options: Unpack[SearchOptions]) -> list[str]:
        """Product ids, best first, `depth` at most; k is the depth too. For measuring retrieval quality.

        Raises:
            UsageError: the depth lies outside 1 to 10,000, or as in a call.
        """
        return list(self.scores(query, depth=depth, **options))

    def scores(
        self, query: str | None = None, *, depth: int = 1000, **options: Unpack[SearchOptions]
    ) -> dict[str, float]:
        """Product ids and their scores, best first; as `rank`."""
        check_depth(depth)
        arguments = self.arguments(query, {**given_options(options), "size": 1, "k": depth})
        if arguments.by_client:
            return dict(self._rankings(arguments)[0][:depth])
        answer = self._send(ranking_body(arguments), arguments)
        return {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}

    def vector(self, query: str) -> tuple[float, ...]:
        """The query's unit vector, [dim]; kept for the next time.

        Raises:
            UsageError: this search has no model.
        """
        return self.vectors(query)

    def present(self, ids: Sequence[str]) -> set[str]:
        """Those of at most 10,000 product ids that are in the index."""
        body = {"query": {"ids": {"values": list(ids)}}, "size": len(ids), "_source": False}
        return {hit["_id"] for hit in self._send(body)["hits"]["hits"]}

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
        """Checked arguments of a search, vector included.

        Args:
            query: as in a call.
            given: its options, from `plan.given_options`.
        """
        wanted = given.get("category")
        category = None if wanted is None else self._category(wanted)
        text = query if query is not None else "" if category is None else category.name
        names = self._names_for(names_in(given, self.config))
        # Checked before the query is encoded: an empty one has no vector worth having.
        arguments = plan(text, given, self.config, names)
        if arguments.native:
            arguments = self._with_fusion(arguments)
        if arguments.mode == "lexical":
            return arguments
        vector = self.vector(text) if category is None else category.vector
        return dataclasses.replace(arguments, vector=vector)

    def _category(self, wanted: str | Sequence[str]) -> CategoryVector:
        found = self.categories.find(wanted)
        if found is None:
            # An ingest run may have brought it since.
            self.refresh()
            found = self.categories.find(wanted)
        if found is None:
            raise no_category(self.categories, wanted, self.alias)
        return found

    def _names_for(self, wanted: Sequence[str]) -> FieldNames:
        """The fields; read again when one is missing, as new products may bring new ones."""
        if not all(self.names.has(name) for name in wanted):
            self.refresh()
        return self.names

    def _with_fusion(self, arguments: SearchArguments) -> SearchArguments:
        """The plugin fuses where it is; else we do, from two searches."""
        if self._capabilities is None:
            self._capabilities = capabilities(self.client)
        try:
            require_fusion(arguments, self._capabilities)
        except ClusterVersionError as error:
            client_fusion.check(arguments, error)
            return dataclasses.replace(arguments, by_client=True)
        return arguments

    def _rankings(self, arguments: SearchArguments) -> client_fusion.Fused:
        with guarded(self.client, QueryError):
            return client_fusion.read(
                self.client.msearch(index=self.alias, body=client_fusion.requests(arguments)), arguments
            )

    def _fused(self, arguments: SearchArguments) -> dict[str, Any]:
        ranking, union = self._rankings(arguments)
        page = client_fusion.cut(ranking, arguments)
        return client_fusion.as_answer(page, union, self._send(client_fusion.page_request(page, arguments)))

    def _snapshot(self, arguments: SearchArguments, given: Mapping[str, Any]) -> tuple[str, str] | None:
        """The point in time to read: the cursor's, or a new one; its id and how long it is kept."""
        if "cursor" in given:
            return Cursor.decode(given["cursor"]).snapshot
        if "snapshot" not in given:
            return None
        with guarded(self.client, QueryError):
            made = self.client.create_pit(index=self.alias, params=snapshot_params(arguments, given))
        return made["pit_id"], given["snapshot"]

    def _send(
        self,
        body: dict[str, Any],
        arguments: SearchArguments | None = None,
        snapshot: tuple[str, str] | None = None,
    ) -> Any:
        with guarded(self.client, QueryError):
            if snapshot is not None:
                return self._read(body, snapshot, explained(arguments))
            answer = self.client.search(index=self.alias, body=body, params=search_params(arguments))
        if self.moved(answer):
            self.refresh()
        return answer

    def _read(self, body: dict[str, Any], snapshot: tuple[str, str], params: dict[str, str]) -> Any:
        try:
            return self.client.search(body=at_snapshot(body, snapshot), params=params)
        except opensearchpy.NotFoundError:
            raise expired() from None

    def _drop(self, snapshot: tuple[str, str]) -> None:
        with guarded(self.client, QueryError):
            self.client.delete_pit(body={"pit_id": [snapshot[0]]}, params={"ignore": 404})

    def is_ready(self, query: str | None, given: Mapping[str, Any]) -> bool:
        """Whether `arguments` can answer at once, without asking the cluster or the model."""
        category = given.get("category")
        if category is not None:
            encoded = self._categories is not None and self._categories.find(category) is not None
        else:
            lexical = given.get("mode", self.config.mode) == "lexical"
            encoded = lexical or (query is not None and self.vectors.peek(query) is not None)
        native = given.get("fusion", self.config.fusion) != "saturation"
        return encoded and not native and all(self.names.has(name) for name in names_in(given, self.config))

    def moved(self, answer: Mapping[str, Any]) -> bool:
        """Whether the alias points to another index by now: with another model's vectors its hits mean nothing."""
        hits = answer["hits"]["hits"]
        return bool(hits) and hits[0]["_index"] != self.index.name

    def refresh(self) -> None:
        """Read index, fields and categories anew.

        Raises:
            IndexMissingError: the index is gone.
            FingerprintError: it belongs to another model by now.
        """
        index = indices.require(self.client, self.alias)
        if self._bundle is not None:
            indices.check_fingerprint(index, self._bundle, self.alias)
        self.index = index
        self.config = self._configured or stored_settings(index.meta)
        self.names = FieldNames(index.properties, index.fields)
        self._categories = None


def load_bundle(model: str | Path | Bundle | None) -> Bundle | None:
    """The bundle, read if it is a folder's name."""
    if not isinstance(model, str | Path):
        return model
    from clipita.runtime.bundle import QUERY_FILES, Bundle

    return Bundle.load(Path(model), QUERY_FILES)


def no_category(categories: Categories, wanted: str | Sequence[str], alias: str) -> UsageError:
    """The error for a category that is not found."""
    if not len(categories):
        return UsageError(
            f"The index {alias} has no category vectors.", hint=f"Write them with: clipita ingest --index {alias}"
        )
    return categories.unknown(wanted)


def config_for(url: str | None, config: OpenSearchConfig) -> OpenSearchConfig:
    """The connection's settings, for another address if one is given."""
    return config if url is None else dataclasses.replace(config, url=url)


def _client(cluster: str | OpenSearch | None, config: OpenSearchConfig) -> OpenSearch:
    return connect(config_for(cluster, config)) if isinstance(cluster, str | None) else cluster
