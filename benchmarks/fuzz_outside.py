"""Targets of fuzz.py that come from outside: locations of images, answers to bulks, requests to the server."""

from __future__ import annotations

import copy
import json
import os
import select
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fuzz_mutation import Target, mutated, mutations
from hypothesis import strategies as st
from PIL import Image

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.reader import CatalogueFile
from clipita.config import OpenSearchConfig
from clipita.errors import RequestError
from clipita.opensearch.cluster.bulk import BulkWriter, Document
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.retry import Backoff

SERVER = "CLIPITA_FUZZ_SERVER"
"""The variable that names a running `clipita serve`."""
ANSWER_SECONDS = 0.5
SECRET = (7, 7)
"""Size of the image that lies outside of the catalogue's folder."""


def locations(folder: Path) -> Target:
    """Paths and URLs of images in a catalogue; none leaves its folder or reaches this machine."""
    shop = folder / "shop"
    (shop / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30)).save(shop / "images" / "a.jpg")
    Image.new("RGB", SECRET).save(folder / "secret.jpg")
    (shop / "link.jpg").symlink_to(folder / "secret.jpg")
    os.mkfifo(shop / "pipe.jpg")
    seeds = [
        "images/a.jpg", "./images/../images/a.jpg", "../secret.jpg", "link.jpg", "pipe.jpg", "/dev/zero", "images",
        str(folder / "secret.jpg"), f"file://{folder}/secret.jpg", "/proc/self/environ", "~root/.ssh/id_rsa",
        "http://127.0.0.1:9/a.jpg", "http://127.0.0.1:99999/a.jpg", "https://[::1]:70000/a.jpg", "//127.0.0.1/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg", "http://0x7f000001/a.jpg", "http://user:pw@127.0.0.1\\@0.0.0.0/a.jpg",
        "http://2130706433/", "http://127.0.0.1/%00%0d%0a", "http://[64:ff9b::7f00:1]/", "http://169.254.169.254/",
        "ftp://127.0.0.1/a.jpg", "http:///a.jpg", "data:image/png;base64,iVBORw0KGgo=", "data:,", "javascript:alert(1)",
    ]  # fmt: skip
    file = shop / "c.jsonl"

    def read(case: tuple[str, bytes]) -> None:
        base, script = case
        # A damaged host would be looked up by name, which takes seconds.
        host = "/".join([*base.split("/")[:3], ""]) if "//" in base else ""
        text = host + mutated(base[len(host) :].encode(), script).decode("utf-8", "replace").replace("\ufffd", "\ud800")
        row = json.dumps({"product_id": "p", "title": "kurta", "image": text})
        file.write_text(row + "\n", encoding="utf-8")
        for product in CatalogueFile(file).products(on_reject=lambda _: None):
            if product.image is not None:
                assert load_image(product.image).size != SECRET, "an image outside of the folder was read"

    return mutations(seeds), read


def bulks(_folder: Path) -> Target:
    """Answers to a bulk, of any status; each document is reported once, or the run ends with an error of ours.

    A small server stands for the cluster: no real node gives such answers.
    """
    said: list[tuple[int, bytes]] = [(200, b"{}")]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: the client's system waits 40 ms for the second.
        wbufsize = 2**16

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = said[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            said[0] = 200, b'{"version": {"distribution": "opensearch", "number": "3.6.0"}}'
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = connect(OpenSearchConfig(url=f"http://127.0.0.1:{server.server_port}", timeout=5))
    documents = [Document(f"p{number}", b'{"title": "kurta"}') for number in range(3)]
    item = {"index": {"_index": "shop-1", "_id": "p0", "status": 201, "result": "created", "_seq_no": 1}}
    error = {"type": "mapper_parsing_exception", "reason": "failed to parse", "caused_by": {"reason": "no number"}}
    good = [{"index": {**item["index"], "_id": document.id}} for document in documents]
    bad = [{"index": {"_id": document.id, "status": 400, "error": error}} for document in documents]
    seeds = [
        json.dumps({"took": 1, "errors": kind is bad, "items": kind}, separators=(",", ":")).encode()
        for kind in (good, bad, good[:2], good[:1] + bad[1:])
    ]
    odd = [None, True, [], {}, "created", 201, -1, 10**30, 1e308, {"type": None}, {"reason": {}}, [error], "\ud800",
           {"index": None}, {"caused_by": [1]}, {"type": "index_not_found_exception"}]  # fmt: skip
    places = st.sampled_from(["status", "error", "_id", "index", "items", "errors"])
    edits = st.lists(st.tuples(st.integers(0, 2), places, st.sampled_from(odd)), max_size=3)
    statuses = st.sampled_from([200, 200, 200, 200, 201, 400, 401, 404, 413, 429, 500, 503, 599])

    def read(case: tuple[int, tuple[bytes, bytes], list[tuple[int, str, Any]]]) -> None:
        status, (base, script), changes = case
        answer = json.loads(base)
        for number, place, value in changes:
            if place in ("items", "errors"):
                answer[place] = copy.deepcopy(value)
            elif isinstance(answer["items"], list) and number < len(answer["items"]):
                entry = answer["items"][number]
                if place == "index" or not isinstance(entry.get("index"), dict):
                    entry["index"] = copy.deepcopy(value)
                else:
                    entry["index"][place] = copy.deepcopy(value)
        said[0] = status, mutated(json.dumps(answer).encode(), script)
        reported: Counter[str] = Counter()
        backoff = Backoff(patience=0.0, first_wait=0.0)
        BulkWriter(client, "shop-1", lambda document, _: reported.update([document.id]), backoff).write(documents)
        assert reported == {document.id: 1 for document in documents}, reported

    return st.tuples(statuses, mutations(seeds) | st.tuples(st.sampled_from(seeds), st.just(b"")), edits), read


def requests(_folder: Path) -> Target:
    """Bytes to a running server; whatever comes, it answers with anything but a defect of its own."""
    parts = urlsplit(os.environ.get(SERVER, ""))
    if parts.port is None:
        raise SystemExit(f"This target needs a running server: set {SERVER} to the address of a clipita serve.")
    address = str(parts.hostname), parts.port
    paths = ["/", "/healthz", "/readyz", "/v1/search?q=plate", "/v1/search?category=Apparel&facet=brand&size=3",
             "/v1/search?q=a&filter[price][lte]=80&sort=-price", "/v1/search?cursor=WzEsWzEuNSwicCJdXQ", "/v1/index",
             "/v1/categories", "/v1/search?q=red&mode=lexical&boost=popularity:sales:0.3", "/docs", "/openapi.json",
             "/metrics", "/v1/embed/text", "/v1/embed/product", "/v1/classify", "/static/../../etc/passwd"]  # fmt: skip
    bodies = [b"", b'{"query": "plate"}', b'{"category": ["Apparel"], "filters": {"price": {"lte": 80}}, "size": 2}',
              b'{"texts": ["a"]}', b'{"query": "a", "facets": ["brand"], "boosts": [{"type": "stock"}]}',
              b'{"products": [{"title": "a", "image": "data:,"}]}', b"[" * 300]  # fmt: skip
    methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"GE T", b"\xff"])
    cases = st.tuples(
        methods, mutations([path.encode() for path in paths]), mutations(bodies), st.binary(max_size=8), st.booleans()
    )

    def read(case: tuple[bytes, tuple[bytes, bytes], tuple[bytes, bytes], bytes, bool]) -> None:
        method, path, body, script, plain = case
        content = mutated(*body)
        head = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(content)
        head = method + b" " + mutated(*path) + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n"
        answer = _exchange(address, (head if plain else mutated(head, script)) + content)
        status = int(answer[9:12]) if answer[9:12].isdigit() else 0
        assert status != 500, answer[:300]
        if not 200 <= status < 300:
            raise RequestError(f"status {status}" if status else "no answer", status=status)

    return cases, read


def _exchange(address: tuple[str, int], request: bytes) -> bytes:
    """What comes back until the server hangs up; a request that it takes for unfinished is given up."""
    answer = b""
    with socket.create_connection(address, timeout=20) as connection:
        try:
            connection.sendall(request)
            if not select.select([connection], [], [], ANSWER_SECONDS)[0]:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            # It hangs up on what is no HTTP at all.
            return answer
    return answer
