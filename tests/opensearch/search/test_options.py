"""Searches that cannot be answered, and those that only look so."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig
from clipita.errors import ClusterUnavailableError, FingerprintError, IndexMissingError, QueryError, UsageError
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

if TYPE_CHECKING:
    from conftest import Live

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_an_empty_query_is_refused(live: Live, text: str, mode: Any) -> None:
    with pytest.raises(UsageError, match="query is empty"):
        live.search(text, mode=mode)


def test_half_a_character_is_refused(live: Live) -> None:
    with pytest.raises(UsageError, match="half a character"):
        live.search("plate \udcff")


def test_an_unknown_field_names_the_nearest(live: Live) -> None:
    for arguments in ({"filters": {"colur": "red"}}, {"facets": ["colur"]}):
        with pytest.raises(UsageError, match=r"no field colur\. Did you mean colour\?"):
            live.search("plates", **arguments)
    with pytest.raises(UsageError, match="It has: added, brand, category_path, colour"):
        live.search("plates", filters={"warehouse": 3})
    with pytest.raises(UsageError, match="Did you mean title"):
        live.search("plates", fields=("titel",))


def test_a_field_of_words_is_no_facet(live: Live) -> None:
    with pytest.raises(UsageError, match="holds words, not whole values"):
        live.search("plates", facets=["attributes_text"])
    # The title has a sub-field of whole values, which takes its place.
    assert live.search("identical twin", mode="lexical", facets=["title"]).facets["title"][0].count == 5


@pytest.mark.parametrize("name", ["product_vector", "clipita.fingerprint", "image"])
def test_inner_fields_are_no_filters(live: Live, name: str) -> None:
    with pytest.raises(UsageError, match=f"no field {name}"):
        live.search("plates", filters={name: "x"})


@pytest.mark.parametrize("mode", ["lexical", "vector", "hybrid"])
@pytest.mark.parametrize("unit", ["plate ", "x", "皿", "a1 ", "🙂"])
def test_ten_thousand_characters_are_answered(live: Live, mode: Any, unit: str) -> None:
    text = (unit * 10_000)[:10_000]
    page = live.search(text, mode=mode)
    cut = any("query is long" in remark for remark in page.remarks)
    assert cut == (mode != "vector")
    if mode != "lexical":
        assert page.total >= 24


def test_stop_words_alone_match_nothing_by_words(live: Live) -> None:
    assert live.search("the of and", mode="lexical").total == 0
    hybrid = live.search("the of and", mode="hybrid", k=30)
    assert hybrid.total == len(live.nearest("the of and", 30)) == 30


@pytest.mark.parametrize("text", ['"', "title:plate AND (", "{{query}}", "*:*", "\\", 'x" } ] }', "a\u0000b"])
def test_query_syntax_is_only_text(live: Live, text: str) -> None:
    page = live.search(text, mode="lexical")
    assert page.total == len(live.bm25(text))


def test_a_page_too_deep_is_refused_before_it_is_sent(live: Live) -> None:
    with pytest.raises(UsageError, match=r"Page 417 of size 24 ends at hit 10,008"):
        live.search("plates", page=417)
    assert live.search("plates", page=416).hits == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weight": float("nan")}, "weight is nan"),
        ({"weight": 1.01}, "weight is 1.01"),
        ({"pivot": float("nan")}, "pivot is nan"),
        ({"pivot": 0}, "pivot is 0"),
        ({"k": 0}, "k is 0"),
        ({"page": 0}, "page is 0"),
        ({"mode": "semantic"}, "no mode 'semantic'"),
        ({"fields": ()}, "no field to search in"),
        ({"fields": ("title^-1",)}, "no positive boost"),
        ({"filters": {"brand": []}}, "empty list"),
        ({"filters": {"price": {"above": 3}}}, "Known keys"),
        ({"filters": {"brand": None}}, "filter on brand is None"),
        ({"pagesize": 3}, "no option 'pagesize'"),
    ],
)
def test_arguments_out_of_range(live: Live, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        live.search("plates", **arguments)


@pytest.mark.parametrize("value", ["cheap", ["5", "cheap"], {"lte": "cheap"}, {"gte": float("nan")}, [[1]]])
def test_a_field_of_numbers_wants_numbers(live: Live, value: Any) -> None:
    with pytest.raises(UsageError, match="price holds numbers"):
        live.search("plates", filters={"price": value})
    with pytest.raises(UsageError, match="search field price is of type double, which holds no words"):
        live.search("plates", fields=("price",))


def test_what_the_cluster_refuses_says_why(live: Live) -> None:
    live.client.indices.put_settings(index="search-shop", body={"index": {"max_result_window": 50}})
    try:
        with pytest.raises(QueryError, match=r"Result window is too large.*\[50\]"):
            live.search("plates", page=4)
    finally:
        live.client.indices.put_settings(index="search-shop", body={"index": {"max_result_window": None}})


def test_without_a_model_only_words_are_searched(live: Live) -> None:
    search = ProductSearch(live.client, "search-shop")
    assert search("cutting boards", mode="lexical").total == len(live.bm25("cutting boards"))
    with pytest.raises(UsageError, match="without a model"):
        search("cutting boards", mode="hybrid")


def test_no_such_index(live: Live) -> None:
    with pytest.raises(IndexMissingError, match="clipita ingest --index search-nowhere"):
        ProductSearch(live.client, "search-nowhere")


def test_another_models_bundle_is_refused(live: Live, other_bundle: Path) -> None:
    with pytest.raises(FingerprintError, match="clipita ingest --index search-shop --new-index"):
        ProductSearch(live.client, "search-shop", other_bundle)


def test_an_alias_that_moves_to_another_model_is_noticed(
    search_client: OpenSearch, tiny_bundle: Path, other_bundle: Path, shop: Path, tmp_path: Path
) -> None:
    alias, files = "search-moving", [CatalogueFile(shop / "test.parquet")]
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl")
    Ingest(search_client, Bundle.load(tiny_bundle), config, alias=alias).run(files)
    search = ProductSearch(search_client, alias, tiny_bundle)
    assert search("plates").hits
    Ingest(search_client, Bundle.load(tiny_bundle), config, alias=alias, new_index=True).run(files)
    assert search("plates").hits, "the same model in a new index goes on"
    Ingest(search_client, Bundle.load(other_bundle), config, alias=alias, new_index=True).run(files)
    with pytest.raises(FingerprintError, match="holds vectors of model"):
        search("plates")
    assert ProductSearch(search_client, alias, other_bundle)("plates").hits


class Line:
    """A TCP line to the node that can be cut, so that requests break where a network breaks them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._node = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A blocked accept is woken only by a shutdown.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._node)
            self._open += [near, far]
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, request: bool) -> None:
        # Either end may be gone already, which is what this line is for.
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not (self.cut and request):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(node: NodeStatus) -> Iterator[Line]:
    line = Line(node.url)
    yield line
    line.close()


def test_a_node_that_goes_away_in_mid_request(live: Live, tiny_bundle: Path, line: Line) -> None:
    search = ProductSearch(line.url, "search-shop", tiny_bundle)
    assert search("plates").hits
    line.cut = True
    with pytest.raises(ClusterUnavailableError, match=line.url):
        search("plates")
    line.cut = False
    assert search("plates").hits, "the search recovers with its node"
    search.client.close()


def test_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(ClusterUnavailableError, match=f"Nothing answers at http://127.0.0.1:{port}"):
        ProductSearch(f"http://127.0.0.1:{port}", "search-shop")
