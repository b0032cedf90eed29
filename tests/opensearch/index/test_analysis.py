"""The analyzers of a language on a real node: OpenSearch's own with folding, compounds, what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import ConfigError, UsageError
from clipita.languages import LANGUAGES, LanguageConfig
from clipita.opensearch.index.analysis import TEXT, analysis, text_field
from clipita.opensearch.index.categories import publish
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.search.understanding.stems import Stemmer
from clipita.runtime import Bundle

Run = Callable[..., IngestReport]
Titled = Callable[[Sequence[str]], Path]
Found = Callable[[str], set[str]]
WITHOUT_PLUGIN = [name for name, language in LANGUAGES.items() if not language.plugin and name != "english"]
TEXTS = [
    "Men's running shoes for the girls 42", "Nabíječka pro notebook 90W a nabíječky", "Rote Straßenschuhe für Mädchen",
    "L'huile d'olive et les chaussures", "zapatos para niños, lápices", "dell'acqua scarpe c'è", "fietsen kinderen",
    "Türkiye'nin AYAKKABILARI için ıssız", "Ιστορίες παπούτσια ΣΊΓΜΑΣ", "книги и ботинки новые", "كتاب الكتب ١٢٣",
    "کتاب‌ها و کتابهای خوب", "किताबें १२३", "বইগুলো ১২", "日本語のテキスト ＡＢＣ the", "รองเท้าวิ่งของเด็ก ๑๒",
    "n-athair t-uisce d'fhág bPáirc", "barnens skor och klänningar", "kengät lapsille", "cipők gyerekeknek",
    "sepatu anak-anaknya", "գրքերը և կոշիկներ", "oinetakoak eta", "обувките на децата", "kingad lastele",
    "l'aigua d'en sabates", "zapatos dos nenos", "apavi bērniem", "batai vaikams", "pantofii copiilor şi",
    "sapatos das crianças", "پێڵاوەکان ١٢", "sko til børn", "sko til barna",
]  # fmt: skip


def test_english_is_as_it_was() -> None:
    assert analysis(LanguageConfig()) == {}
    assert text_field(LanguageConfig()) == {"type": "text", "analyzer": "english"}


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no language 'germen'") as caught:
        analysis(LanguageConfig("germen"))
    assert caught.value.hint == "Did you mean german?"
    words = tmp_path / "words.txt"
    with pytest.raises(ConfigError, match="Compounds of the language french"):
        analysis(LanguageConfig("french", compounds=words))
    with pytest.raises(UsageError, match=r"words.txt cannot be read"):
        analysis(LanguageConfig("german", compounds=words))


@pytest.mark.integration
@pytest.mark.parametrize("language", WITHOUT_PLUGIN)
def test_the_chain_is_that_of_the_built_in_analyzer(client: OpenSearch, alias: str, language: str) -> None:
    """The built-in one, folded afterwards."""
    settings = analysis(LanguageConfig(language))
    client.indices.create(index=alias, body={"settings": {"analysis": settings}})

    def tokens(body: dict[str, Any]) -> list[str]:
        return [token["token"] for token in client.indices.analyze(index=alias, body=body)["tokens"]]

    for text in TEXTS:
        ours, theirs = tokens({"analyzer": TEXT, "text": text}), tokens({"analyzer": language, "text": text})
        folded = [tokens({"tokenizer": "keyword", "filter": ["asciifolding"], "text": word})[0] for word in theirs]
        assert ours == folded, text


@pytest.mark.integration
def test_czech_is_found_in_every_inflection_and_without_accents(
    titled: Titled, found: Found, ingest: Run, client: OpenSearch, bundle: Bundle, alias: str
) -> None:
    titles = ["Nabíječka pro notebook 90W", "Baterie pro notebook", "Židle do kuchyně"]
    file = titled(titles)
    index = ingest(file, config={"language": "czech"}).index
    for query in ("nabíječka", "nabíječky", "nabijecka", "NABÍJEČKAMI", "nabijecek"):
        assert found(query) == {"1"}, query
    assert found("notebooky") == {"1", "2"}
    assert found("zidle") == {"3"}
    with pytest.raises(UsageError, match=r"texts of .* are czech, and the language is set to english") as caught:
        ingest(file)
    assert "--new-index" in str(caught.value.hint)
    publish(client, alias, index, bundle, [("Shop", "Things")], language="czech")
    properties = next(iter(client.indices.get_mapping(index=f"{alias}-categories").values()))["mappings"]["properties"]
    assert properties["name"]["fields"]["words"]["analyzer"] == TEXT


@pytest.mark.integration
@pytest.mark.parametrize(
    ("language", "title", "queries"),
    [
        ("german", "Rote Schuhe für Mädchen", ["schuh", "Mädchen", "madchen", "maedchen", "rot"]),
        ("french", "Chaussures d'été", ["chaussure", "ete", "l'été"]),
        ("spanish", "Lápices y cinturones", ["lapiz", "lápiz", "cinturón", "cinturon"]),
        ("cjk", "男性用腕時計", ["腕時計", "時計"]),
    ],
)
def test_other_languages_find_their_words(
    titled: Titled, found: Found, ingest: Run, language: str, title: str, queries: list[str]
) -> None:
    ingest(titled([title, "42"]), config={"language": language})
    for query in queries:
        assert found(query) == {"1"}, query


@pytest.mark.integration
def test_compounds_are_taken_apart_in_titles_alone(titled: Titled, found: Found, ingest: Run, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Kinder\nschuhe\nmädchen\n", encoding="utf-8")
    file = titled(["Kinderschuhe rot", "Schuhe", "Mädchenkleid"])
    ingest(file, config={"language": "german", "compounds": words})
    assert found("Schuh") == {"1", "2"}
    assert found("Kinderschuhe") == {"1"}
    assert found("madchen") == {"3"}


@pytest.mark.integration
def test_a_language_whose_plugin_the_cluster_lacks_says_which(titled: Titled, ingest: Run) -> None:
    with pytest.raises(ConfigError, match=r"polish .* plugin analysis-stempel"):
        ingest(titled(["Buty"]), config={"language": "polish"})


@pytest.mark.integration
def test_words_of_queries_have_the_stems_of_the_index(titled: Titled, ingest: Run, client: OpenSearch) -> None:
    index = ingest(titled(["Nabíječka"]), config={"language": "czech"}).index
    properties = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    stemmer = Stemmer(properties, "title")
    words = ["nabíječky", "nabijecka", "pro"]
    stemmer.learn(stemmer.unknown(words), lambda body: client.indices.analyze(index=index, body=body))
    assert [stemmer(word) for word in words] == ["nabijeck", "nabijeck", ""]
