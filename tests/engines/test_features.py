"""What a shop needs, on real nodes of each release. The first line of a test is its row in docs/engines.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.cli import group
from clipita.config import FieldsConfig, OpenSearchConfig
from clipita.errors import ClusterVersionError
from clipita.evaluation.bm25 import Bm25
from clipita.opensearch.cluster.connection import capabilities
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.index import require, resolve
from clipita.opensearch.index.versions import list_versions, roll_back
from clipita.opensearch.ingest import index_source
from clipita.opensearch.ingest.index_source import scan
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.quality.live import measure_recall
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.fusion import FUSIONS

pytestmark = pytest.mark.integration
Run = Callable[..., IngestReport]
TEXT = "Round Plates"
FIELDS = FieldsConfig(title="name", category_path="shelf", image=None, attributes=())


def shop_documents(client: OpenSearch, name: str, count: int, shards: int = 1, knn: bool = True) -> set[str]:
    """An index as a shop has it, with updated and deleted documents in several segments; returns the ids in it."""
    settings = {"index.knn": knn, "number_of_shards": shards, "number_of_replicas": 0}
    properties = {"name": {"type": "text", "analyzer": "english"}, "shelf": {"type": "keyword"}}
    client.indices.create(index=name, body={"settings": settings, "mappings": {"properties": properties}})
    for start in (0, count // 3, count // 2):
        lines: list[dict[str, Any]] = []
        for number in range(start, count + 20):
            action = {"_index": name, "_id": f"d{number}"}
            lines += [{"index": action}, {"name": f"plate number {number}", "shelf": ["Home", f"Leaf {number % 3}"]}]
        client.bulk(body=lines, refresh=True)
    client.bulk(
        body=[{"delete": {"_index": name, "_id": f"d{number}"}} for number in range(count, count + 20)], refresh=True
    )
    return {f"d{number}" for number in range(count)}


def test_ingest(ingest: Run, engine: OpenSearch, alias: str, shop: Path) -> None:
    """Ingest of a catalogue, and again."""
    assert ingest(shop / "train.parquet").counts["written"] == 120
    again = ingest(shop / "train.parquet")
    assert (again.counts["unchanged"], again.encoded) == (120, 0)
    assert engine.count(index=alias)["count"] == 120


def test_new_index(ingest: Run, engine: OpenSearch, alias: str, shop: Path) -> None:
    """New index, alias swap, rollback."""
    first = ingest(shop / "train.parquet").index
    second = ingest(shop / "train.parquet", shop / "valid.parquet", new_index=True).index
    assert resolve(engine, alias) == second != first
    assert roll_back(engine, alias) == (second, first)
    assert [version.name for version in list_versions(engine, alias)] == [first, second]


def test_prune(ingest: Run, engine: OpenSearch, alias: str, shop: Path) -> None:
    """Prune what left the catalogue."""
    ingest(shop / "train.parquet", shop / "valid.parquet")
    ingest(shop / "train.parquet", prune=True, force=True)
    assert engine.count(index=alias)["count"] == 120


@pytest.mark.parametrize("shards", [1, 3])
def test_scan(engine: OpenSearch, alias: str, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every document of an index read once."""
    monkeypatch.setattr(index_source, "PAGE", 70)
    every = shop_documents(engine, alias, 1500, shards)
    found = [hit["_id"] for hit in scan(engine, alias, {"match_all": {}}, Backoff(), False)]
    assert len(found) == len(set(found))
    assert set(found) == every


def test_export(engine: OpenSearch, alias: str, tmp_path: Path) -> None:
    """Export of an index as catalogue files."""
    every = shop_documents(engine, alias, 300, 3)
    words = ["index", "export", alias, str(tmp_path / "shop"), "--url", address_of(engine), "--json"]
    fields = ["--title-field", "name", "--category-field", "shelf", "--image-field", ""]
    result = CliRunner().invoke(group, [*words, *fields], catch_exceptions=False)
    written = json.loads(result.stdout)["written"]
    products = [
        product.id for part in written for product in CatalogueFile(tmp_path / "shop" / f"{part}.jsonl.gz").products()
    ]
    assert sum(written.values()) == len(products)
    assert set(products) == every


def test_copy(ingest: Run, engine: OpenSearch, alias: str) -> None:
    """Copy of the shop's own index with vectors."""
    every = shop_documents(engine, f"{alias}-shop", 200, 3, knn=False)
    report = ingest(from_index=f"{alias}-shop", fields=FIELDS)
    assert (report.counts["written"], resolve(engine, alias)) == (len(every), report.index)
    found = [hit["_id"] for hit in scan(engine, report.index, {"exists": {"field": "product_vector"}}, Backoff(), True)]
    assert set(found) == every


def test_in_place(ingest: Run, engine: OpenSearch, alias: str, bundle: Any) -> None:
    """Vectors added to the shop's own index in place."""
    every = shop_documents(engine, alias, 200, 3)
    report = ingest(from_index=alias, in_place=True, fields=FIELDS)
    assert (report.index, report.counts["updated"] + report.counts["written"]) == (alias, len(every))
    assert ProductSearch(engine, alias, bundle)("plate", size=1).total == len(every)


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_search(search: ProductSearch, mode: Any) -> None:
    """Search by words, vector and both, with filters, facets, sort and pages."""
    page = search(TEXT, mode=mode, filters={"price": {"lte": 60}}, facets=["brand"], size=5, k=160)
    assert page.total == sum(value.count for value in page.facets["brand"])
    assert all(hit.source["price"] <= 60 for hit in page.hits)
    ordered = search(TEXT, mode=mode, sort="price", size=160, k=160)
    prices = [hit.source["price"] for hit in ordered.hits]
    assert prices == sorted(prices)
    one, two = (search(TEXT, mode=mode, size=5, page=number, k=160) for number in (1, 2))
    both = search(TEXT, mode=mode, size=10, k=160)
    assert [hit.id for hit in (*one.hits, *two.hits)] == [hit.id for hit in both.hits]


def test_cursors(search: ProductSearch) -> None:
    """Cursors over a snapshot."""
    found: list[str] = []
    page = search(TEXT, size=37, k=160, snapshot="1m")
    total = page.total
    while page.cursor is not None:
        found += [hit.id for hit in page.hits]
        page = search(TEXT, size=37, k=160, cursor=page.cursor)
    found += [hit.id for hit in page.hits]
    assert len(found) == len(set(found)) == total


def test_options(search: ProductSearch) -> None:
    """Collapse, variants, highlight, boosts, explain, min_score."""
    page = search(TEXT, collapse="brand", variants=2, size=10)
    assert len(page.hits) == page.groups == 3
    marked = search("plate", mode="lexical", highlight=True)
    assert "<em>" in marked.hits[0].highlights["title"]
    hit = search(TEXT, boosts=["popularity:price:0.5"], explain=True, size=1).hits[0]
    assert hit.explanation is not None
    explained = (hit.explanation.lexical + hit.explanation.vector) * np.prod(list(hit.explanation.boosts.values()))
    assert hit.score == pytest.approx(float(explained), rel=1e-5)
    scores = [one.score for one in search(TEXT, size=160, k=160).hits]
    middle = float(np.median(np.array(scores, dtype=float)))
    assert search(TEXT, size=160, k=160, min_score=middle).total == sum(score >= middle for score in scores)


def test_scores(search: ProductSearch, shop: Path) -> None:
    """The score of a product is the same on each engine: BM25, cosine, and both by pivot and weight."""
    files = [CatalogueFile(shop / f"{name}.parquet") for name in ("train", "valid")]
    products = [product for file in files for product in file.products()]
    offline = dict(zip([product.id for product in products], Bm25(products).scores("family plate"), strict=True))
    lexical = search.scores("family plate", mode="lexical", fields=["title"], depth=160)
    assert lexical == pytest.approx({name: score for name, score in offline.items() if score > 0}, rel=1e-5)
    sources = search.client.search(index="searched", body={"size": 160, "query": {"match_all": {}}})["hits"]["hits"]
    query = np.array(search.vector("family plate"))
    cosines = {hit["_id"]: float(np.dot(hit["_source"]["product_vector"], query)) for hit in sources}
    options: dict[str, Any] = {"pivot": 3.0, "weight": 0.4, "fields": ["title"], "depth": 160}
    expected = {
        name: 0.6 * max(offline[name], 0) / (max(offline[name], 0) + 3.0) + 0.4 * max(0.0, cosine)
        for name, cosine in cosines.items()
    }
    assert search.scores("family plate", **options) == pytest.approx(expected, abs=1e-5)
    # The shop's own clause scores as the cluster scores it.
    own = {"match": {"title": "family plate"}}
    plain = search.client.search(index="searched", body={"size": 160, "query": own})["hits"]["hits"]
    alone = search.scores("family plate", mode="lexical", lexical=own, depth=160)
    assert alone == pytest.approx({hit["_id"]: hit["_score"] for hit in plain}, rel=1e-6)


def test_category_pages(search: ProductSearch) -> None:
    """Category pages: labelled products, and those above a threshold."""
    page = search(category="Home > Plates", size=160)
    assert {hit.category_path[:2] for hit in page.hits} == {("Home", "Plates")}
    assert search.categories.general, "the run fitted no thresholds"
    near = search(category="Home > Plates", members="predicted", mode="vector", size=160)
    assert near.threshold is not None
    assert all(hit.score is not None and hit.score >= 1 + near.threshold - 1e-6 for hit in near.hits)


@pytest.mark.parametrize("suffix", ["lexical", "saturation", "vector"])
def test_templates(search: ProductSearch, suffix: str) -> None:
    """Search templates, sorted by one key or a list."""
    modes: dict[str, Any] = {"lexical": "lexical", "saturation": "hybrid", "vector": "vector"}
    text = "family plate"
    params: dict[str, Any] = {"query": text, "vector": list(search.vector(text)), "size": 7}

    def asked(**more: Any) -> list[tuple[str, float]]:
        body = {"id": f"searched-{suffix}", "params": {**params, **more}}
        answer = search.client.search_template(index="searched", body=body)
        return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]

    options: dict[str, Any] = {"mode": modes[suffix], "size": 7, "weight": search.config.weight_known}
    page = search(text, **options)
    if page.threshold is not None:
        params["threshold"] = 1 + page.threshold
    assert asked() == [(hit.id, pytest.approx(hit.score, rel=1e-6)) for hit in page.hits]
    by_price = [hit.id for hit in search(text, sort="price", **options).hits]
    assert [name for name, _ in asked(sort={"price": "asc"})] == by_price
    assert [name for name, _ in asked(sort=[{"price": "asc"}])] == by_price
    two = [hit.id for hit in search(text, sort=["brand", "-price"], **options).hits]
    assert [name for name, _ in asked(sort=[{"brand": "asc"}, {"price": "desc"}])] == two


@pytest.mark.parametrize("fusion", ["min_max", "rrf"])
def test_native_fusions(search: ProductSearch, fusion: str, refused: Callable[[], None]) -> None:
    """Native fusions min_max and rrf."""
    if FUSIONS[fusion].is_offered(capabilities(search.client)):
        assert search(TEXT, fusion=fusion, size=5).hits
        return
    with pytest.raises(ClusterVersionError, match=f"{fusion} requires"):
        search(TEXT, fusion=fusion)
    refused()


def test_byte(
    ingest: Run, engine: OpenSearch, alias: str, shop: Path, bundle: Any, refused: Callable[[], None]
) -> None:
    """Precision byte."""
    if capabilities(engine).compression:
        ingest(shop / "train.parquet", config={"precision": "byte"})
        assert ProductSearch(engine, alias, bundle)(TEXT, mode="vector", size=5).hits
        return
    with pytest.raises(ClusterVersionError, match=r"precision byte requires OpenSearch 2\.17\.0"):
        ingest(shop / "train.parquet", config={"precision": "byte"})
    assert resolve(engine, alias) is None
    refused()


def test_recall(search: ProductSearch) -> None:
    """Recall@100 of the k-NN field, measured against exact search."""
    queries = [(text, list(search.vector(text))) for text in (TEXT, "Kites")]
    assert measure_recall(search.client, require(search.client, "searched").name, queries, 100).mean >= 0.95


def test_doctor(engine: OpenSearch) -> None:
    """`clipita doctor` lists what the cluster can do."""
    result = CliRunner().invoke(group, ["doctor", "--json", "--url", address_of(engine)], catch_exceptions=False)
    found = {finding["part"]: finding for finding in json.loads(result.stdout)["findings"]}["OpenSearch"]
    offered, _, missing = found["leaves"].partition("; without: ")
    able = capabilities(engine)
    for name, there in {
        "min_max fusion": FUSIONS["min_max"].is_offered(able),
        "precision byte": able.compression,
    }.items():
        assert name in (offered if there else missing)


def test_asyncio(search: ProductSearch, bundle: Any) -> None:
    """The asynchronous client."""

    async def ask() -> list[str]:
        config = OpenSearchConfig(url=address_of(search.client))
        async with await AsyncProductSearch.open(index="searched", model=bundle, opensearch=config) as client:
            return [hit.id for hit in (await client(TEXT, size=5)).hits]

    assert asyncio.run(ask()) == [hit.id for hit in search(TEXT, size=5).hits]
