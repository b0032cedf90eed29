"""Category search for a storefront: `ProductSearch`.

A search is a generator of calls to the cluster (`ProductSearch.steps`), so that the synchronous and the asynchronous
client differ in how a call is sent and in nothing else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig, SearchConfig
from clipita.errors import IndexMovedError, QueryError, UsageError
from clipita.evaluation.thresholds import at
from clipita.opensearch.cluster.calls import Call, Result, Steps, resume, sent, single
from clipita.opensearch.cluster.connection import Capabilities, bm25_boost, capabilities, connect
from clipita.opensearch.index import categories as category_store
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.categories import Categories, CategoryVector
from clipita.opensearch.search.clauses.query import clause_alone, lexical_clause
from clipita.opensearch.search.clauses.refusal import blaming
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.defaults import settings_for
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.options import MAX_WINDOW, SearchArguments, SearchOptions, given_options
from clipita.opensearch.search.request import also_body, ranking_body, search_body, search_params, union_body
from clipita.opensearch.search.resolve import check_depth, continued, is_known, look_up, resolve
from clipita.opensearch.search.results import SearchPage, read_page, remarks_on
from clipita.opensearch.search.understanding.reader import QueryReader
from clipita.opensearch.search.vectors import Encoded, QueryVectors

if TYPE_CHECKING:
    from clipita.runtime import Bundle

SAME = 0.999
"""Cosine from which on a query's vector is that of a category."""
RECOGNISED = 0.5
"""The gate from which on a query names a known category, with a slip of the finger perhaps."""
SUGGESTED = 3
"""Categories that an empty page offers."""


class ProductSearch:
    """Searches one index with one model; may be shared by threads.

    Example::

        search = ProductSearch("https://search.internal:9200", index="products", model="model/")
        page = search("running shoes", filters={"brand": ["Nike"], "price": {"lte": 80}}, facets=["brand"])
        page = search(category="Shoes > Running", sort="price", page=3)

    Args:
        cluster: URL, or a client of opensearch-py, or None for what `opensearch` says (the local node by default).
        index: the alias.
        model: the bundle's folder, the bundle, or vectors made with it; without one, free text is searched by its
            words alone, and categories by their stored vectors.
        config: defaults of every search. None, and what a mapping leaves out, comes from the index, where
            `clipita tune` stores it, and else from `SearchConfig`; a `SearchConfig` holds as it is.
        opensearch: user, certificates, time limit.
        device: where queries are encoded: cpu, cuda or cuda:N.

    Attributes:
        alias: as given.
        target: what searches are sent to, the alias; or an index by its own name, which an alias swap does not change.
        moves: whether a search goes on in the index to which the alias moved; else it raises an IndexMovedError.
        configured: `config` as given.
        index: what the alias points at.
        fingerprint: of the model whose vectors it holds.
        config: the defaults in force.
        names: the index's fields, by the names that the shop gives them.
        vectors: of queries.

    Raises:
        ClusterError: no connection, see `cluster.connect`.
        IndexMissingError: there is no such index.
        FingerprintError: the index holds vectors of another model.
        BundleError: the bundle is missing or changed.
    """

    index: indices.ProductIndex

    def __init__(
        self,
        cluster: str | OpenSearch | None = None,
        index: str = "products",
        model: str | Path | Bundle | QueryVectors | None = None,
        config: SearchConfig | Mapping[str, Any] | None = None,
        opensearch: OpenSearchConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.alias = self.target = index
        self.moves = True
        self.client = connect(opensearch, cluster) if isinstance(cluster, str | None) else cluster
        self.configured = config
        self.vectors = model if isinstance(model, QueryVectors) else QueryVectors(model, device)
        self._capabilities: Capabilities | None = None
        self._bm25_boost = bm25_boost(self.client)
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

    def clause(self, query: str | None = None, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """The query of the same search as one clause, for a request that you build yourself.

        It scores as the search does. Products must pass `filters` and `raw_filters` of this call: a filter that only
        your request has leaves fewer than k nearest products.

        Raises:
            UsageError: as in a call; or an option that belongs to a request (facets, sort, size, page and so on), or a
                fusion of neural-search, which cannot stand inside another query.
        """
        given = given_options(options)
        return clause_alone(self.arguments(query, given), given)

    def rank(self, query: str | None = None, *, depth: int = 1000, **options: Unpack[SearchOptions]) -> list[str]:
        """Product ids, best first, at most `depth`; k is the depth too. For measuring retrieval quality.

        Raises:
            UsageError: the depth lies outside 1 to 10,000, or as in a call.
        """
        return list(self.scores(query, depth=depth, **options))

    def scores(
        self,
        query: str | None = None,
        *,
        depth: int = 1000,
        vector: Sequence[float] | None = None,
        **options: Unpack[SearchOptions],
    ) -> dict[str, float]:
        """Product ids and their scores, best first; as `rank`. `vector`, [dim], takes the place of the query's own."""
        if not 1 <= depth <= MAX_WINDOW:
            raise UsageError(f"depth is {depth}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
        arguments = self.arguments(query, {**given_options(options), "size": 1, "k": depth})
        # A ranking goes on where a page ends, and a value that the query names lifts products from far behind.
        k, vector = MAX_WINDOW if arguments.understood else depth, vector or arguments.vector
        arguments = dataclasses.replace(arguments, threshold=None, k=k, vector=vector)
        body = {"body": ranking_body(arguments, depth), "index": self.target, "params": search_params(arguments)}
        answer = self._run(self._blaming(single(Call("search", body)), arguments))
        return {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}

    def vector(self, query: str) -> tuple[float, ...]:
        """The query's unit vector, [dim]; kept for the next time.

        Raises:
            UsageError: this search has no model.
        """
        return self.vectors.encoded(query).vector

    def present(self, ids: Sequence[str]) -> set[str]:
        """Those of at most 10,000 product ids that are in the index."""
        body = {"query": {"ids": {"values": list(ids)}}, "size": len(ids), "_source": False}
        return {hit["_id"] for hit in self._send(Call("search", {"index": self.target, "body": body}))["hits"]["hits"]}

    @property
    def categories(self) -> Categories:
        """The shop's categories, as the last ingest run wrote them; empty where it wrote none."""
        if self._categories is None:
            self._categories = category_store.load(self.client, self.index.name, self.vectors.category)
        return self._categories

    def arguments(self, query: str | None, given: Mapping[str, Any]) -> SearchArguments:
        """Checked arguments of a search, vector included; `given` comes from `given_options`."""
        # Before all else: arguments that an alias swap made of two indices belong to the former, and are made again.
        index = self.index.name
        wanted = given.get("category")
        category = None if wanted is None else self._category(wanted)
        if category is not None and category.added and "members" not in given:
            given = {**given, "members": category_store.default_members(self.client, self.index.name, category)}
        text = query if query is not None else "" if category is None else category.name
        # Checked before the query is encoded, as an empty one needs no vector.
        arguments = self._resolved(text, given, read=query is not None)
        if arguments.native:
            arguments.fused_by.require(self.capabilities, min_score=arguments.min_score is not None)
        changes: dict[str, Any] = {"index": index, "bm25_boost": self._bm25_boost}
        changes["respelled"] = self.vectors.respelled(arguments.searched)
        if category is not None and wanted is not None:
            changes["nodes"] = self.categories.nodes(category, wanted) if self.index.has_nodes else ()
            # Its values alone make no page beside a category.
            changes["words"] = arguments.searched
        arguments = dataclasses.replace(arguments, **changes)
        changes = {"asked": arguments.identity}
        if arguments.mode != "lexical" or arguments.also:
            encoded = self.vectors.encoded(arguments.encoded) if category is None else Encoded(category.vector, 1.0)
            changes |= self._bounds(encoded, category, arguments, given)
        arguments = continued(dataclasses.replace(arguments, **changes), given)
        check_depth(arguments)
        return arguments

    def _bounds(
        self, encoded: Encoded, category: CategoryVector | None, arguments: SearchArguments, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Vector, weight, and where the page ends."""
        gate = encoded.gate
        if category is None and (near := self.categories.nearest(encoded.vector)):
            category, cosine = near[0]
            # The vector of a known name is the category's own; an older model says no more than that.
            gate = float(cosine > SAME) if math.isnan(gate) else gate
        changes: dict[str, Any] = {"vector": encoded.vector, "recognised": gate >= RECOGNISED}
        if given.get("weight", self.config.weight) is None and not math.isnan(encoded.gate):
            low, high = self.config.weight_unknown, self.config.weight_known
            changes["weight"] = round(low + gate * (high - low), 4)
        if general := self.categories.general:
            own = (category.thresholds if category is not None else ()) or general
            threshold = gate * at(own, arguments.precision) + (1 - gate) * at(general, arguments.precision)
            radial = self.capabilities.radial and not self.index.on_disk
            changes |= {"threshold": round(threshold, 6), "radial": radial}
        return changes

    @property
    def capabilities(self) -> Capabilities:
        """What the cluster can do; asked once."""
        if self._capabilities is None:
            self._capabilities = capabilities(self.client)
        return self._capabilities

    def steps(self, arguments: SearchArguments, given: Mapping[str, Any]) -> Steps[SearchPage | None]:
        """The calls of one search and its page, or None if the alias moved: the arguments must be made again."""
        try:
            return (yield from self._blaming(self._steps(arguments, given), arguments))
        except QueryError:
            # The other index may have vectors of another length, or lack a field.
            if not (yield Call("has_moved", {"since": arguments.index})):
                raise
            yield Call("refresh", {})
            return None

    def _steps(self, arguments: SearchArguments, given: Mapping[str, Any]) -> Steps[SearchPage | None]:
        params = search_params(arguments)
        body = search_body(arguments)
        snapshot = Cursor.decode(given["cursor"]).snapshot if "cursor" in given else None
        if snapshot is None and "snapshot" in given:
            keep = given["snapshot"]
            made = yield Call("create_pit", {"index": self.target, "params": {**params, "keep_alive": keep}})
            snapshot = (made["pit_id"], keep)
        if snapshot is not None:
            # A point in time stays with the copies that it was made on, and takes the place of the index.
            body["pit"] = {"id": snapshot[0], "keep_alive": snapshot[1]}
            del params["preference"]
        where = {"params": params} if snapshot is not None else {"index": self.target, "params": params}
        union = None
        if arguments.native and arguments.min_score is None:
            union = yield Call("search", {"body": union_body(arguments), **where})
            body.pop("aggs", None)
        try:
            if union is not None and union["hits"]["total"]["value"] <= (arguments.page - 1) * arguments.size:
                # The plugin refuses a page behind the last hit, where any other query gives an empty one.
                answer, union = union, None
            else:
                answer = yield Call("search", {"body": body, **where})
        except QueryError as error:
            if not (arguments.native and "Reached end of search result" in error.message):
                raise
            first = {**body, "from": 0, "size": 1}
            answer = yield Call("search", {"body": first, **where})
            answer["hits"]["hits"] = []
        also = None
        if arguments.also and arguments.nodes and arguments.threshold is not None:
            also = yield Call("search", {"body": also_body(arguments), "index": self.target, "params": params})
        # The snapshot of a cursor may well be one of a former index.
        goes_on = snapshot is not None and "cursor" in given
        if not goes_on and (yield from self._elsewhere([answer, also] if also else [answer], arguments.index)):
            yield Call("refresh", {})
        if self.index.name != arguments.index:
            # Vectors, thresholds and fields of these arguments are those of another index.
            return None
        warnings = (*remarks_on(arguments, given, self.index), *self._reader.warnings(arguments))
        page = read_page(answer, arguments, warnings, snapshot, union, also)
        if not page.total and arguments.vector is not None:
            near = self.categories.nearest(arguments.vector, SUGGESTED)
            page = dataclasses.replace(page, nearest=tuple(entry.path for entry, _ in near))
        if snapshot is not None and page.cursor is None:
            yield Call("delete_pit", {"body": {"pit_id": [snapshot[0]]}, "params": {"ignore": 404}})
        return page

    def _elsewhere(self, answers: Sequence[Mapping[str, Any]], index: str) -> Steps[bool]:
        """Whether another index gave one of the answers; one without hits does not say which, so the alias is read."""
        found = [answer["hits"]["hits"] for answer in answers]
        if any(hits and hits[0]["_index"] != index for hits in found):
            return True
        return not all(found) and (yield Call("has_moved", {"since": index}))

    def has_moved(self, since: str) -> bool:
        """Whether another index than `since` is searched now."""
        return self.index.name != since or indices.resolve(self.client, self.target) != since

    def refresh(self) -> None:
        """Read index, fields and categories again; errors as of the constructor, or an IndexMovedError (`moves`)."""
        index = indices.require(self.client, self.target)
        if not self.moves and index.name != self.index.name:
            raise IndexMovedError(f"The alias {self.alias} moved from {self.index.name} to {index.name}.")
        if self.vectors.bundle is not None:
            indices.check_fingerprint(index, self.vectors.bundle, self.alias)
        self.config = settings_for(index.meta, self.configured)
        self.names = FieldNames(index.properties, index.fields)
        self._categories = None
        self._reader = QueryReader(
            self.client, index, self.names, lambda: [*self.categories.names, *self.vectors.category_texts]
        )
        # Last: see `arguments`.
        self.index, self.fingerprint = index, index.fingerprint

    def is_ready(self, query: str | None, given: Mapping[str, Any]) -> bool:
        """Whether `arguments` needs neither the cluster nor the model."""
        if not self.understands(query, given):
            return False
        category = given.get("category")
        if category is None and given.get("mode", self.config.mode) == "lexical":
            return True
        if self._capabilities is None or self._categories is None:
            return False
        if category is not None:
            found = self._categories.find(category)
            return found is not None and (not found.added or "members" in given)
        return query is not None and self.text_to_encode(query, given) is None

    def understands(self, query: str | None, given: Mapping[str, Any]) -> bool:
        """Whether fields and words of a search are known, so that its query can be read without the cluster."""
        plain = query is None or not given.get("understand", self.config.understand)
        return is_known(given, self.config, self.names) and (plain or self._reader.is_ready(query or ""))

    def text_to_encode(self, query: str, given: Mapping[str, Any]) -> str | None:
        """What of a query the model must encode, see `SearchArguments.encoded`; None if its vector is kept.

        Raises:
            UsageError: as of `arguments`.
        """
        if "category" in given or given.get("mode", self.config.mode) == "lexical":
            return None
        text = self._resolved(query, given, read=True).encoded
        return text if self.vectors.kept(text) is None else None

    def _resolved(self, text: str, given: Mapping[str, Any], *, read: bool) -> SearchArguments:
        """Checked arguments without a vector, with what the text says about fields if it is to be `read`."""
        names = self.names  # Another thread may replace them.
        if not look_up(given, self.config, names, self.client, self.target):
            # New products may have brought new fields.
            self.refresh()
            names = self.names
            look_up(given, self.config, names, self.client, self.target)
        arguments = resolve(text, given, self.config, names)
        return self._reader.understood(arguments) if read and arguments.understand else arguments

    def _category(self, wanted: str | Sequence[str]) -> CategoryVector:
        found = self.categories.find(wanted)
        if found is None:
            # An ingest run may have brought it since.
            self.refresh()
            found = self.categories.find(wanted)
        if found is None:
            raise self.categories.unknown(wanted, self.alias)
        return found

    def _blaming(self, steps: Steps[Result], arguments: SearchArguments) -> Steps[Result]:
        """The same calls, with errors that tell when the cluster refuses the clause `lexical`."""
        return steps if arguments.lexical is None else blaming(steps, lexical_clause(arguments), self.alias)

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
        if call.method in ("refresh", "has_moved"):
            return getattr(self, call.method)(**call.arguments)
        with sent(self.client, call):
            return getattr(self.client, call.method)(**call.arguments)
