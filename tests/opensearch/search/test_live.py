"""The k-NN field as we set it up finds the true nearest in a crowded catalogue, with and without a filter."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.cluster.connection import capabilities, connect
from clipita.opensearch.index.mapping import vector_field
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.quality.live import measure_recall

DIM, CROWDS, EACH = 32, 120, 60


@pytest.mark.parametrize(("products", "m"), [(None, 16), (999_999, 16), (1_000_000, 24), (10_000_000, 32)])
def test_links_grow_with_the_catalogue_and_candidates_do_not(products: int | None, m: int) -> None:
    parameters = vector_field(DIM, "lucene", IngestConfig(), products)["method"]["parameters"]
    assert parameters == {"m": m, "ef_construction": 512}
    own = vector_field(DIM, "lucene", IngestConfig(m=40, ef_construction=99), products)["method"]["parameters"]
    assert own == {"m": 40, "ef_construction": 99}


@pytest.mark.integration
def test_crowded_categories_are_found(node: NodeStatus) -> None:
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(CROWDS, DIM))
    vectors = np.repeat(centres, EACH, axis=0) + 0.05 * chance.normal(size=(CROWDS * EACH, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    client, index = connect(OpenSearchConfig(url=node.url)), f"crowds-{uuid.uuid4().hex[:8]}"
    field = vector_field(DIM, "lucene", IngestConfig(), len(vectors))
    settings = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
    client.indices.create(
        index=index, body={"settings": settings, "mappings": {"properties": {"product_vector": field}}}
    )
    try:
        for start in range(0, len(vectors), 1200):
            lines: list[object] = []
            for number, vector in enumerate(vectors[start : start + 1200].tolist(), start=start):
                lines += [{"index": {"_id": str(number)}}, {"product_vector": vector}]
            assert not client.bulk(index=index, body=lines)["errors"]
        client.indices.refresh(index=index)
        queries = [(str(number), (centre / np.linalg.norm(centre)).tolist()) for number, centre in enumerate(centres)]
        # Before 3.0 a smaller k has too few candidates.
        found = measure_recall(client, index, queries, 10 if capabilities(client).version >= (3, 0, 0) else 100)
        assert found.mean >= 0.99, found
    finally:
        client.indices.delete(index=index)
        client.close()
