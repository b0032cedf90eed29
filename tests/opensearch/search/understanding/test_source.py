"""What of an index is vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.understanding import source
from clipita.opensearch.search.understanding.openings import LEAST_TITLES
from clipita.opensearch.search.understanding.source import read_vocabulary, value_fields
from clipita.opensearch.search.understanding.stems import Stemmer
from clipita.opensearch.search.understanding.vocabulary import Vocabulary

pytestmark = pytest.mark.integration

INDEX = "vocabulary-shop"
WORDS: dict[str, Any] = {"type": "text", "analyzer": "german", "fields": {"keyword": {"type": "keyword"}}}
PROPERTIES: dict[str, Any] = {
    "product_id": {"type": "keyword"},
    "name": WORDS,
    "brand": WORDS,
    "section": {"type": "keyword"},
    "sku": {"type": "keyword"},
    "stored": {"type": "keyword", "doc_values": False},
    "unused": {"type": "keyword"},
    "sale_price": {"type": "double"},
    "details": {"properties": {"colour": {"type": "keyword"}, "heel_height": {"type": "integer"}}},
    "care": {"type": "keyword"},
}
OWN = {"title": "name", "category_path": "section", "category_separator": "/", "path_separator": "|"}


@pytest.fixture(scope="module")
def index(search_client: OpenSearch) -> Iterator[str]:
    search_client.indices.create(index=INDEX, body={"mappings": {"properties": PROPERTIES}})
    lines = []
    for number in range(24):
        lines += [
            {"index": {"_id": str(number)}},
            {
                "product_id": str(number), "name": f"Schuh {number}", "brand": ["Acme Schuhe", "Globex"][number % 2],
                "section": ["Schuhe/Halbschuhe|Sale", "Taschen"][number % 2], "sku": f"sku-{number}", "stored": "x",
                "sale_price": 10.0 + number, "details": {"colour": ["rot", "dunkel rot", "blau"][number % 3]},
                "care": "wash by hand " * 6,
            },
        ]  # fmt: skip
    search_client.bulk(index=INDEX, body="".join(json.dumps(line) + "\n" for line in lines), params={"refresh": "true"})
    yield INDEX
    search_client.indices.delete(index=INDEX)


@pytest.fixture
def vocabulary(search_client: OpenSearch, index: str) -> Vocabulary:
    def ask(body: dict[str, Any]) -> Any:
        return search_client.indices.analyze(index=index, body=body)

    stemmer = Stemmer(PROPERTIES, "name")
    # Words of queries.
    stemmer.learn(["rote", "schuh"], ask)
    names = FieldNames(PROPERTIES, OWN)
    return read_vocabulary(PROPERTIES, names, stemmer, lambda body: search_client.search(index=index, body=body), ask)


def test_fields_of_values_are_keywords_that_can_be_counted() -> None:
    assert value_fields(PROPERTIES, FieldNames(PROPERTIES, OWN)) == {
        "brand": "brand.keyword",
        "sku": "sku",
        "unused": "unused",
        "details.colour": "details.colour",
        "care": "care",
    }


def test_values_that_products_share_are_vocabulary(vocabulary: Vocabulary) -> None:
    known = vocabulary.meanings(vocabulary.key("rote"))["details.colour"]
    assert known.values == ("rot", "dunkel rot")
    assert vocabulary.meanings(vocabulary.key("Acme Schuh"))["brand"].values == ("Acme Schuhe",)
    assert not vocabulary.meanings(vocabulary.key("sku-3"))
    assert not vocabulary.begins("wash")
    assert vocabulary.is_category(vocabulary.key("Schuh"))
    assert vocabulary.is_category(vocabulary.key("Halbschuhe"))
    assert vocabulary.is_category(vocabulary.key("Sale"))
    assert vocabulary.price == "sale_price"
    assert vocabulary.number(vocabulary.key("heel height")) == "details.heel_height"
    assert vocabulary.field(vocabulary.key("colour")) == "details.colour"
    assert vocabulary.title == "name"


def test_words_that_open_titles_are_vocabulary(search_client: OpenSearch) -> None:
    properties = {"name": WORDS}
    titles = [*(f"Acme {number}" for number in range(LEAST_TITLES)), "Globex 1", ["Two", "titles"], None]
    lines = [line for title in titles for line in ({"index": {}}, {"name": title})]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    search_client.indices.create(index="vocabulary-titles", body={"mappings": {"properties": properties}})
    try:
        search_client.bulk(index="vocabulary-titles", body=body, params={"refresh": "true"})
        found = read_vocabulary(
            properties, FieldNames(properties, {"title": "name"}), Stemmer(properties, "name"),
            lambda body: search_client.search(index="vocabulary-titles", body=body),
            lambda body: search_client.indices.analyze(index="vocabulary-titles", body=body),
            ["Clogs"],
        )  # fmt: skip
    finally:
        search_client.indices.delete(index="vocabulary-titles")
    assert found.opening(found.key("acme")) == "Acme"
    assert found.opening(found.key("globex")) is None
    assert found.is_category(found.key("clogs"))


def test_many_values_are_read_in_several_answers(
    search_client: OpenSearch, index: str, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_BUCKETS", 20)
    monkeypatch.setattr(source, "MAX_VALUES", 20)
    bodies: list[dict[str, Any]] = []

    def search(body: dict[str, Any]) -> Any:
        bodies.append(body)
        return search_client.search(index=index, body=body)

    names = FieldNames(PROPERTIES, OWN)
    again = read_vocabulary(
        PROPERTIES, names, Stemmer(PROPERTIES, "name"), search,
        lambda body: search_client.indices.analyze(index=index, body=body),
    )  # fmt: skip
    assert len(bodies) > 2
    assert again.meanings(again.key("rot")) == vocabulary.meanings(vocabulary.key("rot"))


def test_an_index_without_values_understands_nothing(search_client: OpenSearch, index: str) -> None:
    properties = {"name": WORDS, "size": {"type": "integer"}}
    found = read_vocabulary(
        properties, FieldNames(properties, {"title": "name"}), Stemmer(properties, "name"),
        lambda body: search_client.search(index=index, body=body),
        lambda body: search_client.indices.analyze(index=index, body=body),
    )  # fmt: skip
    assert (found.price, found.number(found.key("size"))) == (None, "size")
