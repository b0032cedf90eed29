"""Pictures by URL, from a real server into the real node: fetched once, seen when they change, missed when away."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch
from PIL import Image

from clipita.catalogue.images import download
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.local.node import NodeStatus

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
PRODUCTS = 30


class PictureServer(ThreadingHTTPServer):
    """The shop's pictures by product, each with its own bytes as its validator."""

    def __init__(self, pictures: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pictures = pictures
        self.away = False
        self.statuses: Counter[int] = Counter()


class Handler(BaseHTTPRequestHandler):
    server: PictureServer

    def do_GET(self) -> None:
        data = self.server.pictures.get(self.path[1:], b"")
        etag = f'"{hash(data)}"'
        status = 503 if self.server.away else 304 if self.headers["If-None-Match"] == etag else 200
        self.server.statuses[status] += 1
        self.send_response(status)
        self.send_header("ETag", etag)
        if status == 200:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status == 200:
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureServer]:
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)
    rows = pq.read_table(shop / "train.parquet").slice(0, PRODUCTS).to_pylist()
    server = PictureServer({row["product_id"]: row["image"]["bytes"] for row in rows})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    download.configure(["127.0.0.1"], tmp_path / "pictures")
    yield server
    download.configure()
    server.shutdown()
    thread.join()
    server.server_close()


def catalogue(shop: Path, server: PictureServer, file: Path, **changes: Any) -> Path:
    rows = pq.read_table(shop / "train.parquet").slice(0, PRODUCTS).to_pylist()
    lines = []
    for row in rows:
        url = f"http://127.0.0.1:{server.server_port}/{row['product_id']}"
        lines.append(json.dumps({**row, "attributes": dict(row["attributes"]), "image": url, **changes}))
    lines.append(json.dumps({"product_id": "plain", "title": "without a picture"}))
    file.write_text("\n".join(lines))
    return file


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def vectors(client: OpenSearch, alias: str) -> dict[str, Any]:
    hits = client.search(index=alias, body={"size": 100, "_source": ["product_vector"]})["hits"]["hits"]
    return {hit["_id"]: hit["_source"].get("product_vector") for hit in hits}


def test_only_what_changed_on_the_server_is_encoded_again(
    ingest: Run, shop: Path, server: PictureServer, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = catalogue(shop, server, tmp_path / "urls.jsonl")
    assert counted(ingest(file)) == {"written": PRODUCTS + 1}
    before = vectors(client, alias)
    report = ingest(file)
    assert (counted(report), report.encoded) == ({"unchanged": PRODUCTS + 1}, 0)
    assert server.statuses == {200: PRODUCTS, 304: PRODUCTS}
    server.pictures["p0003"] = server.pictures["p0004"]
    report = ingest(file)
    assert (counted(report), report.encoded) == ({"written": 1, "unchanged": PRODUCTS}, 1)
    after = vectors(client, alias)
    assert [id_ for id_ in after if after[id_] != before[id_]] == ["p0003"]
    assert "thumbnail" not in client.get(index=alias, id="p0003")["_source"]["clipita"]


def test_same_pictures_as_bytes_and_by_url_make_the_same_vectors(
    ingest: Run, shop: Path, server: PictureServer, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    part = tmp_path / "bytes.parquet"
    pq.write_table(pq.read_table(shop / "train.parquet").slice(0, PRODUCTS), part)
    ingest(part)
    before = vectors(client, alias)
    report = ingest(catalogue(shop, server, tmp_path / "urls.jsonl"))
    # The location is another one, so the documents are; what the vectors are made of is not.
    assert (counted(report), report.encoded) == ({"written": 1, "updated": PRODUCTS}, 1)
    assert {id_: vector for id_, vector in vectors(client, alias).items() if id_ != "plain"} == before


def test_server_that_is_away_costs_no_vector(
    ingest: Run, shop: Path, server: PictureServer, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    ingest(catalogue(shop, server, tmp_path / "urls.jsonl"))
    before = vectors(client, alias)
    server.away = True
    assert counted(ingest(tmp_path / "urls.jsonl")) == {"unchanged": PRODUCTS + 1}
    # On a machine that has no copy of the pictures.
    download.configure(["127.0.0.1"], tmp_path / "empty")
    report = ingest(catalogue(shop, server, tmp_path / "urls.jsonl", price=77.0))
    assert (counted(report), report.encoded) == ({"updated": PRODUCTS, "unchanged": 1}, 0)
    assert report.image_warnings == PRODUCTS
    warnings = (tmp_path / "image-warnings.jsonl").read_text().splitlines()
    assert "answers with status 503" in json.loads(warnings[0])["reason"]
    report = ingest(tmp_path / "urls.jsonl")
    assert (counted(report), report.image_warnings) == ({"unchanged": PRODUCTS + 1}, PRODUCTS)
    client.indices.refresh(index=alias)
    assert vectors(client, alias) == before
    assert client.count(index=alias, body={"query": {"term": {"price": 77.0}}})["count"] == PRODUCTS
    server.away = False
    report = ingest(tmp_path / "urls.jsonl")
    assert (counted(report), report.encoded) == ({"updated": PRODUCTS, "unchanged": 1}, 0)
    assert counted(ingest(tmp_path / "urls.jsonl")) == {"unchanged": PRODUCTS + 1}


def test_new_products_of_a_server_that_is_away_get_their_image_with_the_next_run(
    ingest: Run, shop: Path, server: PictureServer, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = catalogue(shop, server, tmp_path / "urls.jsonl")
    del server.pictures["p0005"]
    report = ingest(file)
    assert (counted(report), report.image_warnings) == ({"written": PRODUCTS + 1}, 1)
    assert counted(ingest(file)) == {"unchanged": PRODUCTS + 1}
    row = pq.read_table(shop / "train.parquet").slice(5, 1).to_pylist()[0]
    server.pictures["p0005"] = row["image"]["bytes"]
    assert counted(ingest(file)) == {"written": 1, "unchanged": PRODUCTS}


def test_an_image_that_fails_in_an_odd_way_is_the_trouble_of_its_row_alone(
    ingest: Run, shop: Path, server: PictureServer, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = catalogue(shop, server, tmp_path / "urls.jsonl")
    tall = io.BytesIO()
    Image.new("1", (1, 60_000)).save(tall, "PNG")
    server.pictures["p0006"] = tall.getvalue()
    text = file.read_text()
    file.write_text(text.replace(f":{server.server_port}/p0005", ":99999/p0005"))
    ingest(file)
    client.indices.refresh(index=alias)
    assert {"p0004", "p0005", "p0006", "plain"} <= set(vectors(client, alias))
    lines = [json.loads(line) for line in (tmp_path / "image-warnings.jsonl").read_text().splitlines()]
    assert [(line["id"], "has no port 99999" in line["reason"]) for line in lines] == [("p0005", True)]


@pytest.mark.parametrize(("allowed", "written"), [([], 0), (["--allow-private-hosts", "127.0.0.0/8"], PRODUCTS)])
def test_command_refuses_private_hosts_unless_they_are_named(
    shop: Path, server: PictureServer, node: NodeStatus, tiny_bundle: Path, alias: str, tmp_path: Path,
    allowed: list[str], written: int,
) -> None:  # fmt: skip
    file = catalogue(shop, server, tmp_path / "urls.jsonl")
    run = [sys.executable, "-m", "clipita.cli", "ingest", str(file), "--model", str(tiny_bundle), "--url", node.url]
    done = subprocess.run(
        [*run, "--index", alias, "--json", *allowed], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if written:
        assert json.loads(done.stdout)["counts"]["written"] == written + 1
        assert len(list((tmp_path / ".clipita" / "images").glob("??/*"))) == written
    else:
        assert done.returncode == 0
        assert json.loads(done.stdout)["image_warnings"] == PRODUCTS
        assert (
            "not a public address; --allow-private-hosts 127.0.0.1 allows it"
            in (tmp_path / "image-warnings.jsonl").read_text()
        )
        assert not server.statuses
