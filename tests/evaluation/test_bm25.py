"""BM25 against its formula, against a live Lucene, and against the published figures on the real catalogue."""

from __future__ import annotations

import json
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.config import OpenSearchConfig
from clipita.errors import ConfigError
from clipita.evaluation.bm25 import Bm25, Bm25Index, field_text, norm_length
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.evaluation.words import analyze

if TYPE_CHECKING:
    from clipita.opensearch.local.node import NodeStatus

TITLES = ["Red running shoes", "Blue shoes", None, "Shoe laces for running, running and running", "Umbrella", ""]


def by_formula(query: str, titles: list[str | None]) -> list[float]:
    """BM25 written out: no index, no arrays."""
    documents = [analyze(title or "") for title in titles]
    filled = [document for document in documents if document]
    average = sum(map(len, filled)) / len(filled)
    scores = []
    for document in documents:
        total, found = 0.0, False
        for term in analyze(query):
            frequency = document.count(term)
            holders = sum(term in other for other in filled)
            if frequency:
                found = True
                idf = math.log(1 + (len(filled) - holders + 0.5) / (holders + 0.5))
                total += idf * frequency / (frequency + 1.2 * (0.25 + 0.75 * len(document) / average))
        scores.append(total if found else -math.inf)
    return scores


@pytest.mark.parametrize("query", ["shoes", "running shoe", "umbrellas", "running running laces", "hats", "the"])
def test_scores_are_those_of_the_formula(query: str) -> None:
    assert Bm25Index(TITLES).scores(query).tolist() == pytest.approx(by_formula(query, TITLES), rel=1e-6)


def test_no_title_at_all_finds_nothing() -> None:
    bm25 = Bm25([Product("a"), Product("b")])
    assert bm25.scores("shoes").tolist() == [-math.inf, -math.inf]
    assert bm25.empty_fields == ["title"]


@pytest.mark.parametrize(
    ("length", "kept"), [(0, 0), (23, 23), (39, 39), (40, 40), (41, 40), (56, 56), (57, 56), (60, 60), (1_000, 984)]
)
def test_lengths_are_rounded_as_in_lucene(length: int, kept: int) -> None:
    assert norm_length(length) == kept


def test_several_fields_count_with_the_best() -> None:
    products = [
        Product("a", "Red shoes", {"colour": "Red"}, extra={"brand": "Acme"}),
        Product("b", "Blue shoes", {"colour": "Blue"}, extra={"brand": ["Red", "Globex"]}),
    ]
    title, brand = Bm25(products).scores("red"), Bm25(products, ["brand"]).scores("red")
    assert Bm25(products, ["title", "brand^3"]).scores("red").tolist() == pytest.approx(
        np.maximum(title, 3 * brand).tolist()
    )
    assert field_text(products[0], "attributes_text") == "colour: Red"
    assert field_text(products[0], "colour") == "Red"
    assert field_text(products[0], "size") is None


@pytest.mark.parametrize("field", ["title^0", "title^-1", "title^much", "title^inf"])
def test_a_boost_must_be_a_positive_number(field: str) -> None:
    with pytest.raises(ConfigError, match="positive number"):
        Bm25([Product("a", "x")], [field])


def test_the_real_catalogue_reaches_the_known_figures(fashion: Path) -> None:
    """A live node with the english analyzer gave mAP@10 68.2 and R-precision 62.3 on these 138 queries.

    Many titles have equal scores, and the order among them moves mAP@10 by a point: hence the width.
    """
    protocol = TreeProtocol(CatalogueFile(fashion / "test.parquet").products())
    result = protocol.score(System("bm25", "lexical", "offline"), protocol.rank_scores(Bm25(protocol.products).scores))
    assert len(protocol.queries) == 138
    assert result.mean("R-precision") == pytest.approx(62.3, abs=0.7)
    assert result.mean("mAP@10") == pytest.approx(68.2, abs=1.5)


@pytest.fixture
def indexed(node: NodeStatus) -> Any:
    """A client, and an index of one shard whose field `title` has the analyzer `english`."""
    from clipita.opensearch.cluster.connection import connect

    client = connect(OpenSearchConfig(url=node.url))
    name = f"bm25-{uuid.uuid4().hex[:8]}"
    mapping = {"properties": {"title": {"type": "text", "analyzer": "english"}}}
    client.indices.create(index=name, body={"settings": {"number_of_shards": 1}, "mappings": mapping})
    yield client, name
    client.indices.delete(index=name)
    client.close()


def fill(client: Any, name: str, titles: list[str | None]) -> None:
    actions: list[dict[str, Any]] = []
    for position, title in enumerate(titles):
        actions += [{"index": {"_index": name, "_id": str(position)}}, {} if title is None else {"title": title}]
    assert not client.bulk(body=actions, refresh=True)["errors"]
    client.indices.forcemerge(index=name, max_num_segments=1)


def live_scores(client: Any, name: str, query: str, size: int) -> dict[int, float]:
    body = {"query": {"match": {"title": query}}, "size": size, "_source": False}
    return {int(hit["_id"]): hit["_score"] for hit in client.search(index=name, body=body)["hits"]["hits"]}


def assert_same_scores(client: Any, name: str, titles: list[str | None], queries: list[str]) -> None:
    ours = Bm25Index(titles)
    for query in queries:
        scores = ours.scores(query)
        live = live_scores(client, name, query, len(titles))
        assert set(live) == set(np.flatnonzero(scores > -np.inf).tolist()), query
        for position, score in live.items():
            assert scores[position] == pytest.approx(score, rel=1e-5), (query, titles[position])


@pytest.mark.integration
def test_scores_are_those_of_the_live_index(indexed: Any) -> None:
    client, name = indexed
    long = " ".join(["socks", *("word" + chr(97 + i % 26) + chr(97 + i // 26) for i in range(90))])
    titles = [*TITLES, "Men's Trekking Boots®", "Women’s technologies, possibly", long]
    fill(client, name, titles)
    assert_same_scores(client, name, titles, ["shoes", "running shoes", "man boot", "technological", "sock", "the"])


@pytest.mark.integration
def test_the_real_catalogue_scores_as_in_the_live_index(indexed: Any, fashion: Path) -> None:
    client, name = indexed
    protocol = TreeProtocol(CatalogueFile(fashion / "test.parquet").products())
    titles = [product.title for product in protocol.products]
    fill(client, name, titles)
    assert_same_scores(client, name, titles, [query.text for query in protocol.queries])


@pytest.mark.integration
def test_terms_are_those_of_the_live_analyzer(indexed: Any) -> None:
    client, name = indexed
    golden = json.loads(Path(__file__).with_name("lucene_english.json").read_text(encoding="utf-8"))
    for text in (case["text"] for case in golden):
        answer = client.indices.analyze(index=name, body={"analyzer": "english", "text": text})
        assert [token["token"] for token in answer["tokens"]] == analyze(text), text
