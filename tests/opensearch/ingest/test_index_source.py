"""The shop has an index already: copied with all that is its own, or given vectors in place."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from PIL import Image

from clipita.catalogue.product import Product
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig, IngestConfig
from clipita.errors import ClusterError, FieldMappingError, IndexMissingError, UsageError
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle, ProductEncoder

pytestmark = pytest.mark.integration

FIELDS = FieldsConfig(title="name", image="photo.url", attributes=("brand", "specs.*"), category_path="category")
COUNT = 60
Documents = Callable[[str], dict[str, dict[str, Any]]]


def picture(number: int) -> str:
    data = io.BytesIO()
    Image.new("RGB", (40, 40), (number * 4 % 256, 90, 200 - number)).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def theirs(number: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": f"Läufer number {number}",
        "brand": ["Acme", "Globex"][number % 2],
        "specs": {"colour": ["red", "blue", "green"][number % 3], "weight": {"value": number, "unit": "g"}},
        "category": ["Home", f"Leaf {number % 5}"],
        "stock": number,
        "badge": f"img/{number}.png",
        "price": number + 0.99,
        "reviews": [{"stars": 5, "text": "good"}, {"stars": number % 5, "text": "well"}],
    }
    return document | ({"photo": {"url": picture(number)}} if number % 2 else {})


@pytest.fixture
def shop_index(client: OpenSearch, alias: str) -> str:
    """An index as a shop has it: own analyzer, nested field, routing, aliases with filter; vectors it has none."""
    name = f"{alias}-shop"
    analysis = {
        "analyzer": {"own": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}}
    }
    client.indices.create(
        index=name,
        body={
            "settings": {"index": {"number_of_shards": 2, "refresh_interval": "3s", "analysis": analysis}},
            "mappings": {
                "dynamic": "strict",
                "_meta": {"owner": "shop"},
                "properties": {
                    "name": {"type": "text", "analyzer": "own"},
                    "brand": {"type": "keyword"},
                    "specs": {"dynamic": True, "type": "object"},
                    "category": {"type": "keyword"},
                    "stock": {"type": "integer"},
                    "badge": {"type": "keyword", "index": False, "doc_values": False},
                    "price": {"type": "scaled_float", "scaling_factor": 100},
                    "reviews": {"type": "nested", "properties": {"stars": {"type": "byte"}, "text": {"type": "text"}}},
                    "photo": {"properties": {"url": {"type": "keyword", "index": False, "doc_values": False}}},
                },
            },
            "aliases": {alias: {}, f"{alias}-cheap": {"filter": {"range": {"price": {"lt": 20}}}}},
        },
    )
    lines = []
    for number in range(COUNT):
        routing = {"routing": f"r{number % 7}"} if number % 3 == 0 else {}
        lines += [json.dumps({"index": {"_id": f"d{number}", **routing}}), json.dumps(theirs(number))]
    client.bulk(index=name, body="\n".join(lines) + "\n", refresh=True)
    return name


@pytest.fixture
def run(client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str) -> Callable[..., IngestReport]:
    def ingest(source: str, **options: Any) -> IngestReport:
        fields = options.pop("fields", FIELDS)
        job = Ingest(client, bundle, settings, alias=options.pop("alias", alias), **options)
        return job.run(IndexSource(client, source, fields))

    return ingest


def written(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def expected_vector(bundle: Bundle, number: int) -> Any:
    from clipita.catalogue.image_cells import image_sources

    document = theirs(number)
    product = Product(
        id=f"d{number}",
        title=document["name"],
        attributes={
            "brand": document["brand"],
            "colour": document["specs"]["colour"],
            "weight": f"unit: g, value: {number}",
        },
        images=image_sources(document["photo"]["url"], "photo.url", 4)[0] if "photo" in document else (),
    )
    encoder = ProductEncoder(bundle)
    return encoder.encode([encoder.prepare(product)])[0]


def test_copy_keeps_all_that_is_the_shops(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str, shop_index: str,
    bundle: Bundle,
) -> None:  # fmt: skip
    before = documents(shop_index)
    report = run(alias)
    assert written(report) == {"written": COUNT}
    assert report.replaced == shop_index
    copy = report.index
    after = documents(copy)
    assert {id_: {k: v for k, v in doc.items() if k in before[id_]} for id_, doc in after.items()} == before
    for number in (0, 1, 7):
        np.testing.assert_allclose(after[f"d{number}"]["product_vector"], expected_vector(bundle, number), atol=1e-5)
    assert documents(shop_index) == before
    index = client.indices.get(index=copy)[copy]
    settings = index["settings"]["index"]
    assert (settings["number_of_shards"], settings["refresh_interval"], settings["knn"]) == ("2", "3s", "true")
    assert settings["analysis"]["analyzer"]["own"]["filter"] == ["lowercase", "asciifolding"]
    assert index["mappings"]["dynamic"] == "strict"
    assert index["mappings"]["_meta"]["owner"] == "shop"
    assert index["mappings"]["properties"]["price"] == {"type": "scaled_float", "scaling_factor": 100.0}
    assert set(index["aliases"]) == {alias, f"{alias}-cheap"}
    assert index["aliases"][f"{alias}-cheap"]["filter"] == {"range": {"price": {"lt": 20}}}
    assert not client.indices.get_alias(index=shop_index)[shop_index]["aliases"]


def test_copy_keeps_routing_and_answers_the_shops_searches(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str
) -> None:
    queries = [
        {"match": {"name": "laufer"}},
        {"nested": {"path": "reviews", "query": {"term": {"reviews.stars": 3}}}},
        {"range": {"price": {"gte": 10, "lt": 20.99}}},
        {"term": {"specs.colour.keyword": "red"}},
    ]
    before = [client.count(index=alias, body={"query": query})["count"] for query in queries]
    run(alias)
    assert [client.count(index=alias, body={"query": query})["count"] for query in queries] == before
    assert before[0] == COUNT
    assert client.get(index=alias, id="d3", routing="r3")["_routing"] == "r3"
    assert client.search(index=alias, body={"query": {"match_all": {}}}, routing="r3")["hits"]["total"]["value"] > 0


def test_second_run_takes_over_what_changed_and_encodes_only_that(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str, shop_index: str
) -> None:
    first = run(alias)
    client.update(index=alias, id="d1", body={"doc": {"price": 3.5}}, refresh=True)
    client.update(index=alias, id="d2", body={"doc": {"name": "another thing"}}, refresh=True)
    client.index(index=alias, id="new", body={"name": "brand new", "price": 1}, refresh=True)
    before = documents(first.index)
    report = run(alias)
    assert report.index == first.index
    assert written(report) == {"written": 2, "unchanged": COUNT - 1}
    after = documents(first.index)
    assert after["d1"] == before["d1"]
    assert after["d2"]["name"] == "another thing"
    assert after["d2"]["product_vector"] != before["d2"]["product_vector"]
    assert len(after["new"]["product_vector"]) == 32


def test_writes_to_the_original_while_it_is_copied_are_taken_over(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str, shop_index: str
) -> None:
    done_once = threading.Event()

    def shop_goes_on(done: int, _: int | None) -> None:
        if done and not done_once.is_set():
            done_once.set()
            client.update(index=shop_index, id="d1", body={"doc": {"price": 77.0}})
            client.index(index=shop_index, id="late", body={"name": "late comer", "price": 2.0})

    report = run(alias, progress=shop_goes_on)
    assert report.late >= 2
    after = documents(report.index)
    assert after["d1"]["price"] == 77.0
    assert after["late"]["name"] == "late comer"
    assert set(after) == set(documents(shop_index))


def test_document_without_vector_is_copied_and_told(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str, shop_index: str,
    settings: IngestConfig,
) -> None:  # fmt: skip
    client.index(index=alias, id="bare", body={"stock": 3}, refresh=True)
    client.index(index=alias, id="broken", body={"name": "x", "photo": {"url": "/no/such.jpg"}}, refresh=True)
    report = run(alias)
    assert written(report) == {"written": COUNT + 1, "rejected": 1}
    after = documents(report.index)
    assert after["bare"]["stock"] == 3
    assert after["broken"]["photo"] == {"url": "/no/such.jpg"}
    assert "product_vector" not in after["bare"]
    assert "product_vector" in after["broken"]
    told = {line["id"]: line["reason"] for line in map(json.loads, settings.rejected.read_text().splitlines())}
    assert "no title, no image and no attribute" in told["bare"]
    assert report.image_reasons == {"the image is a file, and no image_root is set": 1}


def test_alias_stays_when_the_copy_does_not_agree(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str
) -> None:
    def meddle(done: int, _: int | None) -> None:
        if done >= COUNT:
            copy = next(name for name in client.indices.get(index=f"{alias}-*") if name != shop_index)
            client.delete(index=copy, id="d1", ignore=[404])

    with pytest.raises(ClusterError, match=f"does not agree with {shop_index}: it has 59 documents instead of 60"):
        run(alias, progress=meddle)
    assert list(client.indices.get_alias(name=alias)) == [shop_index]
    report = run(alias)
    assert written(report) == {"written": 1, "unchanged": COUNT - 1}
    assert list(client.indices.get_alias(name=alias)) == [report.index]


def test_what_is_deleted_while_it_is_copied_is_not_in_the_copy(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str, documents: Documents
) -> None:
    def meddle(done: int, _: int | None) -> None:
        if done >= COUNT:
            # d3 has a routing of its own.
            client.delete(index=shop_index, id="d1", ignore=[404])
            client.delete(index=shop_index, id="d3", routing="r3", ignore=[404])

    report = run(alias, progress=meddle)
    assert report.pruned == 2
    assert set(documents(report.index)) == set(documents(shop_index)) == {f"d{n}" for n in range(COUNT)} - {"d1", "d3"}


def test_a_copy_does_not_follow_its_original_into_the_void(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str, documents: Documents
) -> None:
    def meddle(done: int, _: int | None) -> None:
        if done >= COUNT:
            query = {"range": {"stock": {"lt": 20}}}
            client.delete_by_query(index=shop_index, body={"query": query}, refresh=True, conflicts="proceed")

    with pytest.raises(UsageError, match=r"20 of 60 products .* are no longer in"):
        run(alias, progress=meddle)
    assert list(client.indices.get_alias(name=alias)) == [shop_index]
    report = run(alias, force=True)
    assert report.pruned == 20
    assert set(documents(report.index)) == {f"d{n}" for n in range(20, COUNT)}


def test_what_the_shop_adds_to_a_live_copy_is_left_alone(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str, documents: Documents
) -> None:
    report = run(alias)
    client.index(index=alias, id="new", body={"name": "written to the copy"}, refresh=True)
    with pytest.raises(ClusterError, match="it has 61 documents instead of 60"):
        run(shop_index)
    assert "new" in documents(report.index)


def test_index_whose_name_is_the_alias_is_left_alone(
    run: Callable[..., IngestReport], client: OpenSearch, alias: str, shop_index: str
) -> None:
    with pytest.raises(ClusterError, match="is an index, so no alias can have its name"):
        run(shop_index, alias=shop_index)
    report = run(shop_index, alias=f"{alias}-search")
    assert report.replaced is None
    assert set(client.indices.get_alias(index=shop_index)[shop_index]["aliases"]) == {alias, f"{alias}-cheap"}
    assert set(client.indices.get_alias(index=report.index)[report.index]["aliases"]) == {f"{alias}-search"}


def test_unknown_names(run: Callable[..., IngestReport], alias: str, shop_index: str) -> None:
    with pytest.raises(IndexMissingError, match="no index nowhere"):
        run("nowhere")
    with pytest.raises(FieldMappingError, match=r"no column 'nome'.*Did you mean 'name'"):
        run(alias, fields=FieldsConfig(title="nome"))


def test_catalogue_does_not_overwrite_the_shops_documents(
    run: Callable[..., IngestReport], ingest: Callable[..., IngestReport], alias: str, shop_index: str, shop: Path
) -> None:
    run(alias)
    with pytest.raises(ClusterError, match="holds the shop's own documents"):
        ingest(shop / "test.parquet")


def knn_index(client: OpenSearch, name: str) -> None:
    body = {"settings": {"index.knn": True}, "mappings": {"properties": {"name": {"type": "text"}}}}
    client.indices.create(index=name, body=body)
    lines = []
    for number in range(COUNT):
        lines += [
            json.dumps({"index": {"_id": f"d{number}"}}),
            json.dumps({"name": f"thing {number}", "price": number}),
        ]
    client.bulk(index=name, body="\n".join(lines) + "\n", refresh=True)


NAMED = FieldsConfig(title="name", attributes=(), image="", category_path="")


def test_in_place_adds_vectors_and_changes_nothing_else(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str
) -> None:
    knn_index(client, alias)
    before = documents(alias)
    report = run(alias, in_place=True, fields=NAMED)
    assert written(report) == {"written": COUNT}
    assert report.index == alias
    after = documents(alias)
    assert {id_: {k: v for k, v in doc.items() if k in ("name", "price")} for id_, doc in after.items()} == before
    assert all(len(doc["product_vector"]) == 32 for doc in after.values())
    again = run(alias, in_place=True, fields=NAMED)
    assert written(again) == {"unchanged": COUNT}
    client.update(index=alias, id="d5", body={"doc": {"price": 1}}, refresh=True)
    client.update(index=alias, id="d6", body={"doc": {"name": "other"}}, refresh=True)
    assert written(run(alias, in_place=True, fields=NAMED)) == {"written": 1, "unchanged": COUNT - 1}


def test_in_place_never_overwrites_a_concurrent_change(
    run: Callable[..., IngestReport], documents: Documents, client: OpenSearch, bundle: Bundle,
    settings: IngestConfig, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]],
) -> None:  # fmt: skip
    knn_index(client, alias)
    proxy, through = proxied(0.0)

    def shop_goes_on(bulk: int) -> None:
        # All 60 documents fit one page, so they were read before the first bulk.
        if bulk == 1:
            client.update(index=alias, id="d58", body={"doc": {"price": 999}})
            client.update(index=alias, id="d59", body={"doc": {"name": "renamed meanwhile"}})
            client.delete(index=alias, id="d57")

    proxy.before_bulk = shop_goes_on
    report = Ingest(through, bundle, settings, alias=alias, in_place=True).run(IndexSource(through, alias, NAMED))
    assert written(report) == {"written": COUNT - 1, "rejected": 1}
    assert report.encoded == COUNT + 2
    assert "was removed while" in settings.rejected.read_text()
    after = documents(alias)
    assert after["d58"]["price"] == 999
    assert after["d59"]["name"] == "renamed meanwhile"
    assert "d57" not in after
    fresh = run(alias, in_place=True, fields=NAMED)
    assert written(fresh) == {"unchanged": COUNT - 1}


def test_in_place_needs_knn(run: Callable[..., IngestReport], alias: str, shop_index: str) -> None:
    with pytest.raises(ClusterError, match=f"created without index.knn.*--from-index {alias}"):
        run(alias, in_place=True)


def test_catalogue_gives_vectors_to_the_shops_documents_in_place(
    ingest: Callable[..., IngestReport], documents: Documents, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    knn_index(client, alias)
    file = tmp_path / "catalogue.jsonl"
    rows = [{"product_id": f"d{number}", "title": f"titled {number}"} for number in range(COUNT)]
    rows.append({"product_id": "unknown", "title": "not in the shop"})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = ingest(file, in_place=True)
    assert written(report) == {"written": COUNT, "failed": 1}
    assert "document missing" in (tmp_path / "rejected.jsonl").read_text()
    after = documents(alias)
    assert set(after["d1"]) == {"name", "price", "product_id", "product_vector", "clipita"}
    assert "unknown" not in after


def test_options_that_exclude_each_other(run: Callable[..., IngestReport], alias: str, shop_index: str) -> None:
    with pytest.raises(UsageError, match="--in-place and --new-index"):
        run(alias, in_place=True, new_index=True)
    with pytest.raises(UsageError, match="--prune"):
        run(alias, prune=True)


def test_command(
    client: OpenSearch, alias: str, shop_index: str, node: NodeStatus, tiny_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    cluster = ["--index", alias, "--url", node.url]
    mapped = ["--title-field", "name", "--image-field", "photo.url", "--category-field", "category",
              "--attribute-field", "brand", "--attribute-field", "specs.*"]  # fmt: skip
    assert run_guarded(group, ["ingest", "--from-index", alias, "--model", str(tiny_bundle), *cluster, *mapped]) == 0
    assert f"{alias} now points to" in capsys.readouterr().out
    assert run_guarded(group, ["index", "list", "--json", *cluster]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["state"], entry["current"], entry["documents"]) for entry in listed] == [
        ("shop", False, 160), ("complete", True, 160),
    ] or [entry["state"] for entry in listed] == ["shop", "complete"]  # fmt: skip
    assert run_guarded(group, ["index", "rollback", *cluster]) == 0
    assert list(client.indices.get_alias(name=alias)) == [shop_index]
    assert f"{alias}-cheap" in client.indices.get_alias(index=shop_index)[shop_index]["aliases"]
    assert run_guarded(group, ["ingest", "x.parquet", "--from-index", alias]) == 2
