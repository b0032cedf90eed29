"""Synonyms of an index on a real node: what is found with them, renewed while the products stay, and refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.index.lock import AliasLock
from clipita.opensearch.index.synonyms import put_synonyms
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.local.node import NodeStatus
from clipita.word_files import Rule, read_synonyms

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Titled = Callable[[Sequence[str]], Path]
Found = Callable[[str], set[str]]
TITLES = ["Red couch", "Sofa for two", "Tee shirt", "Lamp with 3,5 mm plug", "Couch table"]


@pytest.fixture
def synonyms(tmp_path: Path) -> Callable[..., Path]:
    def lines(*rules: str) -> Path:
        file = tmp_path / "synonyms.txt"
        file.write_text("\n".join(rules), encoding="utf-8")
        return file

    return lines


def test_an_index_is_renewed_without_writing_its_products(
    titled: Titled, found: Found, ingest: Run, client: OpenSearch, synonyms: Callable[..., Path]
) -> None:
    catalogue = titled(TITLES)
    index = ingest(catalogue).index
    assert found("sofas") == {"2"}

    def put(*rules: str) -> float:
        file = synonyms(*rules)
        return put_synonyms(client, index, read_synonyms(file), file)

    # Any inflection is found in the rules, phrases with stop words too, and commas.
    assert put("sofa, couch", "top of the kind => tee shirt", "jack, 3\\,5 mm plug") > 0
    assert found("sofas") == {"1", "2", "5"}
    assert found("the top of a kind") == {"3"}
    assert found("jacks") == {"4"}
    put("tees, lamp")
    assert found("sofas") == {"2"}
    assert found("lamps") == {"3", "4"}
    put()
    assert found("lamps") == {"4"}
    assert {outcome.value: count for outcome, count in ingest(catalogue).counts.items() if count} == {"unchanged": 5}


def test_bad_rules_are_refused_before_the_index_is_closed(
    titled: Titled, ingest: Run, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ingest(titled(TITLES)).index
    closed: list[Any] = []
    monkeypatch.setattr(client.indices, "close", lambda **options: closed.append(options))
    with pytest.raises(UsageError, match=r"f.txt: line 2 has a phrase without a word .*: 'the'; line 3 .*: '!!!'"):
        put_synonyms(client, index, [Rule(1, ("a b", "c")), Rule(2, ("the", "x")), Rule(3, ("y",), ("!!!",))], "f.txt")
    assert closed == []


def test_the_index_is_open_again_after_a_refusal(
    titled: Titled, found: Found, ingest: Run, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ingest(titled(TITLES)).index
    wrong = {"analyzer": {"clipita_search": {"type": "custom", "tokenizer": "none"}}}
    monkeypatch.setattr("clipita.opensearch.index.synonyms.searched_with", lambda *_: wrong)
    with pytest.raises(ClusterError, match="Failed to build analyzers"):
        put_synonyms(client, index, [Rule(1, ("sofa", "couch"))], "f.txt")
    assert found("sofas") == {"2"}


def test_a_new_index_has_the_synonyms_of_the_settings(
    titled: Titled,
    found: Found,
    ingest: Run,
    client: OpenSearch,
    alias: str,
    synonyms: Callable[..., Path],
    tmp_path: Path,
) -> None:
    czech = {"language": "czech", "synonyms": synonyms("nabíječka, adaptér")}
    ingest(titled(["Nabíječka pro notebook", "Baterie"]), config=czech)
    assert found("adaptéry") == {"1"}
    bad = synonyms("nabíječka, adaptér", "nabíječka")
    with pytest.raises(UsageError, match="line 2 has one phrase alone"):
        ingest(tmp_path / "shop.csv", config={"language": "czech", "synonyms": bad}, new_index=True)
    assert len(client.indices.get(index=f"{alias}-*")) == 1


def test_compounds_and_synonyms_go_together(
    titled: Titled, found: Found, ingest: Run, client: OpenSearch, synonyms: Callable[..., Path], tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("kinder\nschuhe\n")
    config = {"language": "german", "compounds": words, "synonyms": synonyms("treter, schuhe")}
    index = ingest(titled(["Kinderschuhe", "Schuhe"]), config=config).index
    assert found("Treter") == {"1", "2"}
    put_synonyms(client, index, [], "f.txt")
    assert found("Treter") == set()
    assert found("Schuhe") == {"1", "2"}
    assert found("Kinderschuhe") == {"1"}


def test_the_command_says_how_long_the_index_was_closed(titled: Titled, found: Found,
    ingest: Run, client: OpenSearch, node: NodeStatus, alias: str, synonyms: Callable[..., Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    ingest(titled(TITLES))
    command = ["index", "synonyms", str(synonyms("sofa, couch")), "--index", alias, "--url", node.url]
    assert run_guarded(group, command) == 0
    out, err = capsys.readouterr()
    assert f"{alias} is searched with 1 rules; it was closed for" in out
    assert "under [ingest]" in err
    assert found("sofas") == {"1", "2", "5"}
    with AliasLock(client, alias):
        assert run_guarded(group, command) == 1
    assert "Another ingest writes" in capsys.readouterr().err
    assert run_guarded(group, ["index", "synonyms"]) == 2
    assert "No file of synonyms" in capsys.readouterr().err


def test_a_copied_index_keeps_its_own_analyzers(
    client: OpenSearch, alias: str, synonyms: Callable[..., Path], gated_bundle: Path, tmp_path: Path
) -> None:
    from clipita.config import FieldsConfig, IngestConfig
    from clipita.opensearch.ingest.index_source import IndexSource
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

    own = {"type": "custom", "tokenizer": "whitespace", "filter": ["lowercase"]}
    title = {"type": "text", "analyzer": "own"}
    client.indices.create(
        index=f"{alias}-shop",
        body={"settings": {"analysis": {"analyzer": {"own": own}}}, "mappings": {"properties": {"title": title}}},
    )
    client.index(index=f"{alias}-shop", id="1", body={"title": "Nabíječka"}, params={"refresh": "true"})
    shutil.copytree(gated_bundle, tmp_path / "model")
    config = IngestConfig(
        language="czech", synonyms=synonyms("a, b"), rejected=tmp_path / "r", image_warnings=tmp_path / "w"
    )
    run = Ingest(client, Bundle.load(tmp_path / "model"), config, alias=alias)
    copy = run.run(IndexSource(client, f"{alias}-shop", FieldsConfig(), None)).index
    found_there = client.indices.get(index=copy)[copy]
    assert found_there["settings"]["index"]["analysis"]["analyzer"] == {"own": own}
    assert found_there["mappings"]["properties"]["title"] == title
    assert "language" not in found_there["mappings"]["_meta"]["clipita"]
    with pytest.raises(UsageError, match="the shop's own fields and analyzers"):
        put_synonyms(client, copy, [Rule(1, ("a", "b"))], "f.txt")
