"""Which index a run writes to, and the index's settings during a bulk load."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from clipita.catalogue.attribute_names import MAX_MAPPED
from clipita.catalogue.column_types import ColumnType
from clipita.config import IngestConfig
from clipita.errors import ClipItaError, ClusterError, IndexMissingError, UsageError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.reads import count
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.analysis import check_plugin
from clipita.opensearch.index.attributes import RESERVE, AttributeFields, column_fields, field_count
from clipita.opensearch.index.index import (
    ProductIndex,
    check_fingerprint,
    find,
    read,
    resolve,
    update_meta,
    warm_up,
    write_alias,
)
from clipita.opensearch.index.mapping import (
    CLIPITA_FIELD,
    ID_FIELD,
    NODES_FIELD,
    OWN_ID_FIELD,
    VECTOR_FIELD,
    added_fields,
    carried_body,
    fields_limit,
    first_meta,
    id_field,
    mapping_body,
)
from clipita.opensearch.index.synonyms import put_synonyms
from clipita.opensearch.ingest.documents import Way
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.word_files import read_synonyms

if TYPE_CHECKING:
    from clipita.runtime import Bundle


@dataclass(frozen=True)
class Target:
    """The index that a run writes, and how.

    Attributes:
        behind: the index that the alias points at when the run begins, or None.
        building: no run was completed there.
        id_field: the field of a document that holds its id, to sort by.
        attributes: those that have a field of their own.
    """

    name: str
    behind: str | None
    way: Way
    building: bool
    id_field: str = ID_FIELD
    attributes: AttributeFields = field(default_factory=AttributeFields)


@dataclass(frozen=True)
class Targets:
    """Finds or creates the index of a run over `products` products with `attributes`, the most frequent first.

    `variants` says that rows are joined to products with variants; `columns` are the catalogue's others.
    """

    client: OpenSearch
    alias: str
    bundle: Bundle
    engine: str
    config: IngestConfig
    products: int | None
    attributes: Sequence[str] = ()
    variants: bool = False
    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def for_catalogue(self, new_index: bool) -> Target:
        """The index for the products of a catalogue.

        The alias points at its first index from the start. With `new_index` the index is built beside the present one,
        and an earlier such run that was not completed is continued.

        Raises:
            FingerprintError: the present index belongs to another model and `new_index` is not set.
            UsageError: the present index is in another language, or a file of words cannot be used.
            ClusterError: see `index.find`; or the present index holds the shop's own documents.
        """
        synonyms = read_synonyms(self.config.synonyms) if self.config.synonyms else []
        present = find(self.client, self.alias)
        if present is not None and present.kept:
            raise ClusterError(
                f"The index {present.name} holds the shop's own documents, which a catalogue's would overwrite.",
                hint=f"Add vectors to them with --in-place, or copy them again with --from-index {self.alias}.",
            )
        if present is not None and not new_index:
            check_fingerprint(present, self.bundle, self.alias)
            self._check_language(present)
            self._complete_mapping(present)
            if present.fields:
                # An earlier version's --in-place wrote these, which belong to documents of the shop alone.
                with guarded(self.client):
                    update_meta(self.client, present.name, fields=None)
            attributes = self._attributes(present.name)
            return Target(present.name, present.name, "replace", not present.complete, attributes=attributes)
        behind = None if present is None else present.name
        name = self._unfinished(copied_from=None)
        if name is None:
            check_plugin(self.client, self.config.language)
            body = mapping_body(self.bundle, self.engine, self.config, self.products, self.attributes)
            name = self._create(body, visible=behind is None)
        elif behind is None:
            with guarded(self.client):
                self.client.indices.put_alias(index=name, name=self.alias)
        if synonyms:
            put_synonyms(self.client, name, synonyms, str(self.config.synonyms))
        return Target(name, behind or name, "replace", building=True, attributes=self._attributes(name))

    def for_copy(self, source: IndexSource, new_index: bool) -> Target:
        """The index for a copy of the shop's own index; a ClusterError where the alias is the name of an index."""
        behind = resolve(self.client, self.alias)
        if behind == self.alias:
            raise ClusterError(
                f"{self.alias} is an index, so no alias can have its name.",
                hint=f"Name an alias for the copy, for instance --index {self.alias}-search; or add vectors to the "
                "index itself with --in-place.",
            )
        present = None if behind is None else self._ours(behind)
        attributes = AttributeFields.of_shop(source.mappings.get("properties", {}), source.attribute_columns)
        if present is not None and not new_index and present.fingerprint == self.bundle.fingerprint:
            if behind == source.name:
                return self.in_place(source)
            if present.meta.get("copied_from") == source.name:
                self._complete_mapping(present)
                building = not present.complete
                return Target(present.name, behind, "replace", building, id_field(source.mappings), attributes)
        name = self._unfinished(copied_from=source.name)
        if name is None:
            body = carried_body(
                source.settings, source.mappings, self.bundle, self.engine, self.config,
                products=source.total, copied_from=source.name,
            )  # fmt: skip
            name = self._create(body, visible=False)
        return Target(name, behind, "replace", True, id_field(source.mappings), attributes)

    def in_place(self, source: IndexSource | None) -> Target:
        """The shop's own index, with our fields added to its mapping; `source` where its documents are read too.

        Raises:
            UsageError: the documents of another index are read.
            IndexMissingError: there is no such index.
            ClusterError: it was created without `index.knn`, which cannot be changed later.
            FingerprintError: it holds vectors of another model.
        """
        name = resolve(self.client, self.alias)
        if name is None:
            raise IndexMissingError(f"There is no index {self.alias} to add vectors to.", hint="Check --index.")
        if source is not None and source.name != name:
            raise UsageError(
                f"--in-place adds vectors to the documents that are read, those of {source.name}, not to {name}.",
                hint="Leave --index out, or leave --in-place out to copy them.",
            )
        with guarded(self.client):
            index = self.client.indices.get(index=name)[name]
            if str(index["settings"]["index"].get("knn", "false")).lower() != "true":
                raise ClusterError(
                    f"The index {name} was created without index.knn, which cannot be switched on later.",
                    hint=f"Copy it into a new index with vectors: clipita ingest --from-index {self.alias} "
                    "--index ALIAS",
                )
            present = self._ours(name)
            if present is not None and not present.kept:
                # Its documents were made from a catalogue, and have the fields of one.
                check_fingerprint(present, self.bundle, self.alias)
                self._complete_mapping(present)
                # No name gets a field now: the documents' attributes stay as they are.
                mapped = present.properties.get("attributes", {}).get("properties", {})
                return Target(name, name, "update", False, attributes=AttributeFields(mapped))
            # After the first run `product_id` in the mapping may be the shop's or ours.
            field = id_field(index["mappings"]) if present is None else present.fields.get("id", OWN_ID_FIELD)
            if present is not None:
                check_fingerprint(present, self.bundle, self.alias)
            self._add_fields(name, index, present, field)
            self.keep_fields(name, {} if present is None else present.fields, field)
        columns = ("attributes",) if source is None else source.attribute_columns
        attributes = AttributeFields.of_shop(index["mappings"].get("properties", {}), columns)
        return Target(name, name, "update", False, field, attributes)

    def keep_fields(self, name: str, fields: Mapping[str, str], id_field: str) -> None:
        """Store in the index which of the shop's fields is the title and so on, see `ProductIndex.fields`."""
        wanted = {**fields, "id": id_field}
        with guarded(self.client):
            if read(self.client, name).fields != wanted:
                update_meta(self.client, name, fields=wanted)

    def _add_fields(self, name: str, index: dict[str, Any], present: ProductIndex | None, id_field: str) -> None:
        properties, limit = index["mappings"].get("properties", {}), fields_limit(index["settings"]["index"])
        fields = added_fields(index["mappings"], self.bundle, self.engine, self.config, self.products)
        needed = field_count({**properties, **fields})
        if needed > limit:
            raise UsageError(
                f"The index {name} may have {limit:,} fields; with those of clipita it has {needed:,}.",
                hint=f'Raise the limit: PUT {name}/_settings {{"index.mapping.total_fields.limit": {needed + 100}}}',
            )
        new = {} if VECTOR_FIELD in properties else fields
        if present is not None:
            if new:
                self.client.indices.put_mapping(index=name, body={"properties": new})
            self._complete_mapping(present)
        else:
            # Until the run is over, most documents list no categories. All of it is one request: with the fields alone,
            # the run after a killed one would take our id field for the shop's.
            kept = {"documents": "kept", "state": "complete", "nodes": None, "fields": {"id": id_field}}
            update_meta(self.client, name, properties=new, **(first_meta(self.bundle) | kept))

    def _attributes(self, name: str) -> AttributeFields:
        """The attributes with a field in an index of clipita's documents, those of this catalogue added.

        Where the catalogue has too many other columns, the rarest are kept from becoming fields.
        """
        with guarded(self.client):
            index = self.client.indices.get(index=name)[name]
        limit = fields_limit(index["settings"]["index"])
        properties = index["mappings"].get("properties", {})
        found = AttributeFields.of_documents(properties, limit)
        found.extend(self.client, name, self.attributes, variants=self.variants)
        room = limit - RESERVE - field_count(properties) - MAX_MAPPED
        if body := column_fields(self.columns, properties, room):
            with guarded(self.client):
                self.client.indices.put_mapping(index=name, body=body)
        return found

    def _check_language(self, index: ProductIndex) -> None:
        if index.language != self.config.language:
            raise UsageError(
                f"The texts of {index.name} are {index.language}, and the language is set to {self.config.language}.",
                hint="Make an index in that language with --new-index, or set language in [ingest] to "
                f"{index.language}.",
            )

    def _complete_mapping(self, index: ProductIndex) -> None:
        """Add what an earlier version's mapping of our own fields lacks."""
        if not (index.has_nodes and index.has_own_fields):
            with guarded(self.client):
                self.client.indices.put_mapping(index=index.name, body={"properties": {"clipita": CLIPITA_FIELD}})

    def _ours(self, name: str) -> ProductIndex | None:
        with guarded(self.client):
            meta = self.client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {})
        return read(self.client, name) if "clipita" in meta else None

    def _unfinished(self, copied_from: str | None) -> str | None:
        """The latest index of this model and source that an earlier run left unfinished."""
        for name in reversed(self._names()):
            candidate = read(self.client, name)
            same = candidate.fingerprint == self.bundle.fingerprint
            if copied_from is None and candidate.language != self.config.language:
                continue
            if same and not candidate.complete and candidate.meta.get("copied_from") == copied_from:
                return name
        return None

    def _create(self, body: dict[str, Any], visible: bool) -> str:
        names = self._names()
        number = int(names[-1].rpartition("-")[2]) + 1 if names else 1
        name = f"{self._stem}{number}"
        if visible:
            body["aliases"] = {self.alias: {}}
        with guarded(self.client):
            self.client.indices.create(index=name, body=body)
        return name

    @property
    def _stem(self) -> str:
        return f"{self.alias}-{self.bundle.fingerprint[:8]}-"

    def _names(self) -> list[str]:
        """The indices of this model for the alias, by number."""
        stem = self._stem
        with guarded(self.client):
            found = self.client.indices.get(index=f"{stem}*", ignore_unavailable=True, allow_no_indices=True)
        return sorted((name for name in found if name[len(stem) :].isdigit()), key=lambda name: int(name[len(stem) :]))


def confirm_nodes(client: OpenSearch, name: str, backoff: Backoff) -> None:
    """Note that every document with a category lists the categories on its paths, once that is so."""
    index = backoff.call(client, lambda: read(client, name))
    if index.has_nodes:
        return
    field = index.fields.get("category_path", "category_path")
    missing = {"bool": {"filter": [{"exists": {"field": field}}], "must_not": [{"exists": {"field": NODES_FIELD}}]}}
    if not count(client, name, backoff, missing):
        backoff.call(client, lambda: update_meta(client, name, nodes=True))


WHILE_BUILDING: Mapping[str, Any] = {"refresh_interval": "-1", "number_of_replicas": "0"}
"""Replicas are created at the end by copying segments, which is much faster than indexing each document twice."""
FAISS_THRESHOLD = "knn.advanced.approximate_threshold"
"""-1 defers building faiss graphs, 0 builds them with each segment."""

COPIES_SECONDS = 10.0
"""How long nothing is copied until a replica counts as one that has no node."""


@contextmanager
def loading(client: OpenSearch, name: str, engine: str, backoff: Backoff, *, building: bool) -> Iterator[None]:
    """Give an index its write alias during a load, and, while nobody searches it yet, the settings of a fast load.

    The former settings are kept in `_meta` meanwhile, so that the run after a killed one restores them too.
    """
    former = backoff.call(client, lambda: _begin(client, name, engine, building))
    try:
        yield
    except BaseException as error:
        try:
            with guarded(client):
                _end(client, name, former)
        except ClipItaError as second:
            # The first error takes precedence; the next run restores the settings.
            error.add_note(f"The refresh interval and replicas of {name} are still off: {second.message}")
        raise
    backoff.call(client, lambda: _end(client, name, former))
    if building and int(former.get("number_of_replicas") or 0):
        _wait_for_copies(client, name, backoff)
    if building and engine == "faiss":
        # Build each shard's graph once, over all of its products.
        timeout = {"request_timeout": 3600}
        backoff.call(client, lambda: client.indices.forcemerge(index=name, max_num_segments=1, params=timeout))
    backoff.call(client, lambda: warm_up(client, name))


def _wait_for_copies(client: OpenSearch, name: str, backoff: Backoff) -> None:
    """Wait until every shard has its copies: with one alone, a node that ends takes products out of the search.

    One node alone has no room for them. Other clusters of too few nodes never have them, and are waited for
    `COPIES_SECONDS`.
    """
    idle = time.monotonic()
    while True:
        health = backoff.call(client, lambda: client.cluster.health(index=name))
        if health["initializing_shards"]:
            idle = time.monotonic()
        elif (
            not health["unassigned_shards"]
            or health["number_of_data_nodes"] < 2
            or time.monotonic() - idle > COPIES_SECONDS
        ):
            return
        time.sleep(0.2)


def _begin(client: OpenSearch, name: str, engine: str, building: bool) -> dict[str, Any]:
    meta = read(client, name).meta
    former: dict[str, Any] = dict(meta.get("settings") or {})
    if building and not former:
        present = client.indices.get_settings(index=name, flat_settings=True)[name]["settings"]
        wanted = {**WHILE_BUILDING, **({FAISS_THRESHOLD: "-1"} if engine == "faiss" else {})}
        former = {key: present.get(f"index.{key}") for key in wanted}
        update_meta(client, name, settings=former)
        client.indices.put_settings(index=name, body={"index": wanted})
    client.indices.put_alias(index=name, name=write_alias(name), body={"is_hidden": True})
    return former


def _end(client: OpenSearch, name: str, former: Mapping[str, Any]) -> None:
    if former:
        client.indices.put_settings(index=name, body={"index": dict(former)})
        update_meta(client, name, settings=None)
    client.indices.delete_alias(index=name, name=write_alias(name), ignore=[404])
    client.indices.refresh(index=name)
