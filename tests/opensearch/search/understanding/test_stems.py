"""Stems are those of the index's own analyzer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import AuthenticationError
from clipita.opensearch.search.understanding import stems
from clipita.opensearch.search.understanding.stems import Stemmer, english

WORDS = ["schuhe", "rote", "und", "o'neill", "über", "😀", "straße", "x", "42", "schuhen"]


@pytest.mark.integration
@pytest.mark.parametrize("analyzer", ["german", "english", "standard", "edges"])
def test_stems_are_the_analyzers(search_client: OpenSearch, analyzer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stems, "AT_ONCE", 4)
    edges = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "edges"]}
    analysis = {
        "analyzer": {"edges": edges},
        "filter": {"edges": {"type": "edge_ngram", "min_gram": 1, "max_gram": 9}},
    }
    properties = {"names": {"properties": {"title": {"type": "text", "analyzer": analyzer}}}}
    index = f"stems-{analyzer}"
    search_client.indices.create(
        index=index, body={"settings": {"analysis": analysis}, "mappings": {"properties": properties}}
    )

    def ask(body: dict[str, Any]) -> Any:
        return search_client.indices.analyze(index=index, body=body)

    def alone(word: str) -> str:
        tokens = ask({"field": "names.title", "text": word})["tokens"]
        return " ".join(token["token"] for token in tokens)

    stemmer = Stemmer(properties, "names.title")
    stemmer.learn(stemmer.unknown(WORDS), ask)
    assert stemmer.unknown(WORDS) == []
    assert [stemmer(word) for word in WORDS if word != "😀"] == [alone(word) for word in WORDS if word != "😀"]
    search_client.indices.delete(index=index)


def test_english_asks_nobody() -> None:
    stemmer = Stemmer({"title": {"type": "text", "analyzer": "english"}}, "title")
    assert stemmer.unknown(["shoes"]) == []
    assert [stemmer(word) for word in ("shoes", "men's", "mens", "the", "women\u2019s")] == [
        "shoe", "men", "men", "", "women",
    ]  # fmt: skip


def test_without_the_permission_words_are_compared_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(body: dict[str, Any]) -> Mapping[str, Any]:
        raise AuthenticationError("the user lacks a permission: indices:admin/analyze.")

    stemmer = Stemmer({"title": {"type": "text"}}, "title")
    stemmer.learn(stemmer.unknown(["schuhe", "rot"]), refuse)
    assert (stemmer("schuhe"), stemmer.unknown(["schuhe", "rot"])) == ("schuhe", [])
    assert "lacks a permission" in caplog.text


def test_kept_words_stay_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stems, "KEPT_WORDS", 3)
    stemmer = Stemmer({}, "title")

    def ask(body: dict[str, Any]) -> Mapping[str, Any]:
        return {"tokens": [{"token": "t", "start_offset": 3 * number} for number in range(len(body["text"]))]}

    stemmer.learn(["ab", "cd"], ask)
    stemmer.learn(["ef", "gh"], ask)
    assert stemmer.unknown(["ab", "ef", "y" * 1_000]) == ["ab"]
    assert english("y" * 1_000) == "y" * 1_000
