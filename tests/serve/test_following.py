"""The server goes along with its alias: to an index of the same model, of another one, and of one without a bundle."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, ModelConfig, OpenSearchConfig, TrainingConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.index import categories
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.async_client import AsyncProductSearch
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle
from clipita.runtime.bundle import MANIFEST, fingerprint_of

if TYPE_CHECKING:
    from conftest import Launch, Server

pytestmark = pytest.mark.integration

ALIAS = "serve-follow"
EMPTY = "/v1/search?category=Plates&page=50"
QUESTIONS = (
    "/v1/search?q=square plates",
    "/v1/search?q=gift&mode=vector&facet=brand",
    "/v1/search?category=Plates&sort=price",
    "/v1/search?category=Plates&size=0&facet=brand",
    "/v1/search?q=plates&size=0",
    "/v1/search?q=summer&mode=lexical",
    EMPTY,
)


@dataclass
class Shops:
    """One alias and three indices: of two models of different dimension, and of a third of the first's dimension."""

    client: OpenSearch
    bundles: dict[str, Path]
    indices: dict[str, str]

    def show(self, name: str, *suffixes: str) -> None:
        """Point alias and categories at an index, or one of the two."""
        actions: list[dict[str, Any]] = []
        for suffix in suffixes or ("", categories.SUFFIX):
            alias = ALIAS + suffix
            actions += [{"remove": {"index": old, "alias": alias}} for old in self.client.indices.get_alias(name=alias)]
            actions.append({"add": {"index": self.indices[name] + suffix, "alias": alias}})
        self.client.indices.update_aliases(body={"actions": actions})

    def fingerprint(self, name: str) -> str:
        return Bundle.load(self.bundles[name]).fingerprint


@pytest.fixture(scope="module")
def shops(
    node: NodeStatus, shop: Path, tiny_tower: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shops]:
    folder = tmp_path_factory.mktemp("follow")
    bundles = {"wide": tiny_bundle, "narrow": _narrow(shop, tiny_tower, folder), "other": _other(tiny_bundle, folder)}
    client = connect(OpenSearchConfig(url=node.url))
    indices = {}
    # The second and third index hold more products, so that each total says which index it is of.
    for name, parts in (("wide", 1), ("narrow", 2), ("other", 3)):
        config = IngestConfig(rejected=folder / "rejected.jsonl")
        bundle = Bundle.load(bundles[name])
        ingest = Ingest(client, bundle, config, alias=ALIAS, new_index=name != "wide")
        files = [CatalogueFile(shop / f"{part}.parquet") for part in ("train", "valid", "test")[:parts]]
        indices[name] = ingest.run(files).index
        categories.publish(client, ALIAS, indices[name], bundle, ingest.paths)
    yield Shops(client, bundles, indices)
    client.indices.delete(index=f"{ALIAS}*")
    client.close()


def _narrow(shop: Path, tower: Path, folder: Path) -> Path:
    from clipita.exporters.bundle import export_bundle
    from clipita.model.checkpoint import load_run
    from clipita.training.prepare import Sources
    from clipita.training.run import train

    training = TrainingConfig(epochs=2, batch_size=32, unfreeze=True, run=folder / "run", cache=folder / "cache")
    model = ModelConfig(tower_config=tower, pretrained=None, dim=16, hidden=32)
    train(Sources(shop / "train.parquet", shop / "valid.parquet"), model, training, lambda *_: None, lambda _: None)
    export_bundle(
        load_run(training.run), CatalogueFile(shop / "valid.parquet"), folder / "narrow", lowest_cosine=0.9999,
        products=40, command="tests", report=lambda _: None,
    )  # fmt: skip
    return folder / "narrow"


def _other(bundle: Path, folder: Path) -> Path:
    """The same graphs with images padded in another grey: another model."""
    target = folder / "other"
    shutil.copytree(bundle, target)
    manifest = json.loads((target / MANIFEST).read_text())
    manifest["image"]["fill"] += 1
    manifest["fingerprint"] = fingerprint_of(manifest)
    (target / MANIFEST).write_text(json.dumps(manifest))
    return target


@pytest.fixture
def folder(shops: Shops, tmp_path: Path) -> Path:
    """A folder with the first two bundles, and beside them a file and a folder that are no bundles."""
    for name in ("wide", "narrow"):
        shutil.copytree(shops.bundles[name], tmp_path / "models" / name)
    (tmp_path / "models" / "notes").mkdir()
    (tmp_path / "models" / "notes" / MANIFEST).write_text("{half a man")
    (tmp_path / "models" / "README").write_text("bundles")
    return tmp_path / "models"


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def totals(server: Server) -> list[int]:
    return [server(question).json["total"] for question in QUESTIONS]


def index_of(server: Server) -> str:
    return str(server("/v1/index").json["index"])


def test_no_search_is_refused_or_wrong_while_the_model_changes(launch: Launch, shops: Shops, folder: Path) -> None:
    shops.show("wide")
    server = launch("--models", str(folder), "--index", ALIAS)
    expected = {}
    for name in ("wide", "narrow"):
        shops.show(name)
        until(lambda name=name: index_of(server) == shops.indices[name])  # type: ignore[misc]
        expected[name] = totals(server)
        assert server("/v1/embed/text", {"text": "plates"}).json["fingerprint"] == shops.fingerprint(name)
    assert all(one != other for one, other in zip(*expected.values(), strict=True)), "the totals tell nothing"
    answers: list[tuple[int, int, Any]] = []
    stop = threading.Event()

    def search(number: int) -> None:
        while not stop.is_set():
            answer = server(QUESTIONS[number])
            answers.append((number, answer.status, answer.json.get("total")))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(len(QUESTIONS))]
    for thread in threads:
        thread.start()
    for name in ("wide", "narrow") * 3:
        shops.show(name)
        until(lambda name=name: index_of(server) == shops.indices[name])  # type: ignore[misc]
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 100
    assert [answer for answer in answers if answer[1] != 200] == []
    right = [{found[number] for found in expected.values()} for number in range(len(QUESTIONS))]
    assert [answer for answer in answers if answer[2] not in right[answer[0]]] == []
    assert totals(server) == expected["narrow"]
    assert server("/readyz").status == 200


def test_a_server_without_a_model_goes_along_at_once(launch: Launch, shops: Shops) -> None:
    shops.show("wide")
    server = launch("--no-model", "--index", ALIAS)
    questions = [question for question in QUESTIONS if "category" in question or "lexical" in question]
    found: dict[str, list[int]] = {}
    for name in ("wide", "narrow", "wide", "narrow"):
        for question in questions:
            # Each is the first one after the move.
            shops.show(name)
            answer = server(question)
            assert answer.status == 200, answer.body
            found.setdefault(f"{name} {question}", []).append(answer.json["total"])
            shops.show("narrow" if name == "wide" else "wide")
            server(question)
    for question in questions:
        wide, narrow = found[f"wide {question}"], found[f"narrow {question}"]
        assert len({*wide}) == len({*narrow}) == 1
        assert wide[0] < narrow[0]


def test_a_model_without_a_bundle_is_told_and_words_answer(launch: Launch, shops: Shops, folder: Path) -> None:
    shops.show("wide")
    server = launch("--models", str(folder), "--index", ALIAS)
    assert server("/readyz").status == 200
    shops.show("other")
    ready = server("/readyz")
    assert ready.status == 503
    assert shops.fingerprint("other") in ready.json["error"]
    for question in QUESTIONS:
        answer = server(question)
        assert answer.status == 200, answer.body
        if "category" not in question:
            assert answer.json["mode"] == "lexical"
            assert shops.fingerprint("other") in answer.json["remarks"][0]
    assert index_of(server) == shops.indices["other"]
    assert server("/v1/embed/text", {"text": "plates"}).status == 503
    shutil.copytree(shops.bundles["other"], folder / "other")
    until(lambda: server("/readyz").status == 200)
    page = server(QUESTIONS[0]).json
    assert page["mode"] == "hybrid"
    assert page["remarks"] == []
    assert server("/v1/embed/text", {"text": "plates"}).json["fingerprint"] == shops.fingerprint("other")


def test_a_damaged_bundle_is_as_none(launch: Launch, shops: Shops, folder: Path) -> None:
    shops.show("wide")
    server = launch("--models", str(folder), "--index", ALIAS)
    with (folder / "narrow" / "text.onnx").open("ab") as file:
        file.write(b"0")
    shops.show("narrow")
    until(lambda: server("/readyz").status == 503)
    assert [server(question).status for question in QUESTIONS] == [200] * len(QUESTIONS)
    assert index_of(server) == shops.indices["narrow"]
    shops.show("wide")
    until(lambda: server("/readyz").status == 200)
    assert server(QUESTIONS[0]).json["mode"] == "hybrid"


def test_a_start_without_a_fitting_bundle(launch: Launch, shops: Shops, folder: Path) -> None:
    shops.show("other")
    server = launch("--models", str(folder), "--index", ALIAS)
    assert shops.fingerprint("other") in "".join(server.log)
    assert server("/readyz").status == 503
    assert server(QUESTIONS[0]).json["mode"] == "lexical"
    shops.show("narrow")
    until(lambda: server("/readyz").status == 200)
    assert server(QUESTIONS[0]).json["mode"] == "hybrid"


def test_a_search_of_the_library_goes_along(shops: Shops, node: NodeStatus) -> None:
    """Without a model, by category: the stored vectors have another dimension behind the other index."""
    asked: list[dict[str, Any]] = [
        {},
        {"size": 0},
        {"page": 50},
        {"members": "predicted", "mode": "vector"},
        {"also": 5},
    ]

    async def compare() -> None:
        connection = OpenSearchConfig(url=node.url)
        async with await AsyncProductSearch.open(index=ALIAS, opensearch=connection) as waiting:
            for name in ("narrow", "wide", "narrow"):
                for options in asked:
                    shops.show("narrow" if name == "wide" else "wide")
                    direct = ProductSearch(shops.client, ALIAS)
                    _ = direct(category="Plates"), await waiting(category="Plates")
                    shops.show(name)
                    fresh = ProductSearch(shops.client, ALIAS)(category="Plates", **options)
                    for page in (direct(category="Plates", **options), await waiting(category="Plates", **options)):
                        assert (page.total, page.also_total) == (fresh.total, fresh.also_total)
                        assert [hit.id for hit in page.hits] == [hit.id for hit in fresh.hits]

    asyncio.run(compare())


@pytest.mark.parametrize("question", ["/v1/search?q=gift&size=3", "/v1/search?category=Plates&sort=price&size=3"])
def test_a_cursor_goes_on_after_the_alias_moved(launch: Launch, shops: Shops, folder: Path, question: str) -> None:
    shops.show("wide")
    server = launch("--models", str(folder), "--index", ALIAS)
    cursor = server(question).json["cursor"]
    shops.show("narrow")
    until(lambda: index_of(server) == shops.indices["narrow"])
    answer = server(f"{question}&cursor={cursor}")
    assert answer.status == 200, answer.body
    assert answer.json["page"] == 2
    assert answer.json["hits"]


@pytest.mark.parametrize("model", [True, False])
def test_an_ingest_moves_products_and_categories_at_once(
    launch: Launch, shops: Shops, folder: Path, node: NodeStatus, shop: Path, tmp_path: Path, model: bool
) -> None:
    """Each answer during an ingest into a new index has the total before or the total after it."""
    shops.show("wide")
    server = launch(*(["--models", str(folder)] if model else ["--no-model"]), "--index", ALIAS)
    questions = [question for question in QUESTIONS if model or "category" in question or "lexical" in question]
    seen: list[set[int]] = [set() for _ in questions]
    pairs: set[tuple[str, ...]] = set()
    before = [server(question).json["total"] for question in questions]
    run = threading.Thread(
        target=clipita.ingest,
        args=([shop / f"{part}.parquet" for part in ("train", "valid")],),
        kwargs={
            "index": ALIAS, "cluster": node.url, "model": shops.bundles["narrow"], "new_index": True,
            "config": IngestConfig(rejected=tmp_path / "rejected.jsonl"),
        },
    )  # fmt: skip
    run.start()
    index = shops.indices["wide"]
    try:
        while run.is_alive():
            # A read of both aliases is one look at the cluster's state.
            pairs.add(tuple(sorted(shops.client.indices.get_alias(name=f"{ALIAS},{ALIAS}-categories"))))
            for totals, question in zip(seen, questions, strict=True):
                answer = server(question)
                assert answer.status == 200
                totals.add(answer.json["total"])
        index = next(iter(shops.client.indices.get_alias(name=ALIAS)))
        assert index not in shops.indices.values()
        until(lambda: index_of(server) == index)
        after = [server(question).json["total"] for question in questions]
        assert before != after
        assert all(totals <= {old, new} for totals, old, new in zip(seen, before, after, strict=True))
        assert all(categories == f"{products}-categories" for products, categories in pairs)
    finally:
        run.join()
        shops.show("wide")
        if index not in shops.indices.values():
            shops.client.indices.delete(index=f"{index}*")
