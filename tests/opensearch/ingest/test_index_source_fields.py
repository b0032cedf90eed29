"""After a copy or in place, searches find the shop's title and category without being told their names again."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig, IngestConfig, OpenSearchConfig, SearchConfig
from clipita.opensearch.cluster.connection import connect_async
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle
from clipita.serve.storefront import Shop

pytestmark = pytest.mark.integration

SHELVES = ("Kitchen/Plates", "Kitchen / Bowls", "Kitchen/Plates", "Kitchen")


@pytest.fixture
def own(client: OpenSearch, alias: str) -> str:
    """An index whose titles lie in an object, and whose categories are one string; behind the alias."""
    name = f"{alias}-shop"
    properties = {
        "info": {"properties": {"name": {"type": "text"}}},
        "shelf": {"type": "keyword"},
        "maker": {"type": "keyword"},
    }
    client.indices.create(
        index=name,
        body={"settings": {"index.knn": True}, "mappings": {"properties": properties}, "aliases": {alias: {}}},
    )
    lines = []
    for number, shelf in enumerate(SHELVES):
        document = {"info": {"name": f"Blue thing {number}"}, "shelf": shelf, "maker": "Acme"}
        lines += [json.dumps({"index": {"_id": f"p{number}"}}), json.dumps(document)]
    client.bulk(index=name, body="\n".join(lines) + "\n", refresh=True)
    return name


FIELDS = FieldsConfig(title="info.name", attributes=("maker",), category_path="shelf", category_separator="/")


def add_vectors(client: OpenSearch, own: str, alias: str, bundle: Bundle, settings: IngestConfig, place: bool) -> None:
    source = IndexSource(client, own, FIELDS)
    report = Ingest(client, bundle, settings, alias=alias, in_place=place).run(source)
    categories.publish(client, alias, report.index, bundle, source.paths)


@pytest.mark.parametrize("place", [False, True], ids=["copy", "in place"])
def test_searches_know_the_title(
    client: OpenSearch, own: str, alias: str, bundle: Bundle, settings: IngestConfig, place: bool
) -> None:
    add_vectors(client, own, alias, bundle, settings, place)
    search = ProductSearch(client, alias, bundle)
    page = search("blue 2", mode="lexical", highlight=True)
    assert page.hits[0].title == "Blue thing 2"
    assert page.hits[0].category_path == ("Kitchen", "Plates")
    assert page.hits[0].highlights == {"info.name": "<em>Blue</em> thing <em>2</em>"}
    hybrid = search("blue 2", facets=["maker"], fields=["title^3"])
    assert (len(hybrid.hits), hybrid.total, hybrid.hits[0].id) == (4, 4, "p2")
    # Settings that somebody made still mean our word by `title`.
    weighted = ProductSearch(client, alias, bundle, SearchConfig(weight=0.1))
    assert weighted.body("blue 2") == search.body("blue 2", weight=0.1)
    assert "info.name" in json.dumps(weighted.body("blue 2"))


def test_several_paths_in_one_string(
    client: OpenSearch, own: str, alias: str, bundle: Bundle, settings: IngestConfig
) -> None:
    client.index(index=own, id="p1", body={"info": {"name": "Blue thing"}, "shelf": "Kitchen/Bowls|Sale/Blue"})
    client.index(index=own, id="p2", body={"info": {"name": "Blue thing"}, "shelf": ["Kitchen/Plates", "Sale/Blue"]})
    client.indices.refresh(index=own)
    source = IndexSource(client, own, dataclasses.replace(FIELDS, path_separator="|"))
    report = Ingest(client, bundle, settings, alias=alias).run(source)
    categories.publish(client, alias, report.index, bundle, source.paths)
    search = ProductSearch(client, alias, bundle)
    page = search(category="Sale")
    assert {hit.id: hit.category_paths for hit in page.hits} == {
        "p1": (("Kitchen", "Bowls"), ("Sale", "Blue")),
        "p2": (("Kitchen", "Plates"), ("Sale", "Blue")),
    }
    assert search(category="Kitchen").total == len(SHELVES)


def test_another_mapping_is_noted_by_the_next_run(
    client: OpenSearch, own: str, alias: str, bundle: Bundle, settings: IngestConfig
) -> None:
    add_vectors(client, own, alias, bundle, settings, True)
    source = IndexSource(client, own, FieldsConfig(title="maker", category_path="shelf", category_separator="/"))
    Ingest(client, bundle, settings, alias=alias, in_place=True).run(source)
    assert ProductSearch(client, alias, bundle).index.fields["title"] == "maker"


def test_templates_search_the_shops_field(
    client: OpenSearch, node: NodeStatus, own: str, alias: str, tiny_bundle: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = [
        "ingest", "--from-index", alias, "--index", alias, "--url", node.url, "--model", str(tiny_bundle),
        "--title-field", "info.name", "--attribute-field", "maker", "--category-field", "shelf",
        "--category-separator", "/",
    ]  # fmt: skip
    assert run_guarded(group, words) == 0, capsys.readouterr().err
    answer = client.search_template(index=alias, body={"id": f"{alias}-lexical", "params": {"query": "2", "size": 3}})
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == ["p2"]
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "160")
    assert run_guarded(group, ["search", "2", "--mode", "lexical", "--index", alias, "--url", node.url]) == 0
    assert re.search(r"p2 +│ Blue thing 2 +│ Kitchen > Plates", capsys.readouterr().out)
    for suffix in ("lexical", "saturation", "vector"):
        client.delete_script(id=f"{alias}-{suffix}")


def test_the_category_tree_counts_paths_in_one_string(
    client: OpenSearch, node: NodeStatus, own: str, alias: str, bundle: Bundle, settings: IngestConfig
) -> None:
    add_vectors(client, own, alias, bundle, settings, False)
    search = ProductSearch(client, alias)

    async def read() -> dict[str, Any]:
        asynchronous = connect_async(OpenSearchConfig(url=node.url))
        try:
            return await Shop(asynchronous, search).categories()
        finally:
            await asynchronous.close()

    tree = asyncio.run(read())["categories"]
    kitchen = next(entry for entry in tree if entry["name"] == "Kitchen")
    assert kitchen["count"] == len(SHELVES)
    assert {child["name"]: child["count"] for child in kitchen["children"] if child["count"]} == {
        "Plates": 2,
        "Bowls": 1,
    }
