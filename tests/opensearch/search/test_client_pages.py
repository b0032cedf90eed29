"""What a page holds: categories as sets, pages that end at a threshold, counts that are true."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.catalogue.product import CategoryPath, CategoryTree
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.errors import UsageError
from clipita.evaluation.thresholds import at
from clipita.opensearch import AsyncProductSearch, ProductSearch, SearchPage
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.index.categories import category_id
from clipita.opensearch.index.index import remember
from clipita.opensearch.search.templates import put
from clipita.opensearch.search.vectors import Encoded

pytestmark = pytest.mark.integration

NEAR = 1e-5
"""Cosines this near a threshold may fall on either side: the cluster computes in 32 bits."""


class Shop:
    """An index as `clipita.ingest` leaves it, and what its products are."""

    def __init__(self, client: OpenSearch, alias: str, bundle: Path, files: list[Path]) -> None:
        self.client, self.alias = client, alias
        self.search = ProductSearch(client, alias, bundle)
        self.products = {product.id: product for file in files for product in CatalogueFile(file).products()}
        self.tree = CategoryTree(product.category_path for product in self.products.values())
        answer = client.search(index=alias, body={"size": 1000, "_source": ["product_vector", "brand", "price"]})
        self.sources = {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}

    def members(self, path: CategoryPath) -> set[str]:
        return {name for name, product in self.products.items() if product.category_path[: len(path)] == path}

    def cosines(self, vector: Any) -> dict[str, float]:
        return {name: float(np.dot(source["product_vector"], vector)) for name, source in self.sources.items()}

    def walk(self, query: str | None = None, size: int = 7, **options: Any) -> tuple[list[str], SearchPage]:
        """All ids by cursor, and the first page."""
        first = page = self.search(query, size=size, **options)
        found = [hit.id for hit in page.hits]
        while page.cursor is not None:
            page = self.search(query, size=size, cursor=page.cursor, **options)
            assert page.total == first.total
            found += [hit.id for hit in page.hits]
        return found, first


@pytest.fixture(scope="module", params=[1, 3], ids=["one shard", "three shards"])
def shop_index(
    request: pytest.FixtureRequest, search_client: OpenSearch, shop: Path, tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:  # fmt: skip
    alias, folder = f"search-pages-{request.param}", tmp_path_factory.mktemp("pages")
    files = [shop / f"{name}.parquet" for name in ("train", "valid", "test")]
    loose = folder / "loose.jsonl"
    rows = [{"product_id": f"loose-{n}", "title": "a round plate without a category"} for n in range(3)]
    loose.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    clipita.ingest(
        [*files, loose], cluster=search_client, index=alias, model=tiny_bundle, warn=said.append,
        config=IngestConfig(shards=request.param, rejected=folder / "rejected.jsonl"),
    )  # fmt: skip
    assert any("Where a page ends was fitted on" in text for text in said)
    return Shop(search_client, alias, tiny_bundle, [*files, loose])


def test_a_category_page_holds_exactly_its_products(shop_index: Shop) -> None:
    for category in shop_index.tree.categories:
        found, first = shop_index.walk(category=list(category.path), facets=["brand"], facet_size=100)
        assert sorted(found) == sorted(shop_index.members(category.path))
        assert first.total == len(found) == shop_index.tree.products_by_node[category.path]
        assert sum(entry.count for entry in first.facets["brand"]) == first.total
    every = [hit.score for hit in shop_index.search(category="Plates", size=100).hits]
    assert every == sorted(every, reverse=True)
    assert every[0] > every[-1]


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
@pytest.mark.parametrize("fusion", ["saturation", "min_max", "rrf"])
def test_a_category_page_is_exact_under_filters_in_every_mode(shop_index: Shop, mode: Any, fusion: str) -> None:
    options: dict[str, Any] = {"category": "Home > Plates", "mode": mode, "fusion": fusion, "size": 100}
    page = shop_index.search(filters={"price": {"lte": 60}}, facets=["brand"], **options)
    cheap = {name for name in shop_index.members(("Home", "Plates")) if shop_index.sources[name]["price"] <= 60}
    assert {hit.id for hit in page.hits} == cheap
    assert page.total == len(cheap) > 0
    assert {entry.value: entry.count for entry in page.facets["brand"]} == Counter(
        shop_index.sources[name]["brand"] for name in cheap
    )
    for entry in page.facets["brand"]:
        chosen = shop_index.search(filters={"price": {"lte": 60}, "brand": [entry.value]}, facets=["brand"], **options)
        assert chosen.total == len(chosen.hits) == entry.count


def test_what_also_fits_comes_from_elsewhere(shop_index: Shop) -> None:
    path = ("Home", "Plates", "Round Plates")
    category = shop_index.search.categories.find(path)
    assert category is not None
    page = shop_index.search(category=path, also=100)
    cosines, members = shop_index.cosines(category.vector), shop_index.members(path)
    assert page.threshold is not None
    expected = {name for name, cosine in cosines.items() if cosine >= page.threshold and name not in members}
    unsure = {name for name, cosine in cosines.items() if abs(cosine - page.threshold) < NEAR}
    assert {hit.id for hit in page.also} ^ expected <= unsure
    assert page.also_total == len(page.also)
    assert page.total == len(members)
    few = shop_index.search(category=path, also=1)
    assert few.also_total == page.also_total
    assert [hit.id for hit in few.also] == [hit.id for hit in page.also[:1]]
    assert shop_index.search(category=path).also_total is None

    both = shop_index.search(category=path, members="both", size=100)
    assert {hit.id for hit in both.hits} ^ (members | expected) <= unsure
    predicted = shop_index.search(category=path, members="predicted", size=100)
    near = {name for name, cosine in cosines.items() if cosine >= page.threshold}
    assert {hit.id for hit in predicted.hits} ^ near <= unsure
    narrow = shop_index.search(category=path, also=100, filters={"brand": "Acme"}, facets=["brand"])
    assert all(hit.source.get("brand") == "Acme" for hit in narrow.also)


@pytest.mark.parametrize("query", ["Round Plates", "round plate", "delta kites", "a plate with kites", "Home"])
@pytest.mark.parametrize("precision", [0.5, 0.9, 0.99])
def test_a_free_text_page_ends_at_its_threshold(shop_index: Shop, query: str, precision: float) -> None:
    found, first = shop_index.walk(query, precision=precision, facets=["brand"], facet_size=100)
    assert len(found) == len(set(found)) == first.total
    assert first.threshold is not None
    cosines = shop_index.cosines(shop_index.search.vector(query))
    expected = {name for name, cosine in cosines.items() if cosine >= first.threshold}
    if not shop_index.search.arguments(query, {"precision": precision}).recognised:
        # Titles of up to three words' queries must have all of them.
        body = {"match": {"title": {"query": query, "minimum_should_match": "3<75%"}}}
        answer = shop_index.client.search(index=shop_index.alias, body={"query": body, "size": 1000})
        expected |= {hit["_id"] for hit in answer["hits"]["hits"]}
    unsure = {name for name, cosine in cosines.items() if abs(cosine - first.threshold) < NEAR}
    assert set(found) ^ expected <= unsure
    for entry in first.facets["brand"]:
        chosen = shop_index.search(query, precision=precision, filters={"brand": entry.value}, facets=["brand"])
        assert chosen.total == entry.count
        filtered = shop_index.search(query, precision=precision, filters={"brand": entry.value})
        assert filtered.total == entry.count


def test_a_higher_precision_gives_no_longer_page(shop_index: Shop) -> None:
    totals = [shop_index.search("Plates", mode="vector", precision=value).total for value in (0.5, 0.7, 0.9, 0.99)]
    assert totals == sorted(totals, reverse=True)


def test_a_page_without_radial_search_is_the_same(shop_index: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before OpenSearch 2.14, and for vectors of few bits on disk, the nearest 10,000 are looked at."""
    pages = [shop_index.search(query, size=100, facets=["brand"]) for query in ("Round Plates", "blue things")]
    monkeypatch.setattr("clipita.opensearch.cluster.connection.OLDEST_RADIAL", (99, 0, 0))
    for page in pages:
        again = shop_index.search(page.query, size=100, facets=["brand"])
        assert [hit.id for hit in again.hits] == [hit.id for hit in page.hits]
        assert (again.total, again.facets) == (page.total, page.facets)


def test_nonsense_finds_nothing_and_is_offered_categories(shop_index: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tiny model cannot tell nonsense, so the bar is raised.
    monkeypatch.setattr(shop_index.search.categories, "general", (1.0,) * 6)
    page = shop_index.search("qwzx plmk")
    assert (page.total, page.hits) == (0, [])
    assert len(page.nearest) == 3
    assert all(shop_index.search.categories.find(path) for path in page.nearest)
    assert shop_index.search("Plates").nearest == ()


@pytest.mark.parametrize("gate", [0.0, 0.25, 1.0])
def test_weight_and_threshold_follow_the_gate(shop_index: Shop, gate: float) -> None:
    """The gate of the tiny model is missing, so vectors come with one from elsewhere, as from the server's batches."""
    search = shop_index.search
    text = f"plates at {gate}"
    vector = search.vector("Round Plates")
    search.vectors.keep(text, Encoded(vector, gate))
    found = search.arguments(text, {})
    low, high = search.config.weight_unknown, search.config.weight_known
    assert found.weight == pytest.approx(low + gate * (high - low))
    nearest = search.categories.nearest(vector)[0][0]
    shut, opened = at(search.categories.general, 0.9), at(nearest.thresholds, 0.9)
    assert found.threshold == pytest.approx(shut + gate * (opened - shut), abs=1e-6)
    assert found.recognised == (gate >= 0.5)
    assert search.arguments(text, {"weight": 0.33}).weight == 0.33


def test_a_model_without_a_gate_has_one_weight(shop_index: Shop) -> None:
    found = shop_index.search.arguments("Round Plates", {})
    assert found.weight == shop_index.search.config.weight_known
    assert found.recognised
    assert not shop_index.search.arguments("qwzx plmk 17", {}).recognised


def test_the_async_search_gives_the_same(shop_index: Shop) -> None:
    waiting = AsyncProductSearch(shop_index.search, OpenSearchConfig(url=address_of(shop_index.client)))

    async def ask() -> list[SearchPage]:
        try:
            return [await waiting(category="Plates", also=5), await waiting("round kites")]
        finally:
            await waiting.client.close()

    pages = asyncio.run(ask())
    for page, other in zip(pages, [shop_index.search(category="Plates", also=5), shop_index.search("round kites")]):  # noqa: B905
        assert (page.total, page.hits, page.also, page.also_total) == (
            other.total, other.hits, other.also, other.also_total,
        )  # fmt: skip


def test_templates_know_categories_and_thresholds(shop_index: Shop) -> None:
    search = shop_index.search
    put(shop_index.client, shop_index.alias, search.config, search.capabilities)

    def ask(suffix: str, **params: Any) -> dict[str, Any]:
        body = {"id": f"{shop_index.alias}-{suffix}", "params": params}
        answer: dict[str, Any] = shop_index.client.search_template(index=shop_index.alias, body=body)
        return answer

    path = ("Home", "Plates")
    category = search.categories.find(path)
    assert category is not None
    vector = list(category.vector)
    for suffix, mode in (("lexical", "lexical"), ("vector", "vector"), ("saturation", "hybrid")):
        page = search(category=path, mode=mode, size=9)  # type: ignore[arg-type]
        found = ask(suffix, query="Plates", vector=vector, category=category_id(path), size=9)
        assert [hit["_id"] for hit in found["hits"]["hits"]] == [hit.id for hit in page.hits]
        assert found["hits"]["total"]["value"] == page.total
        narrow = ask(
            suffix, query="Plates", vector=vector, category=category_id(path), filter={"term": {"brand": "Acme"}}
        )
        assert narrow["hits"]["total"]["value"] == search(category=path, mode=mode, filters={"brand": "Acme"}).total  # type: ignore[arg-type]
    arguments = search.arguments("blue things", {"understand": False})
    assert arguments.vector is not None
    assert arguments.threshold is not None
    page = search("blue things", size=9, understand=False)
    near = ask(
        "saturation", query="blue things", vector=list(arguments.vector), threshold=1 + arguments.threshold,
        weight=arguments.weight, size=9,
    )  # fmt: skip
    assert [hit["_id"] for hit in near["hits"]["hits"]] == [hit.id for hit in page.hits]
    assert near["hits"]["total"]["value"] == page.total


def test_an_index_that_lists_no_categories_says_what_to_do(shop_index: Shop) -> None:
    """As an earlier version left it."""
    name = shop_index.search.index.name
    remember(shop_index.client, name, nodes=None)
    try:
        old = ProductSearch(shop_index.client, shop_index.alias)
        page = old(category="Plates")
        assert "Ingest the whole catalogue once more" in page.remarks[0]
        assert page.hits
    finally:
        remember(shop_index.client, name, nodes=True)


@pytest.mark.parametrize("options", [{"members": "both"}, {"also": 3}])
def test_members_are_of_a_category(shop_index: Shop, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="requires a category"):
        shop_index.search("plates", **options)
    with pytest.raises(UsageError, match="no kind of members"):
        shop_index.search(category="Plates", members="some")  # type: ignore[arg-type]
