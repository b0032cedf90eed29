"""Stored templates give what ProductSearch gives, to any language, and no parameter breaks out of its place."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import SearchConfig
from clipita.opensearch.cluster.connection import Capabilities, capabilities
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.fusion import FUSIONS
from clipita.opensearch.search.templates import put, sources, template

if TYPE_CHECKING:
    from conftest import Live

STOREFRONT = Path(__file__).resolve().parents[3] / "docker" / "storefront"
PATH = "Home > Plates > Round Plates"


@pytest.fixture(scope="module")
def stored(live: Live) -> Live:
    put(live.client, "search-shop", SearchConfig(), capabilities(live.client))
    return live


def ask(live: Live, suffix: str, **params: Any) -> dict[str, Any]:
    body = {"id": f"search-shop-{suffix}", "params": params}
    answer: dict[str, Any] = live.client.search_template(index="search-shop", body=body)
    return answer


def render(live: Live, suffix: str, **params: Any) -> dict[str, Any]:
    answer = live.client.render_search_template(id=f"search-shop-{suffix}", body={"params": params})
    body: dict[str, Any] = answer["template_output"]
    return body


MODES = {"lexical": "lexical", "vector": "vector", "saturation": "hybrid"}


@pytest.mark.integration
@pytest.mark.parametrize("suffix", MODES)
def test_a_template_is_the_search(stored: Live, suffix: str) -> None:
    vector = list(stored.search.vector("Round Plates"))
    mode: Any = MODES[suffix]
    plain = ask(stored, suffix, query="Round Plates", vector=vector)
    page = stored.search("Round Plates", mode=mode)
    assert [(hit["_id"], hit["_score"]) for hit in plain["hits"]["hits"]] == [(hit.id, hit.score) for hit in page.hits]
    clauses = [{"terms": {"brand": ["Acme", "Globex"]}}, {"range": {"price": {"lte": 70}}}]
    narrow = ask(
        stored, suffix, query="Round Plates", vector=vector, size=7, **{"from": 7}, sort={"price": "asc"},
        filter={"bool": {"filter": clauses}}, aggs={"brand": {"terms": {"field": "brand"}}},
    )  # fmt: skip
    page = stored.search("Round Plates", mode=mode, size=7, page=2, sort="price", raw_filters=clauses, facets=["brand"])
    assert [hit["_id"] for hit in narrow["hits"]["hits"]] == [hit.id for hit in page.hits]
    assert len(page.hits) == 7
    assert narrow["hits"]["total"]["value"] == page.total
    assert [(bucket["key"], bucket["doc_count"]) for bucket in narrow["aggregations"]["brand"]["buckets"]] == [
        (entry.value, entry.count) for entry in page.facets["brand"]
    ]
    none = ask(stored, suffix, query="Round Plates", vector=vector, size=0)
    assert none["hits"]["hits"] == []
    assert none["hits"]["total"]["value"] == plain["hits"]["total"]["value"]
    first = ask(stored, suffix, query="Round Plates", vector=vector, **{"from": 0}, size=3)
    assert [hit["_id"] for hit in first["hits"]["hits"]] == [hit["_id"] for hit in plain["hits"]["hits"][:3]]


@pytest.mark.integration
@pytest.mark.parametrize("suffix", ["lexical", "saturation"])
def test_a_template_has_the_configured_clause(live: Live, suffix: str) -> None:
    words = {"multi_match": {"query": "{{query}} gift", "fields": ["title^3", "attributes_text"]}}
    clause = {
        "function_score": {"query": words, "functions": [{"field_value_factor": {"field": "sales", "missing": 3}}]}
    }
    put(live.client, "search-own", SearchConfig(lexical=clause, pivot=40), capabilities(live.client))
    params = {"query": 'say "plates"', "vector": list(live.search.vector('say "plates"'))}
    answer = live.client.search_template(index="search-shop", body={"id": f"search-own-{suffix}", "params": params})
    page = live.search('say "plates"', mode=MODES[suffix], lexical=clause, pivot=40)  # type: ignore[arg-type]
    assert [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]] == [(hit.id, hit.score) for hit in page.hits]
    assert answer["hits"]["total"]["value"] == page.total


@pytest.mark.integration
def test_the_hybrid_template_is_the_native_search_sorted_or_not(stored: Live) -> None:
    FUSIONS["min_max"].require(capabilities(stored.client))
    vector = list(stored.search.vector("Round Plates"))
    plain = ask(stored, "hybrid", query="Round Plates", vector=vector, size=9)
    page = stored.search("Round Plates", fusion="min_max", size=9)
    assert [hit["_id"] for hit in plain["hits"]["hits"]] == [hit.id for hit in page.hits]
    ordered = ask(stored, "hybrid", query="Round Plates", vector=vector, size=9, sort={"price": "desc"})
    page = stored.search("Round Plates", fusion="min_max", size=9, sort="-price")
    assert [hit["_source"]["price"] for hit in ordered["hits"]["hits"]] == [hit.source["price"] for hit in page.hits]


EVIL = [
    '"}}}}, "size": 1000, "x": {"y": "',
    "{{#toJson}}vector{{/toJson}}",
    "{{query}} {{{query}}}",
    '\\"}}',
    "line\nbreak\ttab \u2028 \u0000",
    "</script><script>alert(1)</script>",
    "'; DROP TABLE products; --",
]


@pytest.mark.integration
@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("suffix", ["lexical", "saturation"])
def test_no_text_breaks_out(stored: Live, suffix: str, text: str) -> None:
    vector = [0.5] * len(stored.search.vector("x"))
    clause = {"term": {"brand": text}}
    calm, wild = (
        render(stored, suffix, query=query, vector=vector, size=3, filter={"term": {"brand": query}})
        for query in ("calm", text)
    )
    assert json.dumps(wild).replace(json.dumps(text), '"calm"') == json.dumps(calm)
    assert clause in wild["query"]["bool"]["filter"]
    for name in ("size", "from"):
        # A text where a number belongs stays one value, which the cluster refuses as such.
        odd = render(stored, suffix, query="calm", vector=vector, **{name: text})
        assert odd[name] == text
        assert odd["query"] == render(stored, suffix, query="calm", vector=vector)["query"]


def test_hybrid_is_stored_only_where_the_plugin_is() -> None:
    def names(neural_search: bool, version: tuple[int, int, int]) -> set[str]:
        return set(sources(SearchConfig(), Capabilities(version, True, neural_search, False, True, "faiss")))

    assert names(True, (3, 5, 0)) == {"lexical", "vector", "saturation", "hybrid"}
    assert names(False, (3, 5, 0)) == names(True, (2, 19, 0)) == {"lexical", "vector", "saturation"}


@pytest.mark.parametrize(("version", "on_disk"), [((2, 13, 0), False), ((3, 6, 0), True)])
def test_threshold_without_radial_search(version: tuple[int, int, int], on_disk: bool) -> None:
    offered = Capabilities(version, True, False, False, True, "faiss")
    for text in sources(SearchConfig(), offered, on_disk=on_disk).values():
        assert '"vector": {{#toJson}}vector{{/toJson}}, "min_score"' not in text
    assert '"vector": {{#toJson}}vector{{/toJson}}, "min_score"' in template(SearchConfig(), "vector")


@pytest.mark.integration
def test_the_command_stores_them(live: Live, node: NodeStatus, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["opensearch", "put-templates", "--index", "search-shop", "--url", node.url, "--json"]
    assert run_guarded(group, arguments) == 0
    names = json.loads(capsys.readouterr().out)
    assert names == [f"search-shop-{suffix}" for suffix in sources(SearchConfig(), capabilities(live.client))]
    assert all(live.client.get_script(id=name)["found"] for name in names)


def run(program: str, *arguments: str, **options: Any) -> dict[str, Any]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.integration
def test_the_example_in_node(stored: Live, node: NodeStatus) -> None:
    same_as_the_search(stored, run("node", str(STOREFRONT / "node" / "category.mjs"), *arguments_of(node)))


@pytest.mark.integration
def test_the_example_in_php(stored: Live, node: NodeStatus) -> None:
    if shutil.which("php") is not None:
        modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True, timeout=60).stdout.split()
        if "curl" not in modules:
            pytest.skip("PHP has no curl extension")
    same_as_the_search(stored, run("php", str(STOREFRONT / "php" / "category.php"), *arguments_of(node)))


def arguments_of(node: NodeStatus) -> list[str]:
    options = {"page": 2, "size": 5, "brand": "Acme", "maxPrice": 90, "facets": ["brand", "category_path"]}
    return [node.url, "search-shop", PATH, json.dumps(options)]


def same_as_the_search(stored: Live, found: dict[str, Any]) -> None:
    page = stored.search(
        category=PATH, page=2, size=5, raw_filters=[{"term": {"brand": "Acme"}}, {"range": {"price": {"lte": 90}}}],
        facets=["brand", "category_path"],
    )  # fmt: skip
    assert found["total"] == page.total
    assert [product["id"] for product in found["products"]] == [hit.id for hit in page.hits]
    assert [product["score"] for product in found["products"]] == pytest.approx([hit.score for hit in page.hits])
    assert len(found["products"]) == 5
    assert found["facets"]["category_path"] == [[entry.value, entry.count] for entry in page.facets["category_path"]]


@pytest.mark.integration
def test_the_example_in_java(stored: Live, node: NodeStatus) -> None:
    file = str(STOREFRONT / "java" / "Category.java")
    found = run("java", file, node.url, "search-shop", PATH, "6", "6")
    page = stored.search(category=PATH, size=6, page=2)
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [hit.id for hit in page.hits]
    assert found["hits"]["total"]["value"] == page.total
