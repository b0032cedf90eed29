"""Category search for a storefront: `ProductSearch`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import QueryError, UsageError
from clipita.opensearch import index as indices
from clipita.opensearch.cluster import connect, guarded
from clipita.opensearch.field_names import FieldNames
from clipita.opensearch.query import (
    FilterValue,
    Mode,
    SearchArguments,
    ranking_body,
    search_body,
    shorten,
)
from clipita.opensearch.results import SearchPage, read_page

if TYPE_CHECKING:
    from clipita.runtime import Bundle

CACHED_QUERIES = 10_000
"""Query vectors kept; 1 KB each at 256 dimensions."""


class ProductSearch:
    """Searches one index with one model; may be shared by threads.

    Example::

        search = ProductSearch("https://search.internal:9200", index="products", model="model/")
        page = search("running shoes", filters={"brand": ["Nike"], "price": {"lte": 80}}, facets=["brand"])

    Args:
        cluster: URL, or a client of opensearch-py, or None for what `opensearch` says (the local node by default).
        index: the alias.
        model: the bundle's folder, or the bundle; None allows the mode lexical alone.
        config: defaults of every search.
        opensearch: user, certificates, time limit.
        device: where queries are encoded: cpu, cuda or cuda:N.

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
        self.config = config or SearchConfig()
        self.client = _client(cluster, opensearch or OpenSearchConfig())
        self._bundle = _load(model)
        self.index = indices.require(self.client, index)
        if self._bundle is not None:
            indices.check_fingerprint(self.index, self._bundle, index)
        self._names = FieldNames(self.index.properties)
        self._encode = functools.lru_cache(CACHED_QUERIES)(_query_encoder(self._bundle, device))

    def __call__(
        self,
        query: str,
        *,
        mode: Mode | None = None,
        filters: Mapping[str, FilterValue] | None = None,
        facets: Sequence[str] = (),
        size: int | None = None,
        page: int = 1,
        thumbnails: bool = False,
        **options: Any,
    ) -> SearchPage:
        """One page of hits.

        Args:
            query: a category's name, or any words.
            mode: lexical, vector or hybrid.
            filters: field to a value, a list of values, {"gte": …, "lt": …} or {"exists": true}; an attribute goes by
                its own name.
            facets: fields to count values of.
            size: hits a page.
            page: 1-based.
            thumbnails: whether hits carry their thumbnail.
            options: `weight`, `pivot`, `k`, `fields`, `facet_size`; see `query.SearchArguments`.

        Raises:
            UsageError: an empty query, an unknown field, a page beyond 10,000 hits, a mode that needs a model.
            QueryError: the cluster refused the search.
            FingerprintError: the alias moved to an index of another model meanwhile.
        """
        arguments = self._arguments(
            query, mode, filters, facets, size=size, page=page, thumbnails=thumbnails, **options
        )
        answer = self._send(search_body(arguments))
        return read_page(answer, arguments.mode, arguments.page, arguments.size, arguments.facets, _remarks(arguments))

    def body(
        self,
        query: str,
        *,
        mode: Mode | None = None,
        filters: Mapping[str, FilterValue] | None = None,
        facets: Sequence[str] = (),
        size: int | None = None,
        page: int = 1,
        thumbnails: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """The request body of the same search, for those who send it themselves; arguments as in a call."""
        return search_body(
            self._arguments(query, mode, filters, facets, size=size, page=page, thumbnails=thumbnails, **options)
        )

    def rank(
        self,
        query: str,
        *,
        mode: Mode | None = None,
        depth: int = 1000,
        filters: Mapping[str, FilterValue] | None = None,
        **options: Any,
    ) -> list[str]:
        """Product ids, best first, `depth` at most; k is the depth too. For measuring retrieval quality.

        Raises:
            UsageError: the depth lies outside 1 to 10,000, or as in a call.
        """
        arguments = self._arguments(query, mode, filters, (), size=1, **options)
        answer = self._send(ranking_body(arguments, depth))
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def vector(self, query: str) -> tuple[float, ...]:
        """The query's unit vector, [dim]; kept for the next time.

        Raises:
            UsageError: this search has no model.
        """
        found: tuple[float, ...] = self._encode(query)
        return found

    def _arguments(
        self,
        query: str,
        mode: Mode | None,
        filters: Mapping[str, FilterValue] | None,
        facets: Sequence[str],
        **options: Any,
    ) -> SearchArguments:
        given = {name: value for name, value in options.items() if value is not None}
        unknown = [name for name in given if name not in _OPTIONS]
        if unknown:
            raise UsageError(f"A search has no option {unknown[0]!r}.", hint=f"Known: {', '.join(_OPTIONS)}.")
        settings = dataclasses.asdict(self.config) | given
        mode = mode or self.config.mode
        names = self._names_for([*(filters or {}), *facets, *(name.partition("^")[0] for name in settings["fields"])])
        for name, value in (filters or {}).items():
            names.check_numbers(name, value)
        settings |= {
            "mode": mode,
            "filters": {names.exact(name): value for name, value in (filters or {}).items()},
            "facets": {name: names.exact(name) for name in facets},
            "fields": names.searchable(settings["fields"]),
        }
        # Checked before the query is encoded: an empty one has no vector worth having.
        arguments = SearchArguments(text=query, **settings)
        return arguments if mode == "lexical" else dataclasses.replace(arguments, vector=self.vector(query))

    def _names_for(self, wanted: Sequence[str]) -> FieldNames:
        """The fields; read again when one is missing, as new products may bring new ones."""
        if not all(self._names.has(name) for name in wanted):
            self._refresh()
        return self._names

    def _send(self, body: dict[str, Any]) -> Any:
        with guarded(self.client, QueryError):
            answer = self.client.search(index=self.alias, body=body)
        hits = answer["hits"]["hits"]
        if hits and hits[0]["_index"] != self.index.name:
            # The alias was moved: with another model's vectors behind it these hits mean nothing.
            self._refresh()
        return answer

    def _refresh(self) -> None:
        index = indices.require(self.client, self.alias)
        if self._bundle is not None:
            indices.check_fingerprint(index, self._bundle, self.alias)
        self.index = index
        self._names = FieldNames(index.properties)


_OPTIONS = ("size", "page", "k", "weight", "pivot", "fields", "facet_size", "thumbnails")


def _client(cluster: str | OpenSearch | None, config: OpenSearchConfig) -> OpenSearch:
    if cluster is None:
        return connect(config)
    if isinstance(cluster, str):
        return connect(dataclasses.replace(config, url=cluster))
    return cluster


def _load(model: str | Path | Bundle | None) -> Bundle | None:
    if not isinstance(model, str | Path):
        return model
    from clipita.runtime import Bundle

    return Bundle.load(Path(model))


def _query_encoder(bundle: Bundle | None, device: str) -> Any:
    """A function from a query to its vector."""
    if bundle is None:

        def refuse(_: str) -> tuple[float, ...]:
            raise UsageError("This search was made without a model.", hint="Give `model`, or use the mode lexical.")

        return refuse
    from clipita.runtime import TextEncoder

    encoder = TextEncoder(bundle, device)

    def encode(query: str) -> tuple[float, ...]:
        return tuple(encoder.encode([query])[0].tolist())

    return encode


def _remarks(arguments: SearchArguments) -> tuple[str, ...]:
    if arguments.mode == "vector":
        return ()
    text, cut = shorten(arguments.text, len(arguments.fields))
    return (f"The query is long: only its first {len(text)} characters were matched by words.",) if cut else ()
