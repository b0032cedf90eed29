"""Fields with names that no aggregation, script or template may have: every use of a field works with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, SearchConfig
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.search.boosts import Boost
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.templates import put
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

ALIAS = "search-names"
NAMES = [
    "Width [mm]",
    "a > b",
    "[",
    ">",
    "{{x}}",
    "{{#x}}",
    'quo"te',
    "back\\slash",
    "%s {0}",
    "clipita:groups",
    "Größe €",
]
NUMBER = "Depth [cm] {{y}}"


@pytest.fixture(scope="module")
def search(
    search_client: OpenSearch, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductSearch]:
    folder = tmp_path_factory.mktemp("names")
    rows = [
        {
            "product_id": f"n{number}",
            "title": "plate",
            "text {{z}}": "round plate",
            "attributes": dict.fromkeys(NAMES, f"value{number % 3}"),
            NUMBER: number,
        }
        for number in range(12)
    ]
    file = folder / "names.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = IngestConfig(rejected=folder / "rejected.jsonl")
    report = Ingest(search_client, Bundle.load(tiny_bundle), config, alias=ALIAS).run([CatalogueFile(file)])
    assert not report.left_out
    yield ProductSearch(search_client, ALIAS, tiny_bundle)
    search_client.indices.delete(index=f"{ALIAS}*")


@pytest.mark.parametrize("name", [*NAMES, NUMBER])
@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_a_field_of_any_name_is_counted_filtered_and_sorted_by(search: ProductSearch, name: str, mode: str) -> None:
    value = 1 if name == NUMBER else "value1"
    page = search("plate", mode=mode, facets=[name, "title.keyword"], filters={name: [value]}, sort=name, size=20)
    assert {one.value for one in page.facets[name]} == (
        set(range(10)) if name == NUMBER else {"value0", "value1", "value2"}
    )
    assert page.total == (1 if name == NUMBER else 4)
    assert [one.count for one in page.facets[name] if one.selected] == [page.total]
    assert search("plate", mode=mode, collapse=name).groups == (12 if name == NUMBER else 3)
    assert search("plate", mode=mode, filters={name: {"exists": True}}).total == 12


def test_a_number_of_any_name_boosts_and_is_explained(search: ProductSearch) -> None:
    boosts = [Boost("popularity", NUMBER, 0.5, half=1.0), Boost("margin", NUMBER, 0.1, low=0, high=11)]
    page = search("plate", mode="lexical", boosts=boosts, explain=True)
    assert page.hits[0].id == "n11"
    assert page.hits[0].explanation is not None
    assert page.hits[0].explanation.boosts == {
        f"popularity({NUMBER})": pytest.approx(1 + 0.5 * 11 / 12), f"margin({NUMBER})": pytest.approx(1.1),
    }  # fmt: skip


def test_a_value_of_a_field_of_any_name_is_understood(search: ProductSearch) -> None:
    page = search("value2 plate", mode="lexical", explain=True)
    assert {part.field for part in page.understood} & set(NAMES)
    explanation = page.hits[0].explanation
    assert explanation is not None
    assert set(explanation.understood) == {part.field for part in page.understood}


@pytest.mark.parametrize("name", ["text {{z}}", "Width [mm]"])
def test_words_of_a_field_of_any_name(search: ProductSearch, name: str) -> None:
    page = search("round plate" if "text" in name else "value1", mode="lexical", fields=[name], highlight=[name])
    assert page.total == (12 if "text" in name else 4)
    assert any("<em>" in text for text in page.hits[0].highlights.values())


def test_a_template_of_a_field_of_any_name(search: ProductSearch, search_client: OpenSearch) -> None:
    [field] = search.names.searchable(["text {{z}}"])
    put(search_client, ALIAS, SearchConfig(fields=(field,)), search.capabilities)
    body = {"id": f"{ALIAS}-lexical", "params": {"query": "round plate", "x": "taken", "z": "taken"}}
    assert search_client.search_template(index=ALIAS, body=body)["hits"]["total"]["value"] == 12
