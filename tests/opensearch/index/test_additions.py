"""A category by examples: in the bundle, beside the index, in every search, and after the next ingest."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.categories import add_categories, add_category, list_categories, name_categories, remove_category
from clipita.config import IngestConfig
from clipita.errors import FingerprintError, UsageError
from clipita.opensearch import ProductSearch
from clipita.opensearch.index.categories import load
from clipita.runtime import Bundle, TextEncoder

pytestmark = pytest.mark.integration

PATH = ("Home", "Clogs")
IDS = [f"clog{number}" for number in range(12)]


@dataclass
class Shop:
    client: OpenSearch
    alias: str
    model: Path
    files: list[Path]
    folder: Path

    def ingest(self, model: Path, *more: Path, **options: Any) -> str:
        config = IngestConfig(rejected=self.folder / "rejected.jsonl")
        files = [*self.files, *more]
        return clipita.ingest(files, cluster=self.client, index=self.alias, model=model, config=config, **options).index

    def vector(self, path: tuple[str, ...] = PATH) -> Any:
        index = next(iter(self.client.indices.get_alias(name=self.alias)))
        return next((entry for entry in load(self.client, index) if entry.path == path), None)

    @property
    def where(self) -> dict[str, Any]:
        return {"cluster": self.client, "index": self.alias, "model": self.model}


def clogs(file: Path, ids: list[str], **fields: Any) -> Path:
    rows = [{"product_id": one, "title": f"wooden clog number {one}", "price": 20.0, **fields} for one in ids]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def our_shop(client: OpenSearch, alias: str, gated_bundle: Path, shop: Path, tmp_path: Path) -> Shop:
    shutil.copytree(gated_bundle, tmp_path / "model")
    files = [shop / "train.parquet", shop / "valid.parquet", clogs(tmp_path / "clogs.jsonl", IDS)]
    found = Shop(client, alias, tmp_path / "model", files, tmp_path)
    found.ingest(found.model)
    return found


def test_an_added_category_is_a_category_everywhere(our_shop: Shop, gated_bundle: Path) -> None:
    count = our_shop.client.count(index=our_shop.alias)["count"]
    added = add_category("Home > Clogs", IDS[:5], **our_shop.where)
    assert (added.path, added.examples) == (PATH, tuple(IDS[:5]))
    stored = our_shop.vector()
    assert stored.added
    np.testing.assert_allclose(stored.vector, added.vector, atol=1e-5)
    assert list(stored.thresholds) == pytest.approx(sorted(added.thresholds))

    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    np.testing.assert_allclose(search.vector("clogs"), stored.vector, atol=1e-3)
    np.testing.assert_allclose(search.vector("buy clogs online"), stored.vector, atol=1e-3)
    page = search(category="Clogs", size=100)
    assert len({hit.id for hit in page.hits} & set(IDS)) >= 6
    assert page.total == len(page.hits)
    assert {hit.id for hit in search("clogs", size=100).hits} == {hit.id for hit in page.hits}
    assert "No product is labelled with Clogs yet" in " ".join(page.remarks)
    assert search(category="Clogs", members="labelled").total == 0
    assert search(category="Clogs", members="both", size=100).total == page.total
    # Categories that make room are the same in the bundle, beside the index and in a query.
    moved = Bundle.load(our_shop.model).amendments.moved
    for name, (learnt, after) in moved.items():
        entry = next(entry for entry in search.categories if entry.name == name)
        np.testing.assert_allclose(entry.vector, after, atol=1e-5)
        np.testing.assert_allclose(search.vector(name), after, atol=2e-3)
        np.testing.assert_allclose(TextEncoder(Bundle.load(gated_bundle)).encode([name])[0], learnt, atol=1e-5)

    # Neither a later ingest nor one with the bundle as it was exported takes it away, nor a new index.
    for model, options in (
        (our_shop.model, {}),
        (gated_bundle, {}),
        (our_shop.model, {"new_index": True}),
    ):
        our_shop.ingest(model, **options)
        kept = our_shop.vector()
        assert kept.added
        np.testing.assert_allclose(kept.vector, stored.vector, atol=1e-5)
        assert kept.thresholds == pytest.approx(stored.thresholds)
    assert our_shop.client.count(index=our_shop.alias)["count"] == count

    # Once products are labelled with it, the page holds exactly these.
    more = clogs(our_shop.folder / "more.jsonl", ["more1", "more2"], category_path=list(PATH))
    our_shop.ingest(our_shop.model, more)
    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    page = search(category="Clogs")
    assert ({hit.id for hit in page.hits}, page.total, page.remarks) == ({"more1", "more2"}, 2, ())
    assert remove_category("clogs", **our_shop.where).endswith("so its page stays.")
    assert not our_shop.vector().added


def test_removing_undoes_it(our_shop: Shop) -> None:
    index = next(iter(our_shop.client.indices.get_alias(name=our_shop.alias)))
    before = {entry.path: entry.vector for entry in load(our_shop.client, index)}
    add_category(PATH, IDS[:5], **our_shop.where)
    add_category("Home > Clogs > Garden Clogs", IDS[5:8], **our_shop.where)
    name_categories([("Clogs", "Holzschuhe", "de"), ("Kites", "Drachen", "de")], model=our_shop.model)
    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    assert search(category="Holzschuhe").total == search(category="Clogs").total > 0
    with pytest.raises(UsageError, match="Garden Clogs stands below Home > Clogs"):
        remove_category("Home > Clogs", **our_shop.where)
    remove_category("Garden Clogs", **our_shop.where)
    assert remove_category("Home > Clogs", **our_shop.where) == "Home > Clogs is removed."
    after = {entry.path: entry.vector for entry in load(our_shop.client, index)}
    assert after.keys() == before.keys()
    for path, vector in before.items():
        np.testing.assert_allclose(after[path], vector, atol=1e-5)
    left = list_categories(our_shop.model)
    assert ([name.text for name in left.names], left.new, left.moved) == (["Drachen"], (), {})
    assert remove_category("drachen", model=our_shop.model) == "'drachen' names no category any more."
    with pytest.raises(UsageError, match="'Kites' was not added"):
        remove_category("Kites", model=our_shop.model)


def test_examples_may_come_from_a_file(our_shop: Shop) -> None:
    file = clogs(our_shop.folder / "new.jsonl", ["n1", "n2", "n3"], category_path=["Home", "Clogs"])
    with file.open("a") as stream:
        stream.write(json.dumps({"product_id": "k", "title": "a kite", "category_path": ["Toys", "Kites"]}) + "\n")
        stream.write(json.dumps({"product_id": "m", "title": "a mug", "category_path": ["Home", "Mugs"]}) + "\n")
    with pytest.raises(UsageError, match="no product of Home > Bowls"):
        add_categories(file, "Home > Bowls", **our_shop.where)
    added = add_categories(file, **our_shop.where)
    assert {one.path: one.examples for one in added} == {PATH: ("n1", "n2", "n3"), ("Home", "Mugs"): ("m",)}
    assert our_shop.vector(("Home", "Mugs")).added
    with pytest.raises(UsageError, match="a new category"):
        add_categories(file, **our_shop.where)


def test_what_is_refused_changes_nothing(our_shop: Shop) -> None:
    add_category("Home > Wooden", IDS[:2], **our_shop.where)
    name_categories([("Kites", "Drachen", "de")], model=our_shop.model)
    before = list_categories(our_shop.model)
    for path, like, said in (
        ("Home > Clogs", ["clog1", "nobody", "p-x"], "no product with a vector of the id nobody, p-x"),
        ("Home > Clogs", [], "No example is given"),
        ("Toys > Kites", ["clog1"], "Toys > Kites exists already.*Training saw it"),
        ("Home > Kites", ["clog1"], "'Kites' is a name of Toys > Kites already"),
        ("Home > Wooden", ["clog1"], r"Home > Wooden exists already.*categories remove 'Home > Wooden'"),
        ("Home > Drachen", ["clog1"], "'Drachen' is a name of Toys > Kites already"),
        ("Shoes > Clogs", ["clog1"], "no category Shoes to put Clogs in"),
        ("Home > ", ["clog1"], "has an empty name"),
    ):
        with pytest.raises(UsageError, match=said):
            add_category(path, like, **our_shop.where)
    assert list_categories(our_shop.model) == before


def test_the_index_must_be_of_the_same_model(our_shop: Shop, tiny_bundle: Path, tmp_path: Path) -> None:
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl")
    other = f"{our_shop.alias}x"
    clipita.ingest(our_shop.files[1], cluster=our_shop.client, index=other, model=tiny_bundle, config=config)
    with pytest.raises(FingerprintError):
        add_category(PATH, ["p0120"], cluster=our_shop.client, index=other, model=our_shop.model)


def test_an_added_name_finds_titles_with_the_category_s_own_name(our_shop: Shop) -> None:
    file = our_shop.folder / "plates.jsonl"
    file.write_text(json.dumps({"product_id": "plate", "title": "kites of silk"}) + "\n")
    our_shop.ingest(our_shop.model, file)
    name_categories([("Kites", "Drachen", "de")], model=our_shop.model)
    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    assert search.rank("Drachen", mode="lexical")[0] == "plate"
    assert "plate" in {hit.id for hit in search("blaue Drachen", size=100, explain=True).hits}
    assert search("Drachen", category="Kites").query == "Drachen"
    assert not ProductSearch(our_shop.client, our_shop.alias).rank("Drachen", mode="lexical")


def test_added_names_win_over_values_of_fields(our_shop: Shop) -> None:
    file = our_shop.folder / "lines.jsonl"
    rows = [{"product_id": f"line-{number}", "title": "plate", "line": "Drachen"} for number in range(2)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    our_shop.ingest(our_shop.model, file)
    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    assert [part.field for part in search("drachen").understood] == ["line"]
    name_categories([("Kites", "Drachen", "de")], model=our_shop.model)
    search = ProductSearch(our_shop.client, our_shop.alias, our_shop.model)
    assert search("drachen").understood == ()
