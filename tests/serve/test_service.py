"""What the server answers again, and which search settings it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index.index import remember, require
from clipita.opensearch.local.node import NodeStatus

if TYPE_CHECKING:
    from conftest import Launch, Server


@pytest.mark.integration
def test_a_change_shows_at_once(server: Server, node: NodeStatus, served_shop: str) -> None:
    client = connect(OpenSearchConfig(url=node.url))
    address, body = "/v1/search?q=plate&mode=lexical&size=100", {"query": "plate", "mode": "lexical", "size": 100}
    before = server(address).json["total"]
    assert server("/v1/search", body).json["total"] == before
    client.index(
        index=served_shop, id="again", body={"title": "plate", "product_id": "again"}, params={"refresh": "true"}
    )
    try:
        assert server(address).json["total"] == before + 1
        assert server("/v1/search", body).json["total"] == before + 1
    finally:
        client.delete(index=served_shop, id="again", params={"refresh": "true"})
        client.close()


@pytest.mark.integration
def test_the_server_uses_what_tune_stored_in_the_index(launch: Launch, node: NodeStatus, served_shop: str) -> None:
    client = connect(OpenSearchConfig(url=node.url))
    name = require(client, served_shop).name
    remember(client, name, search={"weight": 0.0, "k": 7})
    try:
        address = "/v1/search?category=Plates&members=predicted&mode=vector&size=5"
        assert launch("--no-model")(address).json["total"] == 7
        # What is configured goes before what is stored, setting by setting.
        assert launch("--no-model", CLIPITA_SEARCH_K="9")(address).json["total"] == 9
    finally:
        remember(client, name, search=None)
        client.close()
