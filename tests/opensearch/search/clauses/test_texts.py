"""Numbers that an index holds as text are neither filtered by a range nor sorted by: the alphabet would answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.check import check_catalogue
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import UsageError
from clipita.opensearch import AsyncProductSearch, ProductSearch
from clipita.opensearch.cluster.errors import address_of
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.search.clauses.texts import asks_for_numbers, is_misordered

Run = Callable[..., IngestReport]


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        ({"gte": 20}, True),
        ({"lt": 20.5, "gte": "x"}, True),
        ({"lte": "80"}, True),
        ({"lte": "80 €"}, True),
        ({"gte": "9,99"}, True),
        ({"gte": "2024-05-31"}, False),
        ({"gte": "2024-05-31T10:00:00Z", "lt": "2025-01"}, False),
        ({"gte": "A-12", "lte": "B"}, False),
        # A code keeps its zeros; a number would not have any.
        ({"gte": "0070"}, False),
        ({"exists": True}, False),
        ({"match": "20"}, False),
        ("20", False),
        (["20", "30"], False),
    ],
)
def test_a_range_with_a_number(value: Any, asks: bool) -> None:
    assert asks_for_numbers(value) is asks


@pytest.mark.parametrize(
    ("name", "values", "wrong"),
    [
        ("price", ["call us", "19.99", "100.00", "5.00"], True),
        ("kosten", ["1.299,00 €", "9,99 €", "20 €"], True),
        ("price", ["from 20 per piece", "from 100 per piece", "from 5 per piece"], True),
        ("shoe size", ["7.5", "10", "8"], True),
        # In the alphabet's order already.
        ("price", ["10.00", "20.00", "30.00"], False),
        ("added", ["2024-01-05", "2023-12-31", "2024-10-01"], False),
        ("price_until", ["2024-01-05", "2023-12-31", "2024-10-01"], False),
        # Codes and names: people sort by them on purpose.
        ("code", ["100", "20", "3"], False),
        ("ean", ["4006381333931", "004006381333"], False),
        ("part", ["A-12", "B-3", "A-100"], False),
        ("brand", ["Acme", "Globex"], False),
        ("price_currency", ["EUR", "USD"], False),
        ("price_class", ["low", "middle", "high"], False),
        # One number among words says nothing.
        ("note", ["new", "used", "from 20 €", "as good as new", "100 €"], False),
        ("price", [], False),
    ],
)
def test_texts_that_are_numbers_in_another_order(name: str, values: list[str], wrong: bool) -> None:
    assert is_misordered(name, values) is wrong


ROWS: list[dict[str, Any]] = [
    {"price": "call us", "code": "100", "added": "2024-05-01", "cost": 5.5, "attributes": {"size": "7.5"}},
    {"price": "19,99 €", "code": "20", "added": "2023-01-31", "cost": 10.0, "attributes": {"size": "10"}},
    {"price": "call us", "code": "3", "added": "2024-01-01", "cost": 7.0, "attributes": {"size": "8"}},
    {"price": "100,00 €", "code": "5", "added": "2022-01-01", "cost": 7.5, "attributes": {"size": "9"}},
    {"price": "on request", "code": "6", "added": "2022-02-01", "cost": 7.6, "attributes": {"size": "9"}},
    {"price": "5,00 €", "code": "6", "added": "2022-02-01", "cost": 7.6, "attributes": {"size": "9"}},
]


@pytest.fixture
def priced(ingest: Run, tmp_path: Path) -> Path:
    file = tmp_path / "a.jsonl"
    rows = [{"product_id": f"p{n}", "title": f"plate {n}", **row} for n, row in enumerate(ROWS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(file)
    return file


@pytest.mark.integration
def test_the_alphabet_answers_no_range_and_no_sort_of_prices(client: OpenSearch, alias: str, priced: Path) -> None:
    search = ProductSearch(client, alias)

    def found(**options: Any) -> list[str]:
        return [hit.id for hit in search("plate", mode="lexical", **options).hits]

    for options in ({"filters": {"price": {"lte": 80}}}, {"filters": {"price": {"gte": "20"}}}, {"sort": "-price"}):
        with pytest.raises(UsageError, match="price is text in this index, with values such as 'call us'") as caught:
            found(**options)
        assert "catalogue check" in str(caught.value.hint)
    for options in (
        {"filters": {"size": {"lte": 8}}},
        {"sort": "size"},
        {"facets": ["size"], "filters": {"size": {"gt": 8}}},
    ):
        with pytest.raises(UsageError, match="size is text in this index, with values such as") as caught:
            found(**options)
        assert "Attributes are text" in str(caught.value.hint)
    assert found(filters={"added": {"gte": "2024-01-01"}}, sort="added") == ["p2", "p0"]
    assert found(sort="code")[:2] == ["p0", "p1"]
    assert found(sort="product_id", filters={"price": "call us"}) == ["p0", "p2"]
    assert found(sort="-cost", filters={"cost": {"gte": "7", "lt": 8}})[-1] == "p2"
    # What check says of the file agrees.
    (remark,) = [one for one in check_catalogue(CatalogueFile(priced)).remarks if one.startswith("price ")]
    assert remark.startswith("price is of the type text: 3 of 6 values are no numbers, such as 'call us'.")


@pytest.mark.integration
def test_the_asynchronous_search_refuses_it_too(client: OpenSearch, alias: str, priced: Path) -> None:
    assert priced

    async def run() -> None:
        async with await AsyncProductSearch.open(address_of(client), alias) as search:
            await search("plate", mode="lexical", sort="code")
            with pytest.raises(UsageError, match="price is text"):
                await search("plate", mode="lexical", sort="price")

    asyncio.run(run())
