"""An index while a run writes to it: what makes a load fast, and what puts everything back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opensearchpy import NotFoundError, OpenSearch

from clipita.errors import ClipItaError
from clipita.opensearch.cluster import guarded
from clipita.opensearch.index import read, update_meta, write_alias
from clipita.opensearch.retry import Backoff

WHILE_BUILDING: Mapping[str, Any] = {"refresh_interval": "-1", "number_of_replicas": "0"}
"""Copies are made at the end by copying segments, which takes a fraction of indexing every document twice."""
FAISS_THRESHOLD = "knn.advanced.approximate_threshold"
"""-1 puts off building faiss graphs, 0 builds them with every segment."""


@contextmanager
def loading(client: OpenSearch, name: str, engine: str, backoff: Backoff, *, building: bool) -> Iterator[None]:
    """A write alias while a load runs; an index that nobody searches yet also gets the settings of a fast load.

    The former settings stand in `_meta` meanwhile, so that the run after a killed one restores them too.

    Args:
        client: connected.
        name: the concrete index.
        engine: lucene or faiss.
        backoff: how to wait for a busy cluster.
        building: it was not complete before; a live index keeps its settings.

    Raises:
        ClusterError: the cluster refused it.
    """
    former = backoff.call(client, lambda: _begin(client, name, engine, building))
    try:
        yield
    except BaseException as error:
        try:
            with guarded(client):
                _end(client, name, former)
        except ClipItaError as second:
            # The first error is the one to tell; the next run restores the settings.
            error.add_note(f"The refresh interval and replicas of {name} are still off: {second.message}")
        raise
    backoff.call(client, lambda: _end(client, name, former))
    if building and engine == "faiss":
        _merge(client, name, backoff)
    backoff.call(client, lambda: _warm_up(client, name))


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


def _merge(client: OpenSearch, name: str, backoff: Backoff) -> None:
    """Build each shard's graph once, over all of its products."""
    backoff.call(
        client, lambda: client.indices.forcemerge(index=name, max_num_segments=1, params={"request_timeout": 3600})
    )


def _warm_up(client: OpenSearch, name: str) -> None:
    """Load the graphs into memory before the first search needs them."""
    try:
        client.transport.perform_request("GET", f"/_plugins/_knn/warmup/{name}")
    except NotFoundError:
        # A managed cluster may keep the k-NN plugin's own API closed; searching works all the same.
        return
