"""`clipita tune`: what it computes is what the index ranks, and what it finds reaches file, index and search."""

from __future__ import annotations

import json
import sys
import threading
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipita import config
from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.cli.tune import with_values
from clipita.errors import UsageError
from clipita.evaluation.protocol import TreeProtocol
from clipita.opensearch.index.index import remember
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.quality.tuning import FOLDS, PIVOTS, SHARES, Parts, Setting, collect, draw, pivots_of, tune
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.defaults import settings_for
from clipita.opensearch.search.fusion import FUSIONS

if TYPE_CHECKING:
    from conftest import Live

TITLE = ("title",)
WORDS = {"multi_match": {"query": "{{query}}", "fields": ["title^3", "attributes_text"]}}
BY_SALES: dict[str, Any] = {
    "function_score": {"query": WORDS, "functions": [{"field_value_factor": {"field": "sales", "missing": 90}}]}
}
FILTER = {"bool": {"filter": [{"match": {"title": "{{query}}"}}]}}


@pytest.fixture
def protocol(shop: Path) -> TreeProtocol:
    return TreeProtocol(CatalogueFile(shop / "valid.parquet").products())


@pytest.mark.integration
@pytest.mark.parametrize(
    ("setting", "fusion"),
    [
        (Setting(TITLE, 0.3, 2.0), "saturation"),
        (Setting(("title^2", "attributes_text"), 0.8, 10.0), "saturation"),
        (Setting(TITLE, 0.3, 10.0), "min_max"),
        (Setting(TITLE, 0.6, 10.0), "rrf"),
    ],
)
def test_the_simulated_scores_are_the_clusters(
    live: Live, protocol: TreeProtocol, setting: Setting, fusion: str
) -> None:
    parts = collect(live.search, protocol, [setting.fields])
    assert len(parts) == len(protocol.queries) > FOLDS
    for query, part in zip(protocol.queries, parts, strict=True):
        simulated = part.fused(setting, FUSIONS[fusion])
        found = live.search(
            query.text, weight=setting.weight, pivot=setting.pivot, fields=setting.fields, fusion=fusion,
            size=100, filters={"product_id": protocol.ids},
        )  # fmt: skip
        for hit in found.hits:
            assert simulated[protocol.positions[hit.id]] == pytest.approx(hit.score, abs=2e-5)
        assert found.total == np.isfinite(simulated).sum()


@pytest.mark.integration
@pytest.mark.parametrize("clause", [BY_SALES, FILTER])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_simulated_scores_of_a_clause_are_the_clusters(
    live: Live, protocol: TreeProtocol, tiny_bundle: Path, clause: dict[str, Any], fusion: str
) -> None:
    search = ProductSearch(live.client, "search-shop", tiny_bundle, {"lexical": clause, "fusion": fusion})
    setting = Setting(TITLE, 0.6, 700.0)
    parts = collect(search, protocol, [TITLE])
    for query, part in zip(protocol.queries, parts, strict=True):
        simulated = part.fused(setting, FUSIONS[fusion])
        found = search(query.text, weight=0.6, pivot=700.0, size=100, filters={"product_id": protocol.ids})
        for hit in found.hits:
            assert simulated[protocol.positions[hit.id]] == pytest.approx(hit.score, abs=2e-5)
        assert found.total == np.isfinite(simulated).sum()
    pivots = pivots_of("saturation", 10.0, parts)
    if clause is FILTER:
        assert pivots == PIVOTS
    else:
        best = np.median([score for part in parts if (score := part.bm25[TITLE].max()) > 0])
        assert best > 100
        assert pivots == pytest.approx([best * share for share in SHARES], rel=0.01)
    assert pivots_of("rrf", 10.0, parts) == (10.0,)


def made_up(words: float, vectors: float, count: int = 40, seed: int = 1) -> tuple[TreeProtocol, list[Parts]]:
    """Categories whose halves rank right with a given reliability."""
    chance = np.random.default_rng(seed)
    products = [Product(f"p{number:03d}", category_paths=((f"c{number % count}",),)) for number in range(count * 8)]
    protocol = TreeProtocol(products)
    parts = []
    for query in protocol.queries:
        right = np.zeros(len(products))
        right[query.relevant] = 1
        bm25 = np.maximum(0, words * right + chance.normal(0, 1, len(products)))
        cosine = np.clip(0.2 * vectors * right + chance.normal(0, 0.2, len(products)), -1, 1)
        parts.append(Parts({TITLE: bm25}, cosine))
    return protocol, parts


def test_two_imperfect_halves_are_fused() -> None:
    tuning = tune(*made_up(words=2.0, vectors=2.0), Setting(TITLE, 0.8, 10.0))
    assert 0.2 < tuning.best.weight < 0.95
    assert tuning.hybrid > max(tuning.lexical, tuning.vector) + 5
    assert tuning.pays
    assert tuning.verdict.startswith("Hybrid pays: +")
    assert max(tuning.curve, key=lambda weight: tuning.curve[weight]) == tuning.best.weight
    assert len(tuning.chosen) == FOLDS


def test_hybrid_that_does_not_pay_is_said_so() -> None:
    tuning = tune(*made_up(words=0.0, vectors=9.0), Setting(TITLE, 0.5, 10.0))
    assert tuning.vector > 99
    assert not tuning.pays
    assert "does not pay" in tuning.verdict
    assert "mode = 'vector'" in tuning.verdict
    lexical = tune(*made_up(words=9.0, vectors=0.0), Setting(TITLE, 0.5, 10.0))
    assert "mode = 'lexical'" in lexical.verdict


def test_noise_gains_nothing_on_held_out_categories() -> None:
    """Chosen on the same categories, the best of 147 settings looks better than it is."""
    tuning = tune(*made_up(words=0.0, vectors=0.0, count=15), Setting(TITLE, 0.5, 10.0))
    assert tuning.hybrid < max(tuning.curve.values())


def test_too_few_categories() -> None:
    protocol, parts = made_up(1.0, 1.0, count=4)
    with pytest.raises(UsageError, match="4 categories are too few"):
        tune(protocol, parts, Setting(TITLE, 0.5, 10.0))


def test_the_picture_is_whole() -> None:
    tuning = tune(*made_up(2.0, 2.0), Setting(TITLE, 0.8, 10.0))
    root = ET.fromstring(draw(tuning))
    points = [entry.get("points", "") for entry in root.iter() if entry.tag.endswith("polyline")]
    assert len(points[0].split()) == len(tuning.curve) == 21
    heights = [float(point.partition(",")[2]) for point in points[0].split()]
    assert heights.index(min(heights)) == list(tuning.curve).index(tuning.best.weight)


def command(node: NodeStatus, bundle: Path, *words: str) -> list[str]:
    return ["tune", "--index", "search-shop", "--url", node.url, "--model", str(bundle), *words]


def untuned(live: Live) -> None:
    """Leave the index to other tests as it was."""
    remember(live.client, live.search.index.name, search={})
    remember(live.client, f"{live.search.index.name}-categories", thresholds=None)
    live.search.refresh()


@pytest.mark.integration
def test_the_command_writes_file_and_index(
    live: Live, protocol: TreeProtocol, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clipita.toml").write_text(
        "# mine\n[search]\n# weight_known = 0.8\nsize = 12\n[ingest]\nbatch_size = 8\n"
    )
    fields = ["--search-fields", "title", "--search-fields", "title^2, attributes_text"]
    arguments = command(node, tiny_bundle, "--catalogue", str(shop / "valid.parquet"), *fields)
    assert run_guarded(group, [*arguments, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["queries"] == len(protocol.queries)
    assert "weight_known = " not in (tmp_path / "clipita.toml").read_text().replace("# weight", "")
    try:
        assert run_guarded(group, arguments) == 0
        out, err = capsys.readouterr()
        assert "◀ best" in out
        assert "held-out categories" in out
        assert "Written to [search] of clipita.toml" in err
        ET.fromstring((tmp_path / "tuning.svg").read_text())
        text = (tmp_path / "clipita.toml").read_text()
        assert text.startswith("# mine\n[search]\n")
        found = config.load().search
        best = document["best"]
        assert (found.weight, found.weight_known, found.pivot) == (None, best["weight"], best["pivot"])
        # The tiny model has no gate, so nothing says how it ranks unknown names.
        assert document["weight_unknown"] is None
        assert found.weight_unknown == config.SearchConfig.weight_unknown
        assert found.fields == tuple(best["fields"])
        assert found.size == 12
        assert config.load().ingest.batch_size == 8
        fresh = ProductSearch(live.client, "search-shop", tiny_bundle)
        assert (fresh.config.weight_known, fresh.config.pivot, fresh.config.fields) == (
            found.weight_known, found.pivot, found.fields,
        )  # fmt: skip
        assert fresh.categories.general == tuple(document["thresholds"]["general"])
        kept = ProductSearch(live.client, "search-shop", tiny_bundle, config.SearchConfig(weight=0.123))
        assert kept.config.weight == 0.123
    finally:
        untuned(live)


@pytest.mark.integration
def test_a_clause_is_tuned_and_kept(
    live: Live, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "query.json").write_text(json.dumps(BY_SALES))
    (tmp_path / "clipita.toml").write_text("[search]\nsize = 12\n\n[ingest]\nbatch_size = 8\n")
    arguments = command(node, tiny_bundle, "--catalogue", str(shop / "valid.parquet"), "--lexical", "query.json")
    assert run_guarded(group, [*arguments, "--search-fields", "title"]) == 2
    assert "--search-fields are both given" in capsys.readouterr().err
    try:
        assert run_guarded(group, arguments) == 0
        out = capsys.readouterr().out
        assert "your clause alone" in out
        assert out.partition("Best for the fusion saturation: ")[2].partition("\n")[0].endswith(", your clause")
        assert "your clause" in (tmp_path / "tuning.svg").read_text()
        found = config.load().search
        assert (found.lexical, found.size, config.load().ingest.batch_size) == (BY_SALES, 12, 8)
        fresh = ProductSearch(live.client, "search-shop", tiny_bundle)
        assert (fresh.config.lexical, fresh.config.pivot) == (BY_SALES, found.pivot)
        assert found.pivot > max(PIVOTS) or found.weight == 1
        # Tuned again, without the flag, it is still the clause.
        assert run_guarded(group, [*arguments[:-2], "--dry-run"]) == 0
        assert "your clause alone" in capsys.readouterr().out
        (tmp_path / "clipita.toml").write_text("[search]\nsize = 12\n")
        assert run_guarded(group, [*arguments[:-2], "--search-fields", "title"]) == 0
        assert "BM25 alone" in capsys.readouterr().out
        assert ProductSearch(live.client, "search-shop", tiny_bundle).config.lexical is None
        (tmp_path / "query.json").write_text('{"mtch": {"title": "{{query}}"}}')
        assert run_guarded(group, arguments) == 1
        assert "The clause given as `lexical` is refused" in capsys.readouterr().err
    finally:
        untuned(live)


_opened: list[str] = []
_watching = threading.Event()


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching.is_set():
        _opened.append(str(arguments[0]))


@pytest.mark.integration
def test_tuning_opens_no_test_file(
    live: Live, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings name the test file beside the one to tune on, and who opened it would fail."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"whoever opens this fails")
    (tmp_path / "clipita.toml").write_text(f'[catalogue]\nvalid = "{shop / "valid.parquet"}"\ntest = "test.parquet"\n')
    sys.addaudithook(_hook)
    _watching.set()
    try:
        common = command(node, tiny_bundle, "--dry-run")
        assert run_guarded(group, common) == 0
    finally:
        _watching.clear()
    opened = {Path(name).name for name in _opened}
    assert "valid.parquet" in opened
    assert "test.parquet" not in opened


@pytest.mark.integration
def test_the_configured_fusion_is_tuned_and_named(
    live: Live, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clipita.toml").write_text('[search]\nfusion = "rrf"\npivot = 7.0\n')
    common = command(node, tiny_bundle, "--dry-run")
    assert run_guarded(group, [*common, "--catalogue", str(shop / "valid.parquet")]) == 0
    assert "Best for the fusion rrf: " in (out := capsys.readouterr().out)
    # Ranks know no pivot: it stays as it is.
    assert "pivot 7, " in out


@pytest.mark.integration
def test_what_cannot_be_tuned_on(
    live: Live, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    common = command(node, tiny_bundle, "--dry-run")
    assert run_guarded(group, common) == 2
    assert "No catalogue is named" in capsys.readouterr().err
    (tmp_path / "clipita.toml").write_text(f'[catalogue]\ntest = "{shop}/test.parquet"\n')
    assert run_guarded(group, [*common, "--catalogue", str(shop / "test.parquet")]) == 2
    assert "test catalogue, on which nothing may be tuned" in capsys.readouterr().err
    strangers = tmp_path / "strangers.jsonl"
    strangers.write_text('{"product_id": "nobody", "title": "a", "category_path": ["A", "B"]}\n')
    assert run_guarded(group, [*common, "--catalogue", str(strangers)]) == 1
    assert "holds none of the 1 products" in capsys.readouterr().err


def test_what_is_configured_goes_over_what_is_stored_setting_by_setting() -> None:
    meta = {"search": {"weight": 0.25, "k": 50, "fields": ["title^2"], "measure": "mAP@10"}}
    found = settings_for(meta, {"k": 70})
    assert found == config.SearchConfig(weight=0.25, k=70, fields=("title^2",))
    assert settings_for(meta, config.SearchConfig()) == config.SearchConfig()


def test_settings_of_an_index_without_tuning_are_the_defaults() -> None:
    assert settings_for({}) == config.SearchConfig()
    stored = {"search": {"weight": 0.25, "fields": ["title^2"], "value": 93.0, "future": 1}}
    assert settings_for(stored) == config.SearchConfig(weight=0.25, fields=("title^2",))


VALUES: dict[str, Any] = {"weight": 0.35, "fields": ["title^2", 'a"b']}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[search]\nweight = 0.35\nfields = ["title^2", "a\\"b"]\n'),
        (
            "# top\n[search] # why\nweight = 0.8 # old\n\n# fields = [\"title\"]\n[a]\nk = 5\n# fields = 1\n",
            '# top\n[search] # why\nweight = 0.35 # old\n\nfields = ["title^2", "a\\"b"]\n[a]\nk = 5\n# fields = 1\n',
        ),
        ("[a]\nb = 1\n", '[a]\nb = 1\n\n[search]\nweight = 0.35\nfields = ["title^2", "a\\"b"]\n'),
        (
            '[search]\nfields = [\n  "title", # mine\n]\n[a]\nb = 1\n',
            '[search]\nfields = ["title^2", "a\\"b"]\nweight = 0.35\n[a]\nb = 1\n',
        ),
    ],
)  # fmt: skip
def test_values_are_set_and_comments_stay(before: str, after: str) -> None:
    assert with_values(before, "search", VALUES) == after
    assert tomllib.loads(after)["search"] == VALUES
