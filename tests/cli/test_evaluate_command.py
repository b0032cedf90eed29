"""`clipita evaluate` from catalogue file to table, JSON and page, with a real bundle."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue.reader import CatalogueFile
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.evaluation.measures import MEASURES

if TYPE_CHECKING:
    from clipita.opensearch.local.node import NodeStatus


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def results(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def test_bm25_zero_shot_and_model(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--json", "all.json") == 0
    out, err = capsys.readouterr()
    document = results(tmp_path / "all.json")
    by_system = {row["system"]: row for row in document["rows"]}
    assert set(by_system) == {"bm25", "clip-ita"}
    assert "trained from scratch" in err
    assert "clip-ita" in out
    assert by_system["clip-ita"]["mode"] == "vector"
    assert by_system["bm25"]["model"] is None
    assert by_system["clip-ita"]["model"] == json.loads((tiny_bundle / "manifest.json").read_text())["fingerprint"]
    for row in document["rows"]:
        assert (row["subset"], row["where"], row["queries"]) == ("all", "offline", 11)
        assert all(0 <= row[name] <= 100 for name in MEASURES)
    assert document["products"] == 40
    assert document["command"].startswith("clipita")


def test_the_models_row_is_what_its_encoders_give(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """R-precision of one category, written out with the bundle's own encoders."""
    from clipita.runtime import Bundle, ProductEncoder, TextEncoder

    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--json", "all.json") == 0
    (told,) = [query for query in results(tmp_path / "all.json")["queries"] if query["query"] == "Plates"]
    bundle = Bundle.load(tiny_bundle)
    encoder = ProductEncoder(bundle)
    products = list(CatalogueFile(shop / "test.parquet").products())
    vectors = encoder.encode([encoder.prepare(product) for product in products])
    scores = vectors @ TextEncoder(bundle).encode(["Plates"])[0]
    order = sorted(range(len(products)), key=lambda index: -scores[index])
    right = ["Plates" in products[index].category_path for index in order]
    relevant = sum(right)
    assert told["relevant"] == relevant
    expected = pytest.approx(100 * sum(right[:relevant]) / relevant, abs=1e-3)
    assert told["systems"]["clip-ita/vector/offline"]["R-precision"] == expected


def test_queries_hold_each_systems_measures(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--json", "all.json") == 0
    document = results(tmp_path / "all.json")
    keys = {row["key"] for row in document["rows"]}
    assert {query["query"] for query in document["queries"]} >= {"Home", "Toys", "Plates", "Footballs"}
    for query in document["queries"]:
        assert set(query["systems"]) == keys
        assert query["relevant"] > 0
    for row in document["rows"]:
        mean = sum(query["systems"][row["key"]]["R-precision"] for query in document["queries"])
        assert mean / len(document["queries"]) == pytest.approx(row["R-precision"], abs=1e-3)
    assert [row["queries"] for row in document["groups"]["specific (leaves)"]] == [5, 5]


def test_it_gives_the_same_twice(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    for name in ("first.json", "second.json"):
        assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--json", name) == 0
    first, second = (results(tmp_path / name) for name in ("first.json", "second.json"))
    assert first["rows"] == second["rows"]
    assert first["queries"] == second["queries"]


def test_two_bundles_of_one_name_are_told_apart(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tiny_bundle)
    models = ("--model", tiny_bundle, "--model", tmp_path / "again")
    assert clipita("evaluate", shop / "test.parquet", *models, "--json", "all.json") == 0
    names = [row["system"] for row in results(tmp_path / "all.json")["rows"]]
    assert names == ["bm25", f"clip-ita ({tiny_bundle})", f"clip-ita ({tmp_path / 'again'})"]


def test_a_subset_asks_those_categories_alone(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle saw all categories of the shop; a new one came since."""
    table = pq.read_table(shop / "test.parquet")
    rows = table.to_pylist()
    for row in rows[:4]:
        row["category_path"] = ["Home", "Lamps"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "new.parquet")
    for subset, queries in (("all", 12), ("seen", 11), ("unseen", 1)):
        call = ("evaluate", "new.parquet", "--model", tiny_bundle, "--subset", subset, "--json", f"{subset}.json")
        assert clipita(*call) == 0
        document = results(tmp_path / f"{subset}.json")
        assert {(row["subset"], row["queries"]) for row in document["rows"]} == {(subset, queries)}
    groups = results(tmp_path / "all.json")["groups"]
    assert groups["unseen"][0]["R-precision"] == document["rows"][0]["R-precision"]
    assert [entry["query"] for entry in document["queries"]] == ["Lamps"]
    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--subset", "unseen") == 1
    assert "--hold-out-categories" in capsys.readouterr().err


def test_rows_say_how_sure_they_are(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--json", "all.json") == 0
    document = results(tmp_path / "all.json")
    for row in document["rows"]:
        low, high = row["R-precision 95%"]
        assert 0 <= low <= row["R-precision"] <= high <= 100
    (comparison,) = document["comparisons"]
    first, second = document["rows"]
    assert comparison["difference"] == pytest.approx(second["R-precision"] - first["R-precision"], abs=1e-3)
    low, high = comparison["difference 95%"]
    assert low <= comparison["difference"] <= high
    assert 0 < comparison["p"] == comparison["p (Holm)"] <= 1


def test_errors_are_told_by_kind_and_what_was_not_asked_is_counted(
    shop: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    rows = pq.read_table(shop / "test.parquet")
    kites = pa.array(["Delta Kites" not in path for path in rows["category_path"].to_pylist()])
    pq.write_table(rows.filter(kites), tmp_path / "no-kites.parquet")
    call = ("evaluate", "no-kites.parquet", "--model", tiny_bundle, "--json", "all.json")
    assert clipita(*call) == 0
    document = results(tmp_path / "all.json")
    assert [entry["key"] for entry in document["errors"]] == [row["key"] for row in document["rows"]]
    for entry in document["errors"]:
        shares = entry["share of wrong hits"]
        kinds = ("other tree", "same tree, shallower", "same tree, same level", "same tree, deeper", "no category")
        assert sum(shares[kind] for kind in kinds) == pytest.approx(100, abs=0.05)
        assert sum(pair["hits"] for pair in entry["confusions"]) == entry["wrong"]
    # The model was trained on kites, and no product here is one.
    assert document["excluded"]["names"] == ["Delta Kites", "Kites"]
    assert {query["seen"] for query in document["queries"]} == {True}


def test_products_that_lack_something_are_measured_and_the_loss_is_told(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gaps = ("--without", "image", "--without", "attributes")
    call = ("evaluate", shop / "test.parquet", "--model", tiny_bundle, *gaps)
    assert clipita(*call, "--json", "all.json", "--report", "report.html") == 0
    assert capsys.readouterr().out.count("without") == 2
    document = results(tmp_path / "all.json")
    rows = {row["without"]: row for row in document["rows"] if row["system"] == "clip-ita"}
    assert list(rows) == [None, "image", "attributes"]
    assert len({row["key"] for row in document["rows"]}) == 4
    for gap in ("image", "attributes"):
        lost = rows[None]["R-precision"] - rows[gap]["R-precision"]
        assert rows[gap]["R-precision loss"] == pytest.approx(lost, abs=1e-3)
    assert rows["image"]["R-precision"] != rows[None]["R-precision"], "this shop's pictures tell more than its words"
    assert len(document["comparisons"]) == 1, "systems are compared on whole products"
    assert "without image" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert clipita("evaluate", shop / "test.parquet", "--without", "image") == 2


def test_json_to_stdout_is_all_of_stdout(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--json", "-") == 0
    out, err = capsys.readouterr()
    assert [row["system"] for row in json.loads(out)["rows"]] == ["bm25"]
    assert "There is no bundle model, so only BM25 is measured" in err
    assert not Path("-").exists()


def test_the_page(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--model", tiny_bundle, "--report", "report.html") == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count('<article class="query"') == 11
    assert 8 <= html.count("data:image/jpeg;base64") <= 40
    assert "Cutting Boards" in html
    assert not list(tmp_path.glob(".draft-*"))


def test_settings_name_catalogue_and_bundle(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clipita.toml").write_text(
        f'[catalogue]\ntest = "{shop / "test.parquet"}"\n[export]\nbundle = "{tiny_bundle}"\n'
        '[search]\nfields = ["title^2", "brand"]\n'
    )
    assert clipita("evaluate", "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["system"] for row in document["rows"]] == ["bm25", "clip-ita"]
    assert document["search"]["fields"] == ["title^2", "brand"]


def test_unusable_products_are_told_and_left_out(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pq.read_table(shop / "test.parquet")
    rows = table.to_pylist()
    rows[3]["image"] = {"bytes": b"no picture", "path": "x.jpg"}
    rows[5]["product_id"] = rows[4]["product_id"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "bad.parquet")
    assert clipita("evaluate", "bad.parquet", "--model", tiny_bundle, "--json", "all.json") == 3
    document = results(tmp_path / "all.json")
    assert document["products"] == 38
    assert {(item["row"], item["id"]) for item in document["rejected"]} == {
        (4, rows[3]["product_id"]),
        (6, rows[4]["product_id"]),
    }
    assert "2 products cannot be used and are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "No catalogue is named"),
        (("none.parquet",), 1, "There is no catalogue file none.parquet"),
        (("{test}", "--model", "nowhere"), 1, "nowhere is not a model bundle"),
        (("{test}", "--json", "no/such/folder.json"), 2, "there is no folder"),
        (("{test}", "--report", "."), 2, "is a folder"),
        (("{test}", "--json", "{test}"), 2, "is the catalogue itself"),
        (("{test}", "--url", "http://localhost:1"), 2, "Add --index"),
        (("{test}", "--index", "products", "--url", "http://127.0.0.1:1"), 1, "Nothing answers"),
        (("{test}", "--category-field", "colour_of_it"), 2, "colour_of_it"),
    ],
)
def test_errors_say_what_to_do(
    arguments: tuple[str, ...], code: int, words: str, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("{test}", str(shop / "test.parquet")) for argument in arguments]
    assert clipita("evaluate", *given) == code
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def live(node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An alias whose index holds the products of the shop's train and test files."""
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

    client = connect(OpenSearchConfig(url=node.url))
    alias = f"evaluate-{uuid.uuid4().hex[:8]}"
    settings = IngestConfig(rejected=tmp_path_factory.mktemp("evaluate") / "rejected.jsonl")
    files = [CatalogueFile(shop / name) for name in ("train.parquet", "test.parquet")]
    Ingest(client, Bundle.load(tiny_bundle), settings, alias=alias).run(files)
    client.indices.refresh(index=alias)
    yield alias
    client.indices.delete(index=f"{alias}-*")
    client.close()


@pytest.mark.integration
def test_live_rows_agree_with_offline_ones(
    live: str, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--index", live, "--url", node.url)
    arguments = ("--model", tiny_bundle, *where, "--json", "all.json", "--report", "report.html")
    assert clipita("evaluate", shop / "test.parquet", *arguments) == 0
    document = results(tmp_path / "all.json")
    rows = {(row["system"], row["mode"], row["where"]): row for row in document["rows"]}
    assert set(rows) == {
        ("bm25", "lexical", "offline"),
        ("clip-ita", "vector", "offline"),
        ("bm25", "lexical", "live"),
        ("clip-ita", "vector", "live"),
        ("clip-ita", "hybrid", "live"),
    }
    # 40 products: the k-NN search looks at all of them, so it ranks as the exact search does.
    for name in MEASURES:
        offline, online = (rows["clip-ita", "vector", place][name] for place in ("offline", "live"))
        assert online == pytest.approx(offline, abs=1e-3)
    assert document["live"]["documents"] == 160
    assert document["live"]["documents_not_evaluated"] == 120
    assert "holds 120 documents that are not in the evaluated catalogue" in capsys.readouterr().err
    assert "clip-ita hybrid" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.integration
def test_products_that_the_index_lacks_are_told(
    live: str, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--index", live, "--url", node.url)
    assert clipita("evaluate", shop / "valid.parquet", "--model", tiny_bundle, *where) == 1
    assert "holds none of the 40 evaluated products" in capsys.readouterr().err
    rows = pq.read_table(shop / "valid.parquet").slice(0, 3)
    mixed = pa.concat_tables([pq.read_table(shop / "test.parquet"), rows])
    pq.write_table(mixed, tmp_path / "mixed.parquet")
    assert clipita("evaluate", "mixed.parquet", "--model", tiny_bundle, *where, "--json", "all.json") == 0
    assert "3 of the 43 evaluated products are NOT in the index" in capsys.readouterr().err
    assert len(results(tmp_path / "all.json")["live"]["products_not_indexed"]) == 3


@pytest.mark.integration
def test_an_index_without_a_bundle_is_measured_by_words(
    live: str, node: NodeStatus, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--index", live, "--url", node.url, "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert [(row["system"], row["where"]) for row in document["rows"]] == [("bm25", "offline"), ("bm25", "live")]


@pytest.mark.integration
def test_no_such_index(node: NodeStatus, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("evaluate", shop / "test.parquet", "--index", "nothing-here", "--url", node.url) == 1
    assert "There is no index nothing-here" in capsys.readouterr().err


def test_bm25_follows_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    titles = ["Nabíječka pro notebook", "nabijecka 90W", "Rychlá nabíječka", "Baterie", "Židle", "Stůl"]
    rows = [f"{number},{title},Obchod > {'Nabíječky' if number < 3 else 'Jiné'}" for number, title in enumerate(titles)]
    (tmp_path / "shop.csv").write_text("product_id,title,category_path\n" + "\n".join(rows), encoding="utf-8")

    def measured(*flags: str) -> float:
        assert clipita("evaluate", "shop.csv", "--json", "all.json", *flags) == 0
        found = next(query for query in results(tmp_path / "all.json")["queries"] if query["query"] == "Nabíječky")
        (values,) = found["systems"].values()
        return float(values["R-precision"])

    assert measured() == 0
    assert measured("--language", "czech") == 100
    (tmp_path / "clipita.toml").write_text('[ingest]\nlanguage = "czech"\n')
    assert measured() == 100
    assert clipita("evaluate", "shop.csv", "--language", "chech") == 2
    assert "Did you mean czech?" in capsys.readouterr().err
