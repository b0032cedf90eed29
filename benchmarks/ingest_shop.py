"""What the parts of the ingest benchmark have in common: the shop, runs into its node, and comparing two indices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import record
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.ingest.context import Progress
from clipita.opensearch.ingest.index_source import scan
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.runtime import Bundle, ProductEncoder, ProductInput

WORK = record.ROOT / "build" / "ingest"
VECTOR_FIELD = "product_vector"
SAME_VECTOR = 1e-6
"""Largest difference of a component: a product shares its batch with others after a kill, which moves the last bit."""


@dataclass(frozen=True)
class Shop:
    """Where a part runs.

    Attributes:
        local: the node.
        url: its address.
        client: connected to it.
        bundle: the model.
        file: real products.
    """

    local: LocalNode
    url: str
    client: OpenSearch
    bundle: Bundle
    file: Path

    def ingest(
        self,
        file: Path,
        alias: str,
        config: IngestConfig,
        client: OpenSearch | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """One run, in this process."""
        run = Ingest(client or self.client, self.bundle, config, alias=alias, progress=progress)
        return run.run([CatalogueFile(file)])


class FixedVectors(ProductEncoder):
    """The labelled no-op: pictures are decoded as ever, and every product gets the same unit vector."""

    def encode(self, inputs: Sequence[ProductInput]) -> npt.NDArray[np.float32]:
        """[len(inputs), dim]; nothing is computed."""
        vector = np.full(self.bundle.dim, self.bundle.dim**-0.5, dtype=np.float32)
        return np.tile(vector, (len(inputs), 1))


def settings(**changes: Any) -> IngestConfig:
    """The defaults, with rejected rows kept out of the repository."""
    return IngestConfig(**{"rejected": WORK / "rejected.jsonl", **changes})


def first_rows(source: Path, rows: int) -> Path:
    """A Parquet file of a file's first rows."""
    target = WORK / f"{source.stem}-{rows}.parquet"
    if not target.exists():
        pq.write_table(pq.read_table(source).slice(0, rows), target, row_group_size=1000)
    return target


def documents(client: OpenSearch, index: str) -> dict[str, tuple[str, npt.NDArray[np.float32]]]:
    """Every document: id -> SHA-256 of all but its vector, and the vector."""
    client.indices.refresh(index=index)
    found: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}
    # By point in time: see docs/reliability.md for what scrolls do to a k-NN index.
    for hit in scan(client, index, {"match_all": {}}, Backoff(), True):
        source = dict(hit["_source"])
        vector = np.asarray(source.pop(VECTOR_FIELD, ()), dtype=np.float32)
        found[hit["_id"]] = (hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest(), vector)
    count = int(client.count(index=index)["count"])
    if count != len(found):
        raise RuntimeError(f"{index} counts {count} documents, but {len(found)} were read.")
    return found


def difference(client: OpenSearch, whole: str, other: str) -> dict[str, Any]:
    """How an index differs from one that was written without a break."""
    expected, seen = documents(client, whole), documents(client, other)
    both = expected.keys() & seen.keys()
    gaps = [float(np.abs(expected[key][1] - seen[key][1]).max(initial=0)) for key in both]
    return {
        "documents": len(expected),
        "missing": len(expected.keys() - seen.keys()),
        "surplus": len(seen.keys() - expected.keys()),
        "other_fields_differ": sum(expected[key][0] != seen[key][0] for key in both),
        "vectors_not_bit_equal": sum(gap > 0 for gap in gaps),
        "largest_vector_difference": max(gaps, default=0.0),
    }


def is_same(found: dict[str, Any]) -> bool:
    """Whether nothing is lost, twice or other than it should be."""
    wrong = found["missing"] + found["surplus"] + found["other_fields_differ"]
    return not wrong and found["largest_vector_difference"] <= SAME_VECTOR
