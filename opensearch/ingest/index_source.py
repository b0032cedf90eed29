"""The shop's own index as the source of products; its documents are kept unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import opensearchpy
from opensearchpy import OpenSearch, OpenSearchException

from clipita.catalogue.fields import resolve_columns, row_to_product
from clipita.catalogue.ids import IdTable
from clipita.catalogue.product import CategoryPath, Product
from clipita.catalogue.variants.groups import GROUP_FIELD, group_of
from clipita.config import FieldsConfig
from clipita.errors import ClusterError, IndexMissingError, ProductError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.reads import address, all_shards, count, get_documents, refresh, value_at
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.index import resolve, write_alias
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.ingest.documents import Item, OnReject, Stored

PAGE = 500
KEEP_ALIVE = "10m"
_ID = "_id"


class IndexSource:
    """All documents of an index at one point in time.

    In `fields`, `specs.*` among the attributes stands for all fields below `specs`.

    Attributes:
        name: the concrete index.
        settings: its `settings.index`.
        aliases: its aliases with their filters and routing.
        paths: the category paths read so far.

    Raises:
        IndexMissingError: there is no index of this name.
        ClusterError: its documents are not stored (`_source` is disabled).
        FieldMappingError: the index lacks a field that `fields` names.
    """

    def __init__(
        self,
        client: OpenSearch,
        name: str,
        fields: FieldsConfig | None = None,
        image_root: Path | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._client = client
        self._backoff = backoff or Backoff()
        self._image_roots = () if image_root is None else (Path(image_root).absolute(),)
        found = resolve(client, name)
        if found is None:
            raise IndexMissingError(f"There is no index {name} to read from.", hint="Check --from-index.")
        self.name = found
        with guarded(client):
            index = client.indices.get(index=found)[found]
        self.settings: dict[str, Any] = index["settings"]["index"]
        self.mappings: dict[str, Any] = index["mappings"]
        aliases: dict[str, Any] = index["aliases"]
        self.aliases = {alias: options for alias, options in aliases.items() if alias != write_alias(found)}
        _check_source(found, self.mappings)
        self.paths: set[CategoryPath] = set()
        fields = fields or FieldsConfig()
        attributes = tuple(name.removesuffix(".*") for name in fields.attributes)
        paths = [_ID, *_paths(self.mappings.get("properties", {}))]
        # Where the documents are ours, their group has its field's name, whatever the catalogue's column was called.
        meta = self.mappings.get("_meta", {}).get("clipita")
        ours = meta is not None and meta.get("documents") != "kept" and GROUP_FIELD in paths
        group = GROUP_FIELD if ours and fields.group not in paths else fields.group
        chosen = dataclasses.replace(fields, id=_ID, attributes=attributes, group=group)
        self._fields = resolve_columns(chosen, paths, Path(found))

    @property
    def fields(self) -> dict[str, str]:
        """Title, image and category path, each with the name of the shop's field; see `ProductIndex.fields`."""
        names = ("title", "image", "category_path")
        found = {name: getattr(self._fields, name) for name in names if getattr(self._fields, name)}
        if "category_path" in found:
            found["category_separator"] = self._fields.category_separator
            if self._fields.path_separator:
                found["path_separator"] = self._fields.path_separator
        return found

    @property
    def attribute_columns(self) -> tuple[str, ...]:
        """The fields of attributes."""
        return self._fields.attributes

    @property
    def total(self) -> int:
        """The number of documents in the index."""
        return count(self._client, self.name, self._backoff)

    def items(self, reject: OnReject) -> Iterator[Item]:  # noqa: ARG002 - a document of the shop is never rejected
        """All documents; one that gives no product has a `problem`."""
        refresh(self._client, self.name, self._backoff)
        return self._scan({"match_all": {}})

    def changed_since(self, seq_nos: tuple[int, ...]) -> Iterator[Item]:
        """Documents written after `last_seq_nos` gave these numbers, and perhaps some from before."""
        refresh(self._client, self.name, self._backoff)
        return self._scan({"range": {"_seq_no": {"gt": min(seq_nos)}}})

    def last_seq_nos(self) -> tuple[int, ...]:
        """The highest sequence number of each shard; each later write there exceeds it."""

        def request() -> tuple[int, ...]:
            stats = all_shards(self._client.indices.stats(index=self.name, params={"level": "shards"}), copies=True)
            shards = stats["indices"].get(self.name, {}).get("shards", {}).values()
            found = [copy for copies in shards for copy in copies if copy["routing"]["primary"]]
            if len(found) < int(self.settings["number_of_shards"]):
                # Statistics leave out a shard without a node.
                raise opensearchpy.TransportError(503, "partial_answer", {})
            return tuple(int(copy["seq_no"]["max_seq_no"]) for copy in found)

        return self._backoff.call(self._client, request)

    def again(self, ids: Sequence[tuple[str, str | None]]) -> Iterator[Item]:
        """Documents read again; one that was removed meanwhile has a `problem`."""
        docs = [address(id_, routing) for id_, routing in ids]
        answers = get_documents(self._client, self.name, docs, self._backoff, _source_excludes=VECTOR_FIELD)
        for number, found in enumerate(answers, start=1):
            if found["found"]:
                yield self._item(found, number)
            else:
                problem = "the document was removed while it was being processed"
                yield Item(Product(id=found["_id"]), self.name, number, problem=problem)

    def _scan(self, query: dict[str, Any]) -> Iterator[Item]:
        seen = IdTable()
        # With nothing excluded, a document is returned byte for byte as it was written.
        source: Any = {"excludes": [VECTOR_FIELD]} if VECTOR_FIELD in self.mappings.get("properties", {}) else True
        for hit in scan(self._client, self.name, query, self._backoff, source):
            number = len(seen) + 1
            if seen.setdefault(hit["_id"], number) == number:
                yield self._item(hit, number)

    def _item(self, hit: Mapping[str, Any], number: int) -> Item:
        stored = Stored(hit["_source"], hit.get("_routing"), hit["_seq_no"], hit["_primary_term"])
        try:
            return Item(self._product(hit), self.name, number, stored)
        except ProductError as error:
            return Item(Product(id=hit["_id"]), self.name, number, stored, problem=error.message)

    def _product(self, hit: Mapping[str, Any]) -> Product:
        fields = self._fields
        names = [fields.title, fields.category_path, fields.image, *fields.category_columns, *fields.attributes]
        row = {_ID: hit["_id"], **{name: _ordered(value_at(hit["_source"], name)) for name in names if name}}
        product = row_to_product(row, fields)
        if fields.group and (group := group_of(value_at(hit["_source"], fields.group))) is not None:
            product = dataclasses.replace(product, extra={GROUP_FIELD: group})
        self.paths.update(product.category_paths)
        return product.located(*self._image_roots)


def scan(
    client: OpenSearch, name: str, query: Mapping[str, Any], backoff: Backoff, source: Any
) -> Iterator[dict[str, Any]]:
    """All hits of a query at one point in time, in no order; `name` is a concrete index.

    A point in time does not survive the restart of a node; the scan then begins again, and hits may come twice.
    """
    # By default a point in time covers only the shards that are available.
    params = {"keep_alive": KEEP_ALIVE, "allow_partial_pit_creation": "false"}
    while True:
        opened = backoff.call(client, lambda: all_shards(client.create_pit(index=name, params=params)))
        try:
            for part in _slices(opened["_shards"]["total"]):
                yield from _pages(client, opened["pit_id"], query, backoff, source, part)
        except ClusterError as error:
            if "No search context" not in str(error):
                raise
            continue
        finally:
            # One that cannot be closed now expires by itself.
            with suppress(OpenSearchException):
                client.delete_pit(body={"pit_id": [opened["pit_id"]]})
        return


def _slices(shards: int) -> list[dict[str, Any]]:
    """Parts of a search that each cover one shard: `_doc` numbers the documents of a shard and repeats in the others.

    As a key of one search over several shards it would lose documents; `_shard_doc`, which does not, came with 3.3.
    https://docs.opensearch.org/latest/search-plugins/searching-data/point-in-time/#search-slicing
    """
    return [{"slice": {"id": shard, "max": shards}} for shard in range(shards)] if shards > 1 else [{}]


def _pages(
    client: OpenSearch, pit: str, query: Mapping[str, Any], backoff: Backoff, source: Any, part: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    body: dict[str, Any] = {
        "size": PAGE,
        "query": query,
        "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
        "sort": [{"_doc": "asc"}],
        "track_total_hits": False,
        "seq_no_primary_term": True,
        "_source": source,
        **part,
    }
    while True:
        hits = backoff.call(client, lambda: all_shards(client.search(body=body)))["hits"]["hits"]
        yield from hits
        if len(hits) < PAGE:
            return
        body["search_after"] = hits[-1]["sort"]


def _ordered(value: Any) -> Any:
    """Objects with sorted keys: their order changes when OpenSearch leaves out a field."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(part) for part in value] if isinstance(value, list) else value


def _paths(properties: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """All field names of a mapping as dotted paths, objects included."""
    for name, mapping in properties.items():
        yield f"{prefix}{name}"
        yield from _paths(mapping.get("properties", {}), f"{prefix}{name}.")


def _check_source(name: str, mappings: Mapping[str, Any]) -> None:
    source = mappings.get("_source", {})
    if source.get("enabled") is False or source.get("excludes") or source.get("includes"):
        raise ClusterError(
            f"The index {name} does not store complete documents (_source in its mapping), so they cannot be copied.",
            hint="Ingest from the catalogue that it was made from.",
        )
