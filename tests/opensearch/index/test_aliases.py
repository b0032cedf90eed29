"""The alias moves in one request, with the aliases that go along, and never against somebody else's move."""

from __future__ import annotations

import pytest
from opensearchpy import OpenSearch

from clipita.errors import ClusterError
from clipita.opensearch.index.aliases import indices_behind, swap_alias

pytestmark = pytest.mark.integration


@pytest.fixture
def indices(client: OpenSearch, alias: str) -> list[str]:
    names = [f"{alias}-{number}" for number in (1, 2, 3)]
    for name in names:
        client.indices.create(index=name)
    return names


def test_first_alias_and_the_same_one_again(client: OpenSearch, alias: str, indices: list[str]) -> None:
    assert indices_behind(client, alias) == []
    assert swap_alias(client, alias, indices[0], []) is None
    assert swap_alias(client, alias, indices[0], []) is None
    assert indices_behind(client, alias) == indices[:1]


def test_other_aliases_move_along_with_their_filters(client: OpenSearch, alias: str, indices: list[str]) -> None:
    chosen = {"filter": {"term": {"brand": "Acme"}}, "index_routing": "a", "search_routing": "a"}
    client.indices.put_alias(index=indices[0], name=alias)
    client.indices.put_alias(index=indices[0], name=f"{alias}-acme", body=chosen)
    carried = client.indices.get(index=indices[0])[indices[0]]["aliases"]
    assert swap_alias(client, alias, indices[1], indices[:1], carried) == indices[0]
    moved = client.indices.get(index=indices[1])[indices[1]]["aliases"]
    assert moved == {alias: {}, f"{alias}-acme": chosen}
    assert client.indices.get(index=indices[0])[indices[0]]["aliases"] == {}


def test_alias_that_somebody_moved_stays(client: OpenSearch, alias: str, indices: list[str]) -> None:
    client.indices.put_alias(index=indices[2], name=alias)
    with pytest.raises(ClusterError, match=f"moved by somebody else meanwhile, to {indices[2]}"):
        swap_alias(client, alias, indices[1], indices[:1])
    assert indices_behind(client, alias) == indices[2:]


def test_alias_over_several_indices_leads_to_one_afterwards(client: OpenSearch, alias: str, indices: list[str]) -> None:
    client.indices.put_alias(index=",".join(indices[:2]), name=alias)
    assert swap_alias(client, alias, indices[1], indices_behind(client, alias)) == indices[0]
    assert indices_behind(client, alias) == indices[1:2]


def test_index_of_that_name_is_left_alone(client: OpenSearch, alias: str, indices: list[str]) -> None:
    with pytest.raises(ClusterError, match="not an alias that clipita made"):
        swap_alias(client, indices[0], indices[1], [])


def test_aliases_beside_move_in_the_same_request(client: OpenSearch, alias: str, indices: list[str]) -> None:
    client.indices.put_alias(index=indices[0], name=alias)
    beside = {f"{alias}-beside": indices[2]}
    assert swap_alias(client, alias, indices[1], indices[:1], beside=beside) == indices[0]
    assert indices_behind(client, f"{alias}-beside") == indices[2:]
    assert swap_alias(client, alias, indices[1], indices[1:2], beside={f"{alias}-beside": indices[0]}) is None
    assert indices_behind(client, f"{alias}-beside") == indices[:1]


def test_nothing_moves_where_an_alias_beside_is_an_index(client: OpenSearch, alias: str, indices: list[str]) -> None:
    client.indices.put_alias(index=indices[0], name=alias)
    with pytest.raises(ClusterError, match="not an alias that clipita made"):
        swap_alias(client, alias, indices[1], indices[:1], beside={indices[2]: indices[0]})
    assert indices_behind(client, alias) == indices[:1]
