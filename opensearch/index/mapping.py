"""Settings and mapping of an index, and the k-NN engine that the cluster can run."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from clipita.config import IngestConfig
from clipita.errors import ClusterVersionError, UsageError
from clipita.languages import ENGLISH
from clipita.opensearch.cluster.connection import Capabilities
from clipita.opensearch.dialect.opensearch import OLDEST_COMPRESSION, dotted
from clipita.opensearch.index.analysis import analysis, text_field
from clipita.opensearch.index.attributes import DEFAULT_LIMIT, KEYWORD, attributes_field, chosen, field_count

if TYPE_CHECKING:
    from clipita.runtime import Bundle

SCHEMA = 1
VECTOR_FIELD = "product_vector"
ID_FIELD = "product_id"
OWN_ID_FIELD = "clipita.id"
"""The id to sort by where the shop's documents have a `product_id` of their own."""
NODES_FIELD = "clipita.categories"
"""Ids of all categories on a product's path (`categories.category_id`), which make a category page an exact filter."""
MAX_FIELDS = 5_000
"""`index.mapping.total_fields.limit`; the default of 1,000 is low for a catalogue with many attributes and columns."""

_STORED_ONLY = {"type": "keyword", "index": False, "doc_values": False}

CLIPITA_FIELD: Mapping[str, Any] = {
    "dynamic": False,
    "properties": {
        "id": {"type": "keyword"},
        "content_hash": _STORED_ONLY,
        "document_hash": _STORED_ONLY,
        "text_hash": _STORED_ONLY,
        "fingerprint": {"type": "keyword"},
        "categories": {"type": "keyword"},
        "thumbnail": {"type": "binary"},
        "flat": KEYWORD,
        "flat_names": KEYWORD,
    },
}
_OF_ONE_INDEX = {"uuid", "creation_date", "provided_name", "version", "resize", "routing", "replication", "blocks"}
"""Settings that belong to one index and cannot be copied to another."""
_LINKS = ((1_000_000, 16), (10_000_000, 24), (float("inf"), 32))
"""m, for fewer products than this."""
EF_CONSTRUCTION = 512
"""OpenSearch's default of 100 misses entire categories of a real catalogue: products of one category lie close
together, and few links lead from one cluster to another. docs/search.md has the measurements."""
PRECISIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "lucene": {"fp32": {}, "byte": {"compression_level": "4x"}},
    "faiss": {
        "fp32": {},
        "fp16": {"compression_level": "2x"},
        "binary": {"compression_level": "32x", "mode": "on_disk"},
    },
}
"""What each engine offers for the same vectors and queries: the cluster quantises, scores stay cosines.

https://docs.opensearch.org/latest/vector-search/optimizing-storage/
"""


def mapping_body(
    bundle: Bundle, engine: str, config: IngestConfig, products: int | None = None, attributes: Iterable[str] = ()
) -> dict[str, Any]:
    """Settings and mapping of a new index for `products` products with these `attributes`, the most frequent first.

    Numbers of unmapped columns become `double`: dynamic mapping would make a column whose first value is 80 a `long`,
    and index 80.99 as 80. Dates stay keywords, as one invalid date must not reject a product.

    Raises:
        ConfigError, UsageError: the language or its list of words cannot be used, see `analysis.analysis`.
    """
    words, text = analysis(config), text_field(config)
    spoken = {} if config.language == ENGLISH else {"language": config.language}
    return {
        "settings": {
            "index": {
                "knn": True,
                "number_of_shards": config.shards,
                "number_of_replicas": config.replicas,
                "mapping.total_fields.limit": MAX_FIELDS,
                **({"analysis": words} if words else {}),
            }
        },
        "mappings": {
            "_meta": {"clipita": {**first_meta(bundle), **spoken}},
            "date_detection": False,
            "dynamic_templates": [
                {"whole_numbers": {"match_mapping_type": "long", "mapping": {"type": "double"}}},
                {"numbers": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
                {"strings": {"match_mapping_type": "string", "mapping": KEYWORD}},
            ],
            "properties": {
                ID_FIELD: {"type": "keyword"},
                "title": {**text, "fields": {"keyword": KEYWORD}},
                "attributes": attributes_field(chosen(attributes)),
                "attributes_text": text,
                "category_path": KEYWORD,
                "image": _STORED_ONLY,
                VECTOR_FIELD: vector_field(bundle.dim, engine, config, products),
                "clipita": CLIPITA_FIELD,
            },
        },
    }


def carried_body(
    settings: Mapping[str, Any],
    mappings: Mapping[str, Any],
    bundle: Bundle,
    engine: str,
    config: IngestConfig,
    *,
    products: int,
    copied_from: str,
) -> dict[str, Any]:
    """Settings and mapping of a copy of the shop's own index, with our fields added."""
    kept = {name: value for name, value in settings.items() if name not in _OF_ONE_INDEX} | {"knn": True}
    meta = {
        **mappings.get("_meta", {}),
        "clipita": {**first_meta(bundle), "documents": "kept", "copied_from": copied_from},
    }
    added = added_fields(mappings, bundle, engine, config, products)
    properties = {**mappings.get("properties", {}), **added}
    limit = fields_limit(settings)
    if field_count(properties) > limit:
        kept["mapping"] = deepcopy(kept.get("mapping", {}))
        kept["mapping"].setdefault("total_fields", {})["limit"] = limit + field_count(added)
    return {"settings": {"index": kept}, "mappings": {**mappings, "_meta": meta, "properties": properties}}


def fields_limit(settings: Mapping[str, Any]) -> int:
    """How many fields an index may have, by its `settings.index`."""
    return int(settings.get("mapping", {}).get("total_fields", {}).get("limit", DEFAULT_LIMIT))


def id_field(mappings: Mapping[str, Any]) -> str:
    """The field for the id to sort by, in an index with this mapping of the shop."""
    return OWN_ID_FIELD if ID_FIELD in mappings.get("properties", {}) else ID_FIELD


def added_fields(
    mappings: Mapping[str, Any], bundle: Bundle, engine: str, config: IngestConfig, products: int | None
) -> dict[str, Any]:
    """The fields that clipita adds to the shop's mapping."""
    ours = {VECTOR_FIELD: vector_field(bundle.dim, engine, config, products), "clipita": CLIPITA_FIELD}
    return {ID_FIELD: {"type": "keyword"}, **ours} if id_field(mappings) == ID_FIELD else ours


def vector_field(dim: int, engine: str, config: IngestConfig, products: int | None) -> dict[str, Any]:
    """The k-NN field; a UsageError where the engine does not offer the precision.

    Unless m is set, it grows with the catalogue, as a larger graph needs more links for the same recall.
    https://docs.opensearch.org/latest/mappings/supported-field-types/knn-methods-engines/
    """
    size = products or 0
    m = config.m or next(m for limit, m in _LINKS if size < limit)
    parameters: dict[str, Any] = {"m": m, "ef_construction": config.ef_construction or EF_CONSTRUCTION}
    method = {"name": "hnsw", "space_type": "innerproduct", "engine": engine, "parameters": parameters}
    known = PRECISIONS[engine]
    if config.precision not in known:
        others = " or ".join(name for name, precisions in PRECISIONS.items() if config.precision in precisions)
        raise UsageError(
            f"The engine {engine} has no precision {config.precision}; it has {', '.join(known)}.",
            hint=f"Use --precision {next(iter(known))}, or --engine {others} on a cluster that has it.",
        )
    return {"type": "knn_vector", "dimension": dim, "method": method, **known[config.precision]}


def choose_engine(wanted: Literal["auto", "lucene", "faiss"], capabilities: Capabilities) -> str:
    """The k-NN engine that this cluster can run, else a ClusterVersionError.

    Without its native library, a document for a faiss field would end the node.
    """
    if not capabilities.knn:
        raise ClusterVersionError(
            "This cluster has no k-NN plugin.",
            hint="Install opensearch-knn on every node; OpenSearch's own images have it.",
        )
    if wanted == "faiss" and not capabilities.faiss:
        raise ClusterVersionError(
            "This cluster has no faiss library; writing to a faiss field would end its node.",
            hint="Use --engine lucene (or auto, the default).",
        )
    return capabilities.engine if wanted == "auto" else wanted


def check_precision(precision: str, capabilities: Capabilities) -> None:
    """Raise a ClusterVersionError where this cluster keeps vectors as fp32 only."""
    if precision != "fp32" and not capabilities.compression:
        raise ClusterVersionError(
            f"The precision {precision} requires OpenSearch {dotted(OLDEST_COMPRESSION)}; this cluster has "
            f"{dotted(capabilities.version)}, whose k-NN fields have no compression_level.",
            hint="Use --precision fp32, or upgrade the cluster.",
        )


def first_meta(bundle: Bundle) -> dict[str, Any]:
    """`_meta.clipita` of a new index with vectors of this model."""
    return {
        "schema": SCHEMA,
        "fingerprint": bundle.fingerprint,
        "dim": bundle.dim,
        "model": bundle.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "state": "building",
        "nodes": True,
    }
