"""What an index of ours looks like: settings, mapping, and the k-NN engine that the cluster can run."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

from clipita.config import IngestConfig
from clipita.errors import ClusterVersionError
from clipita.opensearch.cluster import Capabilities
from clipita.opensearch.query import ID_FIELD, VECTOR_FIELD

if TYPE_CHECKING:
    from clipita.runtime import Bundle

SCHEMA = 1
MAX_FIELDS = 5_000
"""`index.mapping.total_fields.limit`; the 1,000 as shipped are few for a catalogue with free attribute names."""

_TEXT = {"type": "text", "analyzer": "english"}
_KEYWORD = {"type": "keyword", "ignore_above": 8191}
_STORED_ONLY = {"type": "keyword", "index": False, "doc_values": False}


def mapping_body(bundle: Bundle, engine: str, config: IngestConfig) -> dict[str, Any]:
    """Settings and mapping of a new index.

    Numbers of unmapped columns become `double`: dynamic mapping takes a column whose first value is 80 for whole
    numbers and would then index 80.99 as 80. Dates stay keywords, as one odd value must not cost a product.
    """
    return {
        "settings": {
            "index": {
                "knn": True,
                "number_of_shards": config.shards,
                "number_of_replicas": config.replicas,
                "mapping.total_fields.limit": MAX_FIELDS,
            }
        },
        "mappings": {
            "_meta": {"clipita": _meta(bundle)},
            "date_detection": False,
            "dynamic_templates": [
                {"attributes": {"path_match": "attributes.*", "mapping": _KEYWORD}},
                {"whole_numbers": {"match_mapping_type": "long", "mapping": {"type": "double"}}},
                {"numbers": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
                {"strings": {"match_mapping_type": "string", "mapping": _KEYWORD}},
            ],
            "properties": {
                ID_FIELD: {"type": "keyword"},
                "title": {**_TEXT, "fields": {"keyword": _KEYWORD}},
                "attributes": {"type": "object"},
                "attributes_text": _TEXT,
                "category_path": _KEYWORD,
                "image": _STORED_ONLY,
                VECTOR_FIELD: {
                    "type": "knn_vector",
                    "dimension": bundle.dim,
                    "method": {"name": "hnsw", "space_type": "innerproduct", "engine": engine},
                },
                "clipita": {
                    "dynamic": False,
                    "properties": {
                        "content_hash": _STORED_ONLY,
                        "document_hash": _STORED_ONLY,
                        "fingerprint": {"type": "keyword"},
                        "thumbnail": {"type": "binary"},
                    },
                },
            },
        },
    }


def choose_engine(wanted: Literal["auto", "lucene", "faiss"], capabilities: Capabilities) -> str:
    """The k-NN engine that this cluster can run.

    Raises:
        ClusterVersionError: no k-NN plugin, or faiss where its native library is missing (a document written to such
            a field would end the node).
    """
    if not capabilities.knn:
        raise ClusterVersionError(
            "This cluster has no k-NN plugin.",
            hint="Install opensearch-knn on every node; OpenSearch's own images have it.",
        )
    if wanted == "faiss" and not capabilities.faiss:
        raise ClusterVersionError(
            "This cluster has no faiss library, and writing to a faiss field would end its node.",
            hint="Use --engine lucene (or auto, the default).",
        )
    return capabilities.engine if wanted == "auto" else wanted


def _meta(bundle: Bundle) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "fingerprint": bundle.fingerprint,
        "dim": bundle.dim,
        "model": bundle.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "state": "building",
    }
