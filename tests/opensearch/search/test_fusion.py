"""Native fusion against recorded answers of a real OpenSearch with neural-search, which the local node lacks.

A small server plays the recording back: it knows the requests that were recorded, in any order of their keys, and
answers each with what the real plugin said; any other search it refuses.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clipita.errors import ClusterVersionError, QueryError, UsageError
from clipita.opensearch import AsyncProductSearch, ProductSearch
from clipita.opensearch.cluster.connection import Capabilities
from clipita.opensearch.search.arguments import SearchArguments
from clipita.opensearch.search.fusion import fusion_pipeline, require_fusion

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "hybrid-exchanges" / "exchanges.jsonl"
OURS = ("track_total_hits", "_source")
MAPPING = {
    "_meta": {"clipita": {"schema": 1, "fingerprint": "f" * 64, "dim": 8}},
    "properties": {
        "title": {"type": "text"}, "brand": {"type": "keyword"}, "price": {"type": "float"},
        "product_id": {"type": "keyword"}, "product_vector": {"type": "knn_vector"},
    },
}  # fmt: skip


def shape(body: dict[str, Any]) -> str:
    """A request without what makes no difference: the vector field's name, defaults, the order of keys."""

    def plain(value: Any, path: str = "") -> Any:
        if isinstance(value, dict):
            renamed = {"product_vector": "vec"}
            return {renamed.get(key, key): plain(inner, f"{path}.{key}") for key, inner in sorted(value.items())}
        if isinstance(value, list):
            return [plain(inner, path) for inner in value]
        return value

    body = {key: value for key, value in body.items() if key not in OURS}
    body.setdefault("from", 0)
    body.setdefault("size", 10)
    text = json.dumps(plain(body), sort_keys=True)
    # A match clause may be written in short.
    text = text.replace('{"title": {"query": "red wool jacket"}}', '{"title": "red wool jacket"}')
    # Sixty is the plugin's own default.
    text = text.replace('"rank_constant": 60, ', "")
    # The id breaks ties, which the recording leaves to chance.
    text = text.replace(', {"product_id": "asc"}', "").replace('{"order": "asc", "missing": "_last"}', '"asc"')
    return text.replace('{"missing": "_last", "order": "asc"}', '"asc"').replace(', "size": 10}}}', "}}}")


class Recording:
    def __init__(self) -> None:
        lines = RECORDED.read_text(encoding="utf-8").splitlines()
        self.exchanges: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.answers = {
            shape(entry["request"]): entry
            for entry in reversed(self.exchanges)
            if entry["path"] in ("/p1/_search", "/p3/_search") and entry["request"]
        }

    def of(self, what: str) -> dict[str, Any]:
        return next(entry for entry in self.exchanges if entry["what"] == what)


@pytest.fixture(scope="module")
def recording() -> Recording:
    if not RECORDED.is_file():
        pytest.skip(f"the recorded answers are not at {RECORDED}")
    return Recording()


@pytest.fixture(scope="module")
def url(recording: Recording) -> Iterator[str]:
    root = recording.of("setup:root")["response"]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def reply(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.send_response(404 if self.path == "/p1-categories" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            plugins = [{"component": name} for name in ("opensearch-knn", "opensearch-neural-search", "opensearch-ml")]
            answers: dict[str, Any] = {
                "/": root,
                "/_cat/plugins": plugins,
                "/_alias/p": {"p1": {"aliases": {"p": {}}}},
                "/p1/_mapping": {"p1": {"mappings": MAPPING}},
                "/_plugins/_knn/stats/faiss_initialized": {"nodes": {"ns-0": {"faiss_initialized": False}}},
            }
            self.reply(200, answers[self.path.partition("?")[0]])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = recording.answers.get(shape(body))
            if found is None:
                self.reply(400, {"error": {"type": "not_recorded", "reason": shape(body)}, "status": 400})
            else:
                self.reply(found["status"], found["response"])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def query_vector(entry: dict[str, Any]) -> tuple[float, ...]:
    return tuple(entry["request"]["query"]["hybrid"]["queries"][1]["knn"]["vec"]["vector"])


@pytest.fixture
def search(url: str, recording: Recording) -> Iterator[ProductSearch]:
    search = ProductSearch(url, "p")
    vector = query_vector(recording.of("3b depth 50 from 5 size 5"))
    search.vectors = lambda _: vector  # type: ignore[assignment]
    yield search
    search.client.close()


TEXT = "red wool jacket"
COMMON: dict[str, Any] = {"k": 50, "weight": 0.7, "size": 5}
SAME: list[tuple[str, dict[str, Any]]] = [
    ("3b depth 50 from 0 size 5", {"fusion": "min_max"}),
    ("3b depth 50 from 5 size 5", {"fusion": "min_max", "page": 2}),
    ("3b depth 50 from 15 size 5", {"fusion": "min_max", "page": 4}),
    ("3a depth 50 from 0 size 50", {"fusion": "min_max", "size": 50}),
    ("2j rrf size 10 pagination_depth 50", {"fusion": "rrf", "size": 10}),
    ("3k rrf from 10 size 5 depth 50", {"fusion": "rrf", "page": 3}),
]


@pytest.mark.parametrize(("what", "options"), SAME, ids=[what for what, _ in SAME])
def test_requests_and_answers_are_the_recorded_ones(
    recording: Recording, search: ProductSearch, what: str, options: dict[str, Any]
) -> None:
    entry = recording.of(what)
    given = {**COMMON, **options}
    assert shape(search.body(TEXT, **given)) == shape(entry["request"])
    page = search(TEXT, **given)
    recorded = entry["response"]["hits"]
    assert page.total == recorded["total"]["value"] == 121
    assert [(hit.id, hit.score) for hit in page.hits] == [(hit["_id"], hit["_score"]) for hit in recorded["hits"]]
    assert page.hits[0].source["brand"] == recorded["hits"][0]["_source"]["brand"]
    assert page.cursor is None


def test_recorded_pages_join(recording: Recording) -> None:
    """With the depth that we send on every page the plugin's pages fit together, as far as the recording shows hits."""
    deep = [hit["_id"] for hit in recording.of("3a depth 50 from 0 size 50")["response"]["hits"]["hits"]]
    first = [hit["_id"] for hit in recording.of("3b depth 50 from 0 size 5")["response"]["hits"]["hits"]]
    assert first == deep[:5]


def part(body: dict[str, Any], *keys: str) -> Any:
    found: Any = body
    for key in keys:
        found = found[key]
    return found


def test_parts_of_the_request_are_written_as_recorded(recording: Recording, search: ProductSearch) -> None:
    body = search.body(
        TEXT, fusion="min_max", filters={"brand": "acme", "price": {"lte": 100}}, facets=["brand"], sort="price",
        min_score=0.3, **COMMON,
    )  # fmt: skip
    recorded = recording.of("4a2 hybrid filter bool array")["request"]
    assert part(body, "query", "hybrid", "filter") == part(recorded, "query", "hybrid", "filter")
    assert body["search_pipeline"] == recorded["search_pipeline"]
    assert body["min_score"] == recording.of("4f min_score 0.3")["request"]["min_score"]
    assert body["aggs"]["brand"]["terms"]["field"] == "brand"
    # Both are refused by the real plugin; see "4d5" and "4d3" of the recording.
    assert "track_scores" not in body
    assert "_score" not in {key for entry in body["sort"] for key in entry}
    # post_filter would change the scores; see "4c".
    assert "post_filter" not in body


def test_facets_are_read(recording: Recording, search: ProductSearch) -> None:
    from clipita.opensearch.search.results import read_page

    answer = recording.of("4b aggs no filter size 10")["response"]
    arguments = SearchArguments(TEXT, (1.0,), fusion="min_max", facets={"b": "brand"}, size=10, k=50)
    page = read_page(answer, arguments)
    buckets = answer["aggregations"]["b"]["buckets"]
    assert [(entry.value, entry.count) for entry in page.facets["b"]] == [
        (bucket["key"], bucket["doc_count"]) for bucket in buckets
    ]


def test_sorted_hits_have_no_score(recording: Recording) -> None:
    from clipita.opensearch.search.results import read_page

    arguments = SearchArguments(TEXT, (1.0,), fusion="min_max", sort=(("price", "asc"),), size=10, k=50)
    page = read_page(recording.of("4d sort price asc")["response"], arguments)
    prices = [hit.source["price"] for hit in page.hits]
    assert prices == sorted(prices)
    assert {hit.score for hit in page.hits} == {None}


def test_an_answer_that_was_not_fused_is_refused(recording: Recording) -> None:
    from clipita.opensearch.search.results import read_page

    for what in ("5a no pipeline size 10", "4b4 aggs no pipeline", "7h _none"):
        with pytest.raises(QueryError, match="did not fuse the scores by rrf"):
            read_page(recording.of(what)["response"], SearchArguments(TEXT, (1.0,), fusion="rrf", k=50, size=10))


def test_a_page_behind_the_last_hit_is_empty(recording: Recording, search: ProductSearch, url: str) -> None:
    """The plugin answers 400 there; the total comes from a second request without hits."""
    vector = query_vector(recording.of("3b depth 50 from 5 size 5"))
    beyond = search.body(TEXT, fusion="min_max", page=10, **COMMON)
    recording.answers[shape(beyond)] = recording.of("3f depth 10 from 60 size 5")
    recording.answers[shape({**beyond, "from": 0, "size": 0})] = recording.of("3l size 0")
    page = search(TEXT, fusion="min_max", page=10, **COMMON)
    assert page.hits == []
    assert page.total == 121

    async def ask() -> Any:
        async with await AsyncProductSearch.open(url, "p") as waiting:
            waiting.search.vectors = lambda _: vector  # type: ignore[assignment]
            waiting.search.vectors.peek = lambda _: vector  # type: ignore[attr-defined]
            return await waiting(TEXT, fusion="min_max", page=10, **COMMON)

    assert asyncio.run(ask()).total == 121


def test_what_the_plugin_refuses_is_told(recording: Recording, search: ProductSearch) -> None:
    body = search.body(TEXT, fusion="min_max", page=2, **COMMON)
    kept = recording.answers[shape(body)]
    for what, said in (("1c weights sum 2", "all weights must be in range"), ("3d depth 10001 size 10", "pagination")):
        recording.answers[shape(body)] = recording.of(what)
        with pytest.raises(QueryError, match=said):
            search(TEXT, fusion="min_max", page=2, **COMMON)
    recording.answers[shape(body)] = kept


@pytest.mark.parametrize("weight", [0, 1, 0.0, 1.0, 0.3])
@pytest.mark.parametrize("fusion", ["min_max", "rrf"])
def test_weights_are_decimals_that_sum_to_one(weight: float, fusion: Any) -> None:
    text = json.dumps(fusion_pipeline(fusion, weight, 60))
    weights = text.partition('"weights": [')[2].partition("]")[0].split(", ")
    assert all("." in number for number in weights)
    assert sum(map(float, weights)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"collapse": "brand"}, "offers no collapse"),
        ({"boosts": ["margin:price:0.2"]}, "offers no boosts"),
        ({"explain": True}, "offers no explain"),
        ({"sort": ["price", "_score"]}, "sorts by the score alone"),
        ({"page": 11}, "ends beyond k = 50"),
    ],
)
def test_what_native_fusion_cannot_do(search: ProductSearch, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        search(TEXT, fusion="rrf", **{**COMMON, **options})


def test_versions_and_plugins() -> None:
    def cluster(version: tuple[int, int, int], neural_search: bool = True) -> Capabilities:
        return Capabilities(version, True, neural_search, False, False, "lucene")

    rrf, min_max = (SearchArguments(TEXT, (1.0,), fusion=fusion) for fusion in ("rrf", "min_max"))
    require_fusion(rrf, cluster((3, 5, 0)))
    require_fusion(min_max, cluster((3, 0, 0)))
    with pytest.raises(ClusterVersionError, match=r"min_max needs the plugin opensearch-neural-search"):
        require_fusion(min_max, cluster((3, 5, 0), neural_search=False))
    with pytest.raises(ClusterVersionError, match=r"rrf needs OpenSearch 3\.5\.0; this cluster has 3\.1\.0"):
        require_fusion(rrf, cluster((3, 1, 0)))
    with pytest.raises(ClusterVersionError, match=r"minimum score of a hybrid query needs OpenSearch 3\.5\.0"):
        require_fusion(SearchArguments(TEXT, (1.0,), fusion="min_max", min_score=0.1), cluster((3, 1, 0)))
