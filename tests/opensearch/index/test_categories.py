"""Category vectors are written through the bulk writer, and wait for a busy cluster as products do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import ClusterError
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.categories import load, publish
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

PATHS = [("Home", f"Shelf {number}") for number in range(700)]


@pytest.mark.parametrize("fault", ["429", "503", "some items"])
def test_a_busy_cluster_gets_every_category_in_the_end(
    client: OpenSearch, bundle: Bundle, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]], fault: str
) -> None:
    proxy, through = proxied(0.35, seed=32, faults=(fault,))
    warnings: list[str] = []
    written = publish(through, alias, f"{alias}-1", bundle, PATHS, Backoff(warnings.append, first_wait=0.01))
    assert proxy.spoilt[fault] >= 2
    assert any("429" in text or "503" in text for text in warnings)
    paths = {entry.path for entry in load(client, f"{alias}-1")}
    assert {*PATHS, ("Home",)} <= paths
    assert len(paths) == written
    assert list(client.indices.get_alias(name=f"{alias}-categories")) == [f"{alias}-1-categories"]


def test_index_refresh_and_alias_are_tried_again(
    client: OpenSearch, bundle: Bundle, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    proxy, through = proxied(0.0)
    proxy.busy = [f"{alias}-1-categories", "_refresh", "_aliases"]
    warnings: list[str] = []
    publish(through, alias, f"{alias}-1", bundle, PATHS[:3], Backoff(warnings.append, first_wait=0.01))
    assert proxy.busy == []
    assert len(warnings) == 3
    assert list(client.indices.get_alias(name=f"{alias}-categories")) == [f"{alias}-1-categories"]


def test_a_cluster_that_stays_busy_is_an_error(
    bundle: Bundle, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    _, through = proxied(1.0, faults=("429",))
    with pytest.raises(ClusterError, match="is overloaded"):
        publish(through, alias, f"{alias}-1", bundle, PATHS[:3], Backoff(patience=0.2, first_wait=0.01))
