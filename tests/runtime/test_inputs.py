"""Several images of a product: which are read, and that the vector is made of their mean."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipita.catalogue.product import ImageSource, Product
from clipita.errors import ImageError
from clipita.runtime import Bundle, ProductEncoder, ProductInput
from clipita.runtime.inputs import assemble, prepare_product

TOLERANCE = 2e-6


def source(colour: str) -> ImageSource:
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").point(lambda value: value // 2).save(stream, "PNG")
    drawn = Image.open(stream)
    drawn.paste(colour, (40, 40, 200, 140))
    stream = io.BytesIO()
    drawn.save(stream, "PNG")
    return ImageSource(data=stream.getvalue())


RED, BLUE, GREEN = map(source, ("red", "blue", "green"))
BROKEN = ImageSource(data=b"<html>404</html>", location="https://h/a.jpg")


@pytest.fixture(scope="module")
def encoder(gated_bundle: Path) -> ProductEncoder:
    return ProductEncoder(Bundle.load(gated_bundle))


def prepared(encoder: ProductEncoder, *images: ImageSource, title: str | None = None) -> ProductInput:
    return encoder.prepare(Product("p", title, images=images))


def test_images_that_cannot_be_read_beside_others_are_told(encoder: ProductEncoder) -> None:
    item = prepared(encoder, BROKEN, RED, ImageSource(problem="the image is a data: URI without base64: x"), BLUE)
    assert len(item.images) == 2
    assert [(place, reason.partition(":")[0]) for place, reason in item.broken_images] == [
        (0, "the image is not of a known format"), (2, "the image is a data"),
    ]  # fmt: skip
    np.testing.assert_array_equal(item.images[0], prepared(encoder, RED).images[0])
    with pytest.raises(ImageError, match="not of a known format"):
        prepared(encoder, BROKEN, BROKEN, title="has words too")


def test_no_more_images_are_opened_than_are_read(encoder: ProductEncoder) -> None:
    bundle = encoder.bundle
    item = prepare_product(Product("p", images=(BROKEN, RED, BROKEN, BLUE)), "ITA", bundle.image_spec, 1)
    assert (len(item.images), [place for place, _ in item.broken_images]) == (1, [0])
    assert prepare_product(Product("p", "words", images=(BROKEN,)), "TA", bundle.image_spec).images == ()


def test_the_image_part_is_the_mean(encoder: ProductEncoder) -> None:
    red, blue, both, swapped, twice = encoder.features(
        [
            prepared(encoder, *images)
            for images in ((RED,), (BLUE,), (RED, BLUE), (BLUE, RED), (RED, ImageSource(data=RED.data, location="r")))
        ]
    )
    mean = (red + blue) / np.linalg.norm(red + blue)
    np.testing.assert_allclose(both, mean, atol=TOLERANCE)
    np.testing.assert_allclose(swapped, both, atol=TOLERANCE)
    np.testing.assert_allclose(twice, red, atol=TOLERANCE)
    assert red @ blue < 0.9999


def test_neighbours_with_more_or_no_images_do_not_matter(encoder: ProductEncoder) -> None:
    batch = [
        prepared(encoder, RED, title="a plate"), prepared(encoder, title="a kite"),
        prepared(encoder, RED, BLUE, GREEN, title="a board"), prepared(encoder, GREEN),
    ]  # fmt: skip
    alone = np.concatenate([encoder.encode([item]) for item in batch])
    np.testing.assert_allclose(encoder.encode(batch), alone, atol=TOLERANCE)


def test_one_image_each_is_what_the_tower_gives(encoder: ProductEncoder) -> None:
    """The weights of such a batch pick rows as they are: bit for bit what the graph gave without weights."""
    spec, tokenizer = encoder.bundle.image_spec, encoder._tokenizer
    weights = assemble([prepared(encoder, RED), prepared(encoder, BLUE)], spec, tokenizer)["image_weights"]
    features = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    np.testing.assert_array_equal(weights, np.eye(2, dtype=np.float32))
    np.testing.assert_array_equal(weights @ features, features)


def test_no_more_images_run_at_once_than_products(encoder: ProductEncoder, gated_bundle: Path) -> None:
    spied, counts = ProductEncoder(Bundle.load(gated_bundle)), []
    session_run = spied._session_run

    def spy(outputs: list[str], tensors: dict[str, Any]) -> list[Any]:
        counts.append((len(tensors["has_title"]), len(tensors["pixels"])))
        return session_run(outputs, tensors)

    spied._session_run = spy  # type: ignore[method-assign]
    batch = [prepared(encoder, RED, BLUE, GREEN, title=f"plate {number}") for number in range(5)]
    batch += [prepared(encoder, title=f"kite {number}") for number in range(4)]
    vectors = spied.encode(batch)
    assert counts == [(2, 6), (2, 6), (5, 3)]
    np.testing.assert_allclose(vectors, np.concatenate([encoder.encode([item]) for item in batch]), atol=TOLERANCE)
