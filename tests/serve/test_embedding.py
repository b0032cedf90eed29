"""`/v1/embed/*`: the vectors are the encoders' own, whoever asks at the same time."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import urllib3
from PIL import Image

from clipita.catalogue.product import ImageSource, Product
from clipita.runtime import Bundle, ProductEncoder, TextEncoder

if TYPE_CHECKING:
    from conftest import Launch, Server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def products(shop: Path) -> list[dict[str, Any]]:
    table = pq.read_table(shop / "test.parquet").to_pylist()
    return [
        {
            "title": row["title"],
            "attributes": dict(row["attributes"]),
            "image": base64.b64encode(row["image"]["bytes"]).decode(),
        }
        for row in table[:12]
    ]


def test_texts_asked_for_at_once_share_batches_and_get_their_own_vectors(server: Server, tiny_bundle: Path) -> None:
    texts = [f"plate number {number}" for number in range(60)]
    expected = TextEncoder(Bundle.load(tiny_bundle)).encode(texts)
    with ThreadPoolExecutor(30) as callers:
        answers = list(callers.map(lambda text: server("/v1/embed/text", {"texts": [text]}).json, texts))
    vectors = np.array([answer["vectors"][0] for answer in answers])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert {answer["fingerprint"] for answer in answers} == {Bundle.load(tiny_bundle).fingerprint}
    metrics = server("/metrics").body.decode()
    batches = float(re.search(r'clipita_encoder_batch_items_count\{encoder="text"\} (\S+)', metrics)[1])  # type: ignore[index]
    assert batches < 60, "each text was encoded alone"


def test_products_as_json_and_as_a_form(server: Server, tiny_bundle: Path, products: list[dict[str, Any]]) -> None:
    encoder = ProductEncoder(Bundle.load(tiny_bundle))
    inputs = [
        encoder.prepare(
            Product("p", p["title"], p["attributes"], images=(ImageSource(data=base64.b64decode(p["image"])),))
        )
        for p in products
    ]
    expected = encoder.encode(inputs)
    answer = server("/v1/embed/product", {"products": products}).json
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-5)
    first = products[0]
    body, kind = urllib3.encode_multipart_formdata(
        {
            "title": first["title"],
            "attributes": json.dumps(first["attributes"]),
            "image": ("p.jpg", base64.b64decode(first["image"]), "image/jpeg"),
        }
    )
    form = server("/v1/embed/product", body, content_type=kind)
    assert form.status == 200, form.body
    np.testing.assert_allclose(form.json["vectors"][0], expected[0], atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/embed/text", {"texts": []}, "texts: expected array of length >= 1"),
        ("/v1/embed/text", {"texts": [""]}, "texts[0] is empty"),
        ("/v1/embed/text", {"texts": ["a", 7]}, "texts[1]: expected str, got int"),
        ("/v1/embed/text", {"words": ["a"]}, "unknown field words"),
        ("/v1/embed/text", {"texts": ["a"] * 257}, "texts: expected array of length <= 256"),
        ("/v1/embed/product", {"products": []}, "products: expected array of length >= 1"),
        ("/v1/embed/product", {"products": [{}]}, "products[0] has neither title nor attributes nor image"),
        ("/v1/embed/product", {"products": [{"title": "  "}]}, "no vector"),
        (
            "/v1/embed/product",
            {"title": "a", "image": "/etc/passwd"},
            "image: invalid base64",
        ),
        (
            "/v1/embed/product",
            {"title": "a", "image": "http://127.0.0.1/"},
            "image: invalid base64",
        ),
        ("/v1/embed/product", {"title": "a", "image": base64.b64encode(b"no picture").decode()}, "known format"),
        (
            "/v1/embed/product",
            {"title": "a", "attributes": {"colour": {"x": 1}}},
            "attributes[...]: expected str, got",
        ),
        ("/v1/embed/product", {"title": ["a"]}, "title: expected str"),
    ],
)
def test_what_is_off_is_told(server: Server, path: str, body: Any, words: str) -> None:
    answer = server(path, body)
    assert answer.status == 400, answer.body
    assert words in f"{answer.json['error']} {answer.json['hint']}"


def large_image() -> str:
    """7,000 x 7,000 pixels of one bit in 6 kB, base64."""
    stream = io.BytesIO()
    Image.new("1", (7000, 7000)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_a_request_of_many_large_images_is_refused(server: Server) -> None:
    start = time.monotonic()
    answer = server("/v1/embed/product", {"products": [{"image": large_image()}] * 32})
    assert answer.status == 413, answer.body
    assert "1,568,000,000 pixels together; the limit is 100,000,000" in answer.json["error"]
    assert time.monotonic() - start < 2
    assert server("/v1/embed/product", {"products": [{"image": large_image()}] * 2}).status == 200


def test_large_images_hold_up_nobody(server: Server, products: list[dict[str, Any]]) -> None:
    large = {"products": [{"image": large_image()}] * 2}
    with ThreadPoolExecutor(8) as callers:
        others = [callers.submit(server, "/v1/embed/product", large) for _ in range(8)]
        server("/v1/embed/product", {"products": products[:1]})
        assert not all(other.done() for other in others)
        assert {other.result().status for other in others} <= {200, 503}


def test_a_full_queue_refuses_and_says_when_to_come_back(launch: Launch, products: list[dict[str, Any]]) -> None:
    server = launch(CLIPITA_SERVE_QUEUE="32", CLIPITA_SERVE_BATCH_SIZE="4")
    many = {"products": (products * 3)[:30]}
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: server("/v1/embed/product", many), range(12)))
    statuses = {answer.status for answer in answers}
    assert statuses == {200, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert int(refused.headers["retry-after"]) > 0
    assert server("/v1/embed/product", {"products": products[:1]}).status == 200, "it did not recover"
