"""`/v1/search`, `/v1/categories` and `/v1/index` against the real node."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pyarrow.parquet as pq
import pytest

from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch

if TYPE_CHECKING:
    from conftest import Launch, Server

pytestmark = pytest.mark.integration

SCRIPT = "<script>document.title='taken'</script>"


def rows(shop: Path) -> list[dict[str, Any]]:
    return [row for part in ("train", "valid", "test") for row in pq.read_table(shop / f"{part}.parquet").to_pylist()]


def query(**parameters: Any) -> str:
    return "/v1/search?" + urlencode(parameters, doseq=True)


@pytest.fixture(scope="module")
def direct(node: NodeStatus, served_shop: str, tiny_bundle: Path) -> ProductSearch:
    return ProductSearch(node.url, served_shop, tiny_bundle)


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
def test_get_and_post_answer_as_the_library_does(server: Server, direct: ProductSearch, mode: Any) -> None:
    options: dict[str, Any] = {"facets": ["brand", "colour"], "filters": {"price": {"lte": 80}}, "size": 7, "page": 2}
    expected = json.loads(json.dumps(direct("family plate", mode=mode, **options).to_json()))
    address = query(q="family plate", mode=mode, facet=["brand", "colour"], size=7, page=2) + "&filter[price][lte]=80"
    for answer in (server(address), server("/v1/search", {"query": "family plate", "mode": mode, **options})):
        assert answer.status == 200, answer.body
        found = answer.json
        assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in expected["hits"]]
        assert {**found, "took_ms": 0} == {**expected, "took_ms": 0}
    assert len(expected["hits"]) == 7


def test_what_was_understood_is_told_and_can_be_taken_back(server: Server) -> None:
    found = server(query(q="red plate under 50", size=5)).json["understood"]
    assert [(part["text"], part["field"], part["value"], part["filter"]) for part in found] == [
        ("red", "colour", "red", ["red"]),
        ("under 50", "price", "under 50", {"lt": 50}),
    ]
    kept = server("/v1/search", {"query": "red plate under 50", "keep_words": ["red"]}).json["understood"]
    assert [part["text"] for part in kept] == ["under 50"]
    assert server(query(q="red plate under 50", keep_word=["red", "under 50"])).json["understood"] == []
    assert server(query(q="red plate", understand="false")).json["understood"] == []


def test_a_category_is_found_by_path_and_by_name(server: Server) -> None:
    by_path = server(query(category="Home > Plates > Round Plates", size=50)).json
    by_name = server(query(category="round plates", size=50)).json
    as_list = server("/v1/search", {"category": ["Home", "Plates", "Round Plates"], "size": 50}).json
    assert (
        [h["id"] for h in by_path["hits"]] == [h["id"] for h in by_name["hits"]] == [h["id"] for h in as_list["hits"]]
    )
    leaves = Counter(hit["source"].get("category_path", [""])[-1] for hit in by_path["hits"][:10])
    assert leaves["Round Plates"] >= 5


def test_cursor_and_page_numbers_lead_to_the_same_products(server: Server) -> None:
    numbered: list[str] = []
    followed: list[str] = []
    cursor = None
    for number in range(1, 5):
        numbered += [hit["id"] for hit in server(query(q="classic family gift", size=9, page=number)).json["hits"]]
        page = {"cursor": cursor} if cursor else {}
        answer = server("/v1/search", {"query": "classic family gift", "size": 9, **page}).json
        followed += [hit["id"] for hit in answer["hits"]]
        cursor = answer["cursor"]
    assert numbered == followed
    assert len(set(numbered)) == 36


def test_a_cursor_of_one_way_of_asking_goes_on_in_the_other(server: Server) -> None:
    bounds = {"gte": 5, "lte": 80.5}
    body: dict[str, Any] = {"query": "plate", "size": 5, "filters": {"price": bounds}}
    brands = {v["value"] for v in server(query(q="plate", facet="brand")).json["facets"]["brand"]}
    body["filters"]["brand"] = sorted(brands)[:3]
    address = query(q="plate", size=5) + "".join(f"&filter[brand]={quote(b)}" for b in reversed(sorted(brands)[:3]))
    address += "&filter[price][lte]=80.50&filter[price][gte]=5.0"
    posted, got = server("/v1/search", body).json, server(address).json
    assert posted["cursor"] == got["cursor"] is not None
    after_post = server(f"{address}&cursor={posted['cursor']}")
    after_get = server("/v1/search", {**body, "cursor": got["cursor"]})
    assert after_post.status == after_get.status == 200, after_post.body + after_get.body
    numbered = server("/v1/search", {**body, "page": 2}).json["hits"]
    assert [h["id"] for h in after_post.json["hits"]] == [h["id"] for h in after_get.json["hits"]]
    assert [h["id"] for h in numbered] == [h["id"] for h in after_get.json["hits"]]
    other = server(
        "/v1/search", {**body, "filters": {**body["filters"], "price": {"lte": 79}}, "cursor": got["cursor"]}
    )
    assert other.status == 400
    assert "another search" in other.json["error"]


def test_sort_explain_and_thumbnails(server: Server) -> None:
    found = server(query(q="plate", sort="-price", explain="true", thumbnails="true", size=30)).json
    prices = [hit["source"]["price"] for hit in found["hits"] if "price" in hit["source"]]
    assert prices == sorted(prices, reverse=True)
    assert len(prices) > 20
    for hit in found["hits"]:
        told = hit["explanation"]
        assert hit["score"] == pytest.approx(told["lexical"] + told["vector"], abs=1e-5)
    assert sum(hit["thumbnail"] is not None for hit in found["hits"]) > 20


def test_the_tree_counts_products_exactly(server: Server, shop: Path) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for row in rows(shop):
        path = tuple(row["category_path"])
        expected.update(path[:depth] for depth in range(1, len(path) + 1))
    counted: dict[tuple[str, ...], int] = {}
    pending = list(server("/v1/categories").json["categories"])
    while pending:
        node = pending.pop()
        counted[tuple(node["path"])] = node["count"]
        pending += node["children"]
    assert counted == dict(expected)


def test_the_index_tells_its_facets_and_ranges(server: Server, shop: Path) -> None:
    about = server("/v1/index").json
    assert about["alias"] == "serve-shop"
    assert about["products"] == 203
    facets = {entry["name"]: entry["values"] for entry in about["facets"]}
    assert facets == {"colour": 4, "size": 3, "brand": 5}
    prices = [row["price"] for row in rows(shop)] + [10.0, 11.0]
    [price] = about["ranges"]
    assert (price["name"], price["min"], price["max"]) == ("price", min(prices), max(prices))
    assert about["sorts"] == ["price"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (query(), "The query is empty"),
        (query(q="  "), "The query is empty"),
        (query(q="plate", fact="brand"), "Did you mean facet?"),
        (query(q="plate", facet="brnd"), "Did you mean brand?"),
        (query(q="plate", facet="attributes_text"), "holds words"),
        (query(q="plate") + "&filter[nothing]=1", "no field nothing"),
        (query(q="plate") + "&filter[price][lte]=cheap", "holds numbers"),
        (query(q="plate") + "&filter[price][below]=1", "no condition"),
        (query(q="plate") + "&filter[size][gte]=10", "size is text in this index"),
        (query(q="plate", weight="nan"), "weight is 'nan'"),
        (query(q="plate", pivot="nan"), "pivot is 'nan'"),
        (query(q="plate", min_score="nan"), "min_score is 'nan'"),
        (query(q="plate", weight="much"), "Expected: a number, at least 0 and at most 1"),
        (query(q="plate", size=5000), "at most 1,000"),
        (query(q="plate", size="2.5"), "Expected: a whole number"),
        (query(q="plate", page=0), "Expected: a whole number, at least 1"),
        (query(q="plate", page=500), "cursor"),
        (query(q="plate", cursor="nonsense"), "not a cursor"),
        (query(q="plate", mode="magic"), "one of: lexical, vector, hybrid"),
        (query(q="plate", lexical='{"match_all": {}}'), "There is no parameter 'lexical'"),
        (query(q=["plate", "kite"]), "given twice"),
        (query(category="Plats"), "Did you mean Home > Plates"),
        (query(q="plate", sort="title"), None),
        (query(q="plate", raw_filters="{}"), "no parameter 'raw_filters'"),
    ],
)
def test_what_is_off_is_told_with_a_hint(server: Server, address: str, words: str | None) -> None:
    answer = server(address)
    if words is None:
        assert answer.status == 200
        return
    assert answer.status == 400, answer.body
    assert words in f"{answer.json['error']} {answer.json['hint']}"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"query": "a", "weight": NaN}', "not JSON"),
        (b'{"query": "a", "weight": 1e999}', "not JSON"),
        (b'{"query": {"match_all": {}}}', "Expected: a text"),
        (b'{"query": "a", "size": true}', "whole number"),
        (b'{"query": "a", "raw_filters": [{"script": {"script": "1"}}]}', "no parameter 'raw_filters'"),
        (b'{"query": "a", "lexical": {"script_score": {"script": "1"}}}', "no parameter 'lexical'"),
        (b'{"query": "a", "snapshot": "1d"}', "no parameter 'snapshot'"),
        (b'{"query": "a", "filters": {"price": {"lte": {"script": "1"}}}}', "texts, numbers"),
        (b'{"query": "a", "filters": []}', "Write {"),
        (b'{"query": "\\ud800"}', "not JSON"),
    ],
)
def test_json_that_is_off_is_told(server: Server, body: bytes, words: str) -> None:
    answer = server("/v1/search", body)
    assert answer.status == 400, answer.body
    assert words in f"{answer.json['error']} {answer.json['hint']}"


@pytest.mark.parametrize(
    "text",
    [
        "{{7*7}} ${7*7} #{7*7}",
        '"}},"size":9999,"x":{"y":"',
        "params._source",
        "plate\x00\x1b[31m",
        SCRIPT,
        "+-=&&||><!(){}[]^~*?:\\/",
    ],
)
def test_hostile_texts_are_only_texts(server: Server, text: str) -> None:
    for parameters in ({"q": text}, {"q": "plate", "filter[brand]": text}, {"q": text, "highlight": "true"}):
        answer = server("/v1/search?" + urlencode(parameters))
        assert answer.status == 200, answer.body
        assert answer.json["query"] == parameters["q"]
        assert len(answer.json["hits"]) <= 24


def test_a_very_long_query_is_searched_and_said_to_be_cut(server: Server) -> None:
    answer = server("/v1/search?q=" + quote("plate " * 1700))
    assert answer.status == 200
    assert "The query is long" in answer.json["remarks"][0]


def test_highlights_escape_the_shops_own_markup(server: Server) -> None:
    hits = server(query(q="plate", mode="lexical", highlight="true", size=100)).json["hits"]
    [marked] = [hit["highlights"]["title"] for hit in hits if hit["id"] == "x-script"]
    assert "<em>plate</em>" in marked
    assert "<script" not in marked


def test_without_a_model_words_and_categories_still_work(launch: Launch) -> None:
    server = launch("--no-model")
    assert server(query(category="Plates")).json["hits"]
    assert server(query(q="plate", mode="lexical")).json["hits"]
    answer = server(query(q="plate"))
    assert (answer.status, "without a model" in answer.json["error"]) == (400, True)
    assert server("/v1/embed/text", {"texts": ["plate"]}).status == 501


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, 2**70, -(2**70), 10**300, 1e21])
def test_whole_numbers_beyond_64_bits(server: Server, number: float) -> None:
    total = server("/v1/search", {"query": "plate", "mode": "lexical", "filters": {"price": {"exists": True}}}).json[
        "total"
    ]
    for condition, found in (
        ({"lt": number}, total if number > 0 else 0),
        ([number], 0),
        (number, 0),
        ([number, 1], 0),
    ):
        body = {"query": "plate", "mode": "lexical", "filters": {"price": condition}}
        answer = server("/v1/search", body)
        assert answer.status == 200, answer.body
        assert answer.json["total"] == found
    for parameters in ({"filter[price][gt]": number}, {"filter[price]": number}, {"filter[brand]": number}):
        answer = server("/v1/search?" + urlencode({"q": "plate", "mode": "lexical", **parameters}))
        assert answer.status == 200, answer.body
    assert server(query(q=f"plate under {abs(int(number)):,}".replace(",", "."))).status == 200
    assert server("/v1/search", {"query": "plate", "size": number}).status == 400
    assert server("/v1/search", {"query": "plate", "min_score": number}).status in (200, 400)


@pytest.mark.parametrize("place", ["page", "score", "text"])
def test_a_forged_cursor_is_refused_without_the_clusters_address(server: Server, node: NodeStatus, place: str) -> None:
    word = server(query(q="plate", mode="lexical", size=1)).json["cursor"]
    cursor = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    if place == "page":
        cursor[2] = 2**70
    else:
        cursor[1] = [2**70, 2**70] if place == "score" else ["x", "y", "z"]
    forged = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()
    answer = server(query(q="plate", mode="lexical", size=1, cursor=forged))
    assert answer.status in (200, 400) if place == "score" else answer.status == 400, answer.body
    assert node.url.partition("//")[2] not in answer.body.decode()
    assert node.url.rpartition(":")[2] not in answer.body.decode()
