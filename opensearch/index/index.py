"""The index behind an alias, and the model it belongs to.

`products` is an alias of `products-<fingerprint[:8]>-<n>`, whose mapping says under `_meta.clipita` which model made
its vectors. Another model gets another index beside it; the alias moves when that one is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opensearchpy import NotFoundError, OpenSearch

from clipita.errors import ClusterError, FingerprintError, IndexMissingError
from clipita.languages import ENGLISH
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.index.mapping import CLIPITA_FIELD, ID_FIELD, SCHEMA, VECTOR_FIELD

if TYPE_CHECKING:
    from clipita.runtime import Bundle


@dataclass(frozen=True)
class ProductIndex:
    """An index that clipita made or added vectors to; `meta` is `_meta.clipita` of its mapping."""

    name: str
    meta: Mapping[str, Any]
    properties: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The model that made its vectors."""
        return str(self.meta["fingerprint"])

    @property
    def kept(self) -> bool:
        """Whether its documents are the shop's own, with our fields added."""
        return self.meta.get("documents") == "kept"

    @property
    def complete(self) -> bool:
        """Whether an ingest run was completed here."""
        return self.meta.get("state") == "complete"

    @property
    def has_nodes(self) -> bool:
        """Whether every document lists the categories on its paths (`mapping.NODES_FIELD`); older runs wrote none."""
        return bool(self.meta.get("nodes"))

    @property
    def language(self) -> str:
        """The language of its texts, if clipita made its analyzers."""
        return str(self.meta.get("language", ENGLISH))

    @property
    def on_disk(self) -> bool:
        """Whether its vectors are of few bits, on disk."""
        return bool(self.properties.get(VECTOR_FIELD, {}).get("mode") == "on_disk")

    @property
    def id_field(self) -> str:
        """The field of a document that holds its id, to sort by."""
        return self.fields.get("id", ID_FIELD)

    @property
    def has_own_fields(self) -> bool:
        """Whether the mapping has all of `mapping.CLIPITA_FIELD`; those of earlier versions lack some."""
        known = self.properties.get("clipita", {}).get("properties", {})
        return set(CLIPITA_FIELD["properties"]) <= set(known)

    @property
    def fields(self) -> Mapping[str, str]:
        """Of the shop's own documents: title, image and category_path, each with the name of the shop's field.

        `id` is the field of the id to sort by.
        `category_separator` and `path_separator` are given too where the category is one string.
        """
        fields: Mapping[str, str] = self.meta.get("fields", {})
        return fields


def find(client: OpenSearch, alias: str) -> ProductIndex | None:
    """The index behind the alias, see `read`; None where there is neither alias nor index of this name."""
    name = resolve(client, alias)
    return None if name is None else read(client, name)


def resolve(client: OpenSearch, alias: str) -> str | None:
    """The concrete index behind an alias, or the index of this name, or None; a ClusterError for several."""
    with guarded(client):
        if not client.indices.exists_alias(name=alias):
            return alias if client.indices.exists(index=alias) else None
        behind = sorted(client.indices.get_alias(name=alias))
    if len(behind) > 1:
        raise ClusterError(
            f"The alias {alias} covers several indices: {', '.join(behind)}.",
            hint="Let it point at one, or choose another name with --index.",
        )
    return str(behind[0])


def read(client: OpenSearch, name: str) -> ProductIndex:
    """A concrete index and the model that its mapping names; a ClusterError unless this clipita can read it."""
    with guarded(client):
        mapping = client.indices.get_mapping(index=name)[name]["mappings"]
    meta = mapping.get("_meta", {}).get("clipita")
    if not isinstance(meta, dict) or "fingerprint" not in meta:
        raise ClusterError(
            f"The index {name} was not made by clipita: its mapping names no model.",
            hint=f"It stays as it is. Copy it into an index with vectors with --from-index {name}, add vectors to it "
            "with --in-place, or choose another name with --index.",
        )
    if meta.get("schema", 0) > SCHEMA:
        raise ClusterError(
            f"The index {name} comes from a newer clipita (schema {meta['schema']}, this one reads up to {SCHEMA}).",
            hint="Upgrade clipita.",
        )
    return ProductIndex(name, meta, mapping.get("properties", {}))


def require(client: OpenSearch, alias: str) -> ProductIndex:
    """The index behind the alias, see `read`; an IndexMissingError without alias and index."""
    index = find(client, alias)
    if index is None:
        raise IndexMissingError(f"There is no index {alias}.", hint=f"Make it with: clipita ingest --index {alias}")
    return index


def check_fingerprint(index: ProductIndex, bundle: Bundle, alias: str) -> None:
    """Raise a FingerprintError where queries and products come from different models."""
    if index.fingerprint != bundle.fingerprint:
        raise FingerprintError(
            f"The index {alias} ({index.name}) holds vectors of model {index.fingerprint[:8]}, but {bundle.path} is "
            f"model {bundle.fingerprint[:8]}.",
            hint=f"Use the bundle that the index was made with, or build a new index beside it and switch over: "
            f"clipita ingest --index {alias} --new-index",
        )


def write_alias(name: str) -> str:
    """The alias of an index while a run writes to it; writes to the alias fail once the index is gone."""
    return f"{name}.writing"


def update_meta(client: OpenSearch, name: str, *, properties: Mapping[str, Any] | None = None, **changes: Any) -> None:
    """Change entries of `_meta.clipita` in the mapping, a value of None removes one, and add fields with them."""
    # Each update of a mapping replaces all of _meta.
    meta = client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {})
    ours = {key: value for key, value in {**meta.get("clipita", {}), **changes}.items() if value is not None}
    client.indices.put_mapping(index=name, body={"properties": properties or {}, "_meta": {**meta, "clipita": ours}})


def remember(client: OpenSearch, name: str, **facts: Any) -> None:
    """Store facts about an index in `_meta.clipita` of its mapping."""
    with guarded(client):
        update_meta(client, name, **facts)


def warm_up(client: OpenSearch, name: str) -> None:
    """Load the index's graphs into memory before the first search needs them."""
    try:
        client.transport.perform_request("GET", f"/_plugins/_knn/warmup/{name}")
    except NotFoundError:
        # A managed cluster may not offer the k-NN plugin's own API; searching works all the same.
        return
