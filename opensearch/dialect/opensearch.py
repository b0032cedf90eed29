"""OpenSearch: the oldest supported version, the names of its plugins and of its errors."""

from __future__ import annotations

Version = tuple[int, int, int]
OLDEST = (2, 13, 0)
OLDEST_RADIAL = (2, 14, 0)
OLDEST_COMPRESSION = (2, 17, 0)
"""k-NN fields take a `compression_level`: every precision but fp32."""
OLDEST_LUCENE_10 = (3, 0, 0)
"""BM25 scores are without the constant factor k1 + 1 of earlier versions, 2.2 for the default k1."""
FORMER_BM25_FACTOR = 2.2
KNN_PLUGIN = "opensearch-knn"
NEURAL_SEARCH_PLUGIN = "opensearch-neural-search"
ML_COMMONS_PLUGIN = "opensearch-ml"

MISSING_INDEX = frozenset({"index_not_found_exception", "aliases_not_found_exception"})
DOCUMENT_ERRORS = {
    "index_not_found_exception": 404,
    "index_closed_exception": 400,
    "routing_missing_exception": 400,
}
"""Errors of one document in a multi-get that no waiting mends, with their status."""
BLOCKS = frozenset({"cluster_block_exception", "index_create_block_exception"})
DISK_WORDS = ("disk usage", "read-only-allow-delete", "allow delete (api)", "create-index blocked", "No space left")
"""Texts of errors whose cause is a disk without room; OpenSearch lifts such blocks by itself once there is room."""
CONTEXT_LOST = "search_context_missing_exception"
"""A point in time has expired, or its shard was lost."""


def dotted(version: Version) -> str:
    """A version as users write it."""
    return ".".join(map(str, version))
