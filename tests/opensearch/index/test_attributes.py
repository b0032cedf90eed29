"""Attributes with a field of their own, and those that share one: thousands of names on a real node, in three ways."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.catalogue.attribute_names import MAX_MAPPED
from clipita.catalogue.check import check_catalogue
from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.catalogue.variants.merge import VARIANTS_FIELD
from clipita.config import FieldsConfig, IngestConfig, OpenSearchConfig
from clipita.errors import UsageError
from clipita.opensearch import ProductSearch
from clipita.opensearch.cluster.connection import connect_async
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.index.attributes import (
    AttributeFields,
    chosen,
    field_count,
    flat_path,
    key_of,
    keys_in_flat,
    values_of,
)
from clipita.opensearch.index.index import require
from clipita.opensearch.ingest.outcomes import IngestReport, Outcome
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.search.clauses.filters import filter_clause
from clipita.runtime import Bundle
from clipita.serve.storefront import Shop

NAMES = 6_000
COUNT = 1_500
FIELDS = FieldsConfig(title="name", attributes=("specs",), image="", category_path="shelf")
Run = Callable[..., IngestReport]


def rows(count: int = COUNT, names: int = NAMES, each: int = 4) -> list[dict[str, Any]]:
    """Products with a colour and some of many names, such as `Width 17 [mm]`; each name is in at least one."""
    found = []
    for number in range(count):
        rare = [(number * each + n) % names for n in range(each)]
        attributes = {f"Width {n} [mm]": f"value {n} of {number % 7}" for n in rare}
        attributes["colour"] = random.Random(number).choice(["red", "blue"])
        found.append({"product_id": str(number), "title": f"plate {number}", "category_path": ["Home", "Plates"],
                      "attributes": attributes})  # fmt: skip
    return found


def write(file: Path, products: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in products))
    return file


def mapping_of(client: OpenSearch, alias: str) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(client.indices.get_mapping(index=alias).values()))["mappings"]["properties"]
    return found


def updates(client: OpenSearch, index: str) -> int:
    """How often the mapping of an index has changed."""
    metadata = client.cluster.state(metric="metadata", index=index)["metadata"]["indices"][index]
    return int(metadata["mapping_version"])


def found_by(search: ProductSearch, name: str, value: Any) -> set[str]:
    page = search("plate", mode="lexical", filters={name: value}, size=100, understand=False)
    assert page.total == len(page.hits)
    return {hit.id for hit in page.hits}


def counts(report: IngestReport) -> dict[Outcome, int]:
    return {outcome: count for outcome, count in report.counts.items() if count}


def finds_all(search: ProductSearch, products: list[dict[str, Any]], prefix: str = "") -> None:
    for row in products:
        for name, value in row["attributes"].items():
            if name != "colour":
                assert row["product_id"] in found_by(search, prefix + name, value), (name, value)


def test_a_name_is_in_its_field_or_in_the_flat_one() -> None:
    fields = AttributeFields(["colour", "a_b"])
    product = Product("1", attributes={"colour": "red", "a.b": "x", "Width [mm]": "80", "a=b": "c=d"})
    assert fields.flat(product) == {"flat": ["Width [mm]=80", "a_b=c=d"], "flat_names": ["Width [mm]", "a_b"]}
    assert fields.flat(replace(product, attributes={"colour": "red"})) == {}


def test_attributes_of_variants_are_the_products() -> None:
    variants = [{"attributes": {"size": "M", "colour": "red"}}, {"attributes": {"size": "L"}}, {"price": 3}]
    product = Product("1", extra={VARIANTS_FIELD: variants})
    assert AttributeFields(["colour"]).flat(product)["flat"] == ["size=M", "size=L"]
    # A column of the shop's own may have the name.
    assert AttributeFields().flat(Product("1", extra={VARIANTS_FIELD: "3"})) == {}


def test_names_that_a_mapping_should_not_hold_get_no_field() -> None:
    assert chosen(["b", "a.b", "a_b", "x" * 201, "line\nbreak", "é"]) == ["b", "a_b", "é"]
    assert len(chosen(map(str, range(5_000)))) == MAX_MAPPED


def test_room_is_left_below_the_limit_of_the_index() -> None:
    many = {f"c{n}": {"type": "keyword", "fields": {"words": {"type": "text"}}} for n in range(100)}
    assert field_count({"o": {"properties": many}}) == 201
    assert AttributeFields.of_documents({"attributes": {"properties": many}}, 5_000).room == MAX_MAPPED - 100
    assert AttributeFields.of_documents({"o": {"properties": many}}, 800).room == 800 - 500 - 201
    assert AttributeFields.of_documents({"o": {"properties": many}}, 300).room == 0


def test_what_the_shop_has_no_field_for() -> None:
    properties = {
        "brand": {"type": "keyword"},
        "specs": {"properties": {"colour": {"type": "keyword"}}},
        "more": {"type": "flat_object"},
    }
    fields = AttributeFields.of_shop(properties, ("specs", "more", "brand"))
    product = Product("1", attributes={"brand": "Acme", "colour": "red", "more": "x", "Width": "80"})
    assert fields.flat(product)["flat"] == ["more=x", "Width=80"]


def test_a_path_stands_for_one_attribute() -> None:
    assert key_of(flat_path("a.b=c")) == "a_b_c"
    assert key_of("clipita.flat") is None
    assert values_of("Width [mm]") == r"Width \[mm\]=.*"


def test_filters_on_the_flat_field() -> None:
    path = flat_path("Width [mm]")
    assert filter_clause(path, [80, True, "x"]) == {
        "terms": {"clipita.flat": ["Width [mm]=80", "Width [mm]=true", "Width [mm]=x"]}
    }
    assert filter_clause(path, {"exists": False}) == {
        "bool": {"must_not": [{"term": {"clipita.flat_names": "Width [mm]"}}]}
    }
    for value in ({"gte": 3}, {"match": "x"}, {"exists": "yes"}, [], [None], None, {}):
        with pytest.raises(UsageError, match=r"The filter on Width \[mm\] is .*few products have this attribute"):
            filter_clause(path, value)  # type: ignore[arg-type]


@pytest.mark.integration
def test_thousands_of_names_in_a_catalogue(
    client: OpenSearch, ingest: Run, alias: str, tmp_path: Path, bundle: Bundle
) -> None:
    products = rows()
    file = write(tmp_path / "products.jsonl", products)
    report = ingest(file)
    assert report.counts[Outcome.WRITTEN] == COUNT, report.reasons
    assert updates(client, report.index) < 12

    mapped = mapping_of(client, alias)["attributes"]["properties"]
    assert len(mapped) == MAX_MAPPED
    assert "colour" in mapped
    search = ProductSearch(client, alias, bundle)
    rare = [row for row in products if not set(row["attributes"]) & (set(mapped) - {"colour"})]
    assert len(rare) > COUNT / 2
    finds_all(search, rare[:5] + products[:5])

    # Each name is looked up once, and nothing else is read anew.
    names = search.names
    finds_all(search, rare[:5])
    assert search.names is names

    name = next(name for name in rare[0]["attributes"] if name != "colour")
    assert rare[0]["product_id"] in found_by(search, name, {"exists": True})
    assert found_by(search, name, [rare[0]["attributes"][name], "none"]) == found_by(
        search, f"attributes.{name}", rare[0]["attributes"][name]
    )
    page = search(
        "plate", mode="lexical", facets=[name, "colour"], filters={name: rare[0]["attributes"][name]}, understand=False
    )
    assert [(one.value, one.selected) for one in page.facets[name]] == [(rare[0]["attributes"][name], True)]
    assert {one.value for one in page.facets["colour"]} <= {"red", "blue"}
    assert page.hits[0].source["attributes"][name] == rare[0]["attributes"][name]
    for options in (
        {"sort": name},
        {"collapse": name},
        {"boosts": [f"recency:{name}:0.2:30"]},
        {"filters": {name: {"gte": 3}}},
    ):
        with pytest.raises(UsageError, match="few products have this attribute"):
            search("plate", mode="lexical", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no field Width 9999"):
        search("plate", mode="lexical", filters={"Width 9999 [mm]": "1"})

    # The names that most products have are looked at for facets and in queries, not the first of the alphabet.
    assert search("red plate").understood[0].field == "colour"
    about = index_information(client, search)
    assert "colour" in [one["name"] for one in about["facets"]]
    assert about["flat"]["names"] > NAMES - MAX_MAPPED - 300
    assert about["flat"]["most"][0]["name"] not in mapped

    # In place nothing is new: the vectors stay, and each attribute is where it was.
    assert counts(ingest(file, in_place=True)) == {Outcome.UNCHANGED: COUNT}
    assert counts(ingest(file)) == {Outcome.UNCHANGED: COUNT}


def index_information(client: OpenSearch, search: ProductSearch) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        connection = connect_async(OpenSearchConfig(url=address_of(client)))
        try:
            return await Shop(connection, search).fields()
        finally:
            await connection.close()

    return asyncio.run(read())


@pytest.mark.integration
def test_a_later_run_keeps_what_is_mapped(
    client: OpenSearch, ingest: Run, alias: str, tmp_path: Path, bundle: Bundle
) -> None:
    products = rows(400, names=1_600)
    file = write(tmp_path / "products.jsonl", products)
    ingest(file)
    before = mapping_of(client, alias)["attributes"]["properties"]
    assert counts(ingest(file)) == {Outcome.UNCHANGED: 400}
    # What was rare is now frequent, and something is new.
    rare = next(name for name in products[-1]["attributes"] if name not in before)
    for row in products:
        row["attributes"] |= {rare: "now common", "material": "oak"}
    report = ingest(write(file, products))
    assert counts(report) == {Outcome.WRITTEN: 400}
    assert mapping_of(client, alias)["attributes"]["properties"] == before
    search = ProductSearch(client, alias, bundle)
    assert search("plate", mode="lexical", filters={"material": "oak", rare: "now common"}).total == 400
    # A new index counts anew.
    ingest(file, new_index=True)
    mapped = mapping_of(client, alias)["attributes"]["properties"]
    assert {"material", rare, "colour"} <= set(mapped)
    assert ProductSearch(client, alias, bundle)("plate", mode="lexical", filters={rare: "now common"}).total == 400


@pytest.mark.integration
def test_a_name_that_other_products_have_in_the_flat_field_stays_there(
    client: OpenSearch, ingest: Run, alias: str, tmp_path: Path, bundle: Bundle
) -> None:
    """Products of one file are not in the next, and must be found as well."""
    products = rows(300, names=1_200)
    ingest(write(tmp_path / "a.jsonl", products))
    mapped = mapping_of(client, alias)["attributes"]["properties"]
    rare = next(name for name in products[-1]["attributes"] if name not in mapped)
    index = require(client, alias)
    client.indices.put_settings(index=index.name, body={"index.mapping.total_fields.limit": 9_000})
    fields = AttributeFields(mapped, room=10)
    fields.extend(client, index.name, [rare, "brand new"])
    assert fields.mapped - set(mapped) == {"brand new"}
    assert rare not in mapping_of(client, alias)["attributes"]["properties"]


@pytest.mark.integration
def test_an_index_of_an_earlier_version_has_no_flat_field(client: OpenSearch, alias: str) -> None:
    client.indices.create(index=alias, body={"mappings": {"properties": {"title": {"type": "text"}}}})
    client.index(index=alias, body={"title": "plate"}, refresh=True)
    assert keys_in_flat(client, alias, ["colour", "Width [mm]"]) == set()


@pytest.mark.integration
def test_a_stream_maps_the_names_that_come_first(
    client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str, tmp_path: Path
) -> None:
    products = rows(700, names=2_800)
    file = write(tmp_path / "products.jsonl", products)
    with file.open("rb") as stream:
        catalogue = CatalogueFile(Path("standard input"), stream=stream)
        report = Ingest(client, bundle, settings, alias=alias).run([catalogue])
    assert counts(report) == {Outcome.WRITTEN: 700}
    assert updates(client, report.index) < 20
    mapped = mapping_of(client, alias)["attributes"]["properties"]
    assert len(mapped) == MAX_MAPPED
    finds_all(ProductSearch(client, alias, bundle), [products[0], products[-1]])


def shop_index(client: OpenSearch, name: str, products: list[dict[str, Any]], specs: dict[str, Any]) -> None:
    properties = {"name": {"type": "text"}, "shelf": {"type": "keyword"}, "specs": specs}
    client.indices.create(index=name, body={"settings": {"index.knn": True}, "mappings": {"properties": properties}})
    lines: list[dict[str, Any]] = []
    for row in products:
        source = {"name": row["title"], "shelf": row["category_path"], "specs": row["attributes"]}
        lines += [{"index": {"_id": row["product_id"]}}, source]
    answer = client.bulk(index=name, body="".join(json.dumps(line) + "\n" for line in lines), refresh=True)
    assert not answer["errors"]


SPECS = {
    "only the colour has a field": {"dynamic": False, "properties": {"colour": {"type": "keyword"}}},
    "not parsed": {"type": "object", "enabled": False},
}


def ingest_of(
    shop: str, target: str, client: OpenSearch, bundle: Bundle, settings: IngestConfig, *, in_place: bool
) -> Callable[[], IngestReport]:
    """Runs of one shop's index into another one, or in place."""
    return partial(
        clipita.ingest, cluster=client, from_index=shop, index=target, in_place=in_place, model=bundle, fields=FIELDS,
        config=settings,
    )  # fmt: skip


@pytest.mark.integration
@pytest.mark.parametrize("in_place", [False, True], ids=["copy", "in place"])
@pytest.mark.parametrize("specs", SPECS.values(), ids=SPECS)
def test_attributes_of_a_shops_own_index(
    client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str, specs: dict[str, Any], in_place: bool
) -> None:
    products = rows(120)
    shop_index(client, f"{alias}-shop", products, specs)
    target = f"{alias}-shop" if in_place else alias
    run = ingest_of(f"{alias}-shop", target, client, bundle, settings, in_place=in_place)

    assert counts(run()) == {Outcome.WRITTEN: 120}
    search = ProductSearch(client, target, bundle)
    finds_all(search, products[:3])
    finds_all(search, products[-3:], prefix="specs.")
    assert counts(run()) == {Outcome.UNCHANGED: 120}
    # The shop's documents and its part of the mapping are as they were.
    mapping = client.indices.get_mapping(index=require(client, target).name)
    (found,) = mapping.values()
    assert found["mappings"]["properties"]["specs"].get("properties") == specs.get("properties")
    assert search("plate 3", mode="lexical").hits[0].source["specs"] == products[3]["attributes"]


@pytest.mark.integration
@pytest.mark.parametrize("in_place", [False, True], ids=["copy", "in place"])
def test_what_a_product_has_lost_is_not_found(
    client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str, in_place: bool
) -> None:
    products = rows(5)
    shop_index(client, f"{alias}-shop", products, SPECS["not parsed"])
    target = f"{alias}-shop" if in_place else alias
    run = ingest_of(f"{alias}-shop", target, client, bundle, settings, in_place=in_place)

    run()
    value = products[0]["attributes"]["colour"]
    assert "0" in found_by(ProductSearch(client, target, bundle), "colour", value)
    client.update(index=f"{alias}-shop", id="0", body={"doc": {"specs": None, "shelf": None}}, refresh=True)
    assert counts(run())[Outcome.WRITTEN] == 1
    search = ProductSearch(client, target, bundle)
    assert "0" not in found_by(search, "colour", {"exists": True})
    assert search(category="Plates", members="labelled", mode="lexical").total == 4
    assert counts(run()) == {Outcome.UNCHANGED: 5}


@pytest.mark.integration
@pytest.mark.parametrize("in_place", [False, True], ids=["copy", "in place"])
def test_a_shops_index_at_its_limit_of_fields(
    client: OpenSearch, bundle: Bundle, settings: IngestConfig, alias: str, in_place: bool
) -> None:
    full = {"properties": {f"n{number}": {"type": "keyword"} for number in range(997)}}
    shop_index(client, f"{alias}-shop", rows(3), {"dynamic": False, **full})
    target = f"{alias}-shop" if in_place else alias
    run = ingest_of(f"{alias}-shop", target, client, bundle, settings, in_place=in_place)
    if in_place:
        with pytest.raises(UsageError, match="may have 1,000 fields") as caught:
            run()
        assert "index.mapping.total_fields.limit" in str(caught.value.hint)
        client.indices.put_settings(index=f"{alias}-shop", body={"index.mapping.total_fields.limit": 1_050})
    assert counts(run()) == {Outcome.WRITTEN: 3}


def columns_of(count: int, rows: int = 300) -> list[dict[str, Any]]:
    """Products with a price and some of many columns, of which `Column 0` has no second row."""
    found = []
    for number in range(rows):
        row: dict[str, Any] = {"product_id": str(number), "title": f"plate {number}", "price": number + 0.5}
        each = count // rows
        row |= {f"Column {n}": f"v{n}" for n in range(number * each, (number + 1) * each)}
        row["bulk"] = {"names": {f"Name {number * 20 + n}": n for n in range(20)}}
        found.append(row)
    return found


@pytest.mark.integration
def test_thousands_of_other_columns(
    client: OpenSearch, ingest: Run, alias: str, tmp_path: Path, bundle: Bundle
) -> None:
    file = write(tmp_path / "products.jsonl", columns_of(6_000))
    # The index is there already, and would take each new column.
    ingest(write(tmp_path / "first.jsonl", [{"product_id": "0", "title": "plate", "late": "x", "price": 1.5}]))
    report = ingest(file)
    assert counts(report) == {Outcome.WRITTEN: 300}
    assert updates(client, report.index) < 20
    properties = mapping_of(client, alias)
    assert field_count(properties) < 1_300
    assert properties["bulk"] == {"type": "object", "dynamic": "false"}
    search = ProductSearch(client, alias, bundle)
    assert found_by(search, "Column 0", "v0") == {"0"}
    assert search("plate", mode="lexical", sort="-price", size=1).hits[0].id == "299"
    with pytest.raises(UsageError, match="no field Column 5999"):
        search("plate", mode="lexical", filters={"Column 5999": "v5999"})
    # All of it is with the product.
    source = search("plate", mode="lexical", sort="-price", size=1).hits[0].source
    assert source["Column 5999"] == "v5999"
    assert source["bulk"]["names"]["Name 5999"] == 19
    remarks = check_catalogue(CatalogueFile(file)).remarks
    assert any(one.startswith("bulk holds more than 500 names, so an index only keeps it.") for one in remarks)
    assert any(one.startswith("Of 6,002 other columns") and one.endswith("it only keeps 4,801.") for one in remarks)
