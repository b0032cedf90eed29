"""What a vector depends on: the product alone, never its neighbours in the batch or what was encoded before."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import DeviceError, ImageError, ProductError
from clipita.runtime import Bundle, ProductEncoder, ProductInput, TextEncoder
from clipita.runtime.encoders import FeatureCache

TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def inputs(bundle: Bundle, shop: Path) -> list[ProductInput]:
    encoder = ProductEncoder(bundle)
    prepared = [encoder.prepare(product) for product in CatalogueFile(shop / "train.parquet").products(lambda _: None)]
    return prepared[:64]


@pytest.fixture(scope="module")
def vectors(bundle: Bundle, inputs: list[ProductInput]) -> np.ndarray[Any, Any]:
    return ProductEncoder(bundle).encode(inputs)


def test_vectors_are_of_length_one_and_differ(vectors: np.ndarray[Any, Any]) -> None:
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert len(np.unique(vectors.round(4), axis=0)) > 32


def test_a_batch_of_one_equals_a_batch_of_64(
    bundle: Bundle, inputs: list[ProductInput], vectors: np.ndarray[Any, Any]
) -> None:
    encoder = ProductEncoder(bundle)
    alone = np.concatenate([encoder.encode([item]) for item in inputs])
    np.testing.assert_allclose(alone, vectors, atol=TOLERANCE)


def test_order_does_not_matter(bundle: Bundle, inputs: list[ProductInput], vectors: np.ndarray[Any, Any]) -> None:
    order = random.Random(0).sample(range(len(inputs)), len(inputs))
    shuffled = ProductEncoder(bundle).encode([inputs[position] for position in order])
    np.testing.assert_allclose(shuffled, vectors[order], atol=TOLERANCE)


def test_a_long_neighbour_does_not_matter(
    bundle: Bundle, inputs: list[ProductInput], vectors: np.ndarray[Any, Any]
) -> None:
    long = ProductInput("word " * 500, tuple(f"name {number}: {'value ' * 40}" for number in range(9)))
    assert np.allclose(ProductEncoder(bundle).encode([long, inputs[0]])[1], vectors[0], atol=TOLERANCE)


@pytest.mark.parametrize("capacity", [0, 1, 3, 1000])
def test_remembered_attributes_give_the_same_vectors(
    bundle: Bundle, inputs: list[ProductInput], vectors: np.ndarray[Any, Any], capacity: int
) -> None:
    encoder = ProductEncoder(bundle, cache=FeatureCache(capacity))
    for start in range(0, 64, 8):
        part = encoder.encode(inputs[start : start + 8])
        np.testing.assert_allclose(part, vectors[start : start + 8], atol=TOLERANCE)


def test_an_attribute_is_encoded_once_a_run(bundle: Bundle, inputs: list[ProductInput]) -> None:
    cache = FeatureCache()
    encoder = ProductEncoder(bundle, cache=cache)
    lengths = []
    session_run = encoder._session_run

    def spy(outputs: list[str], tensors: dict[str, Any]) -> list[Any]:
        lengths.append(len(tensors["attribute_ids"]) if "attribute_features" in outputs else 0)
        return session_run(outputs, tensors)

    encoder._session_run = spy  # type: ignore[method-assign]
    for start in range(0, 64, 16):
        encoder.encode(inputs[start : start + 16])
    distinct = {text for item in inputs for text in item.attributes}
    assert sum(lengths) == len(distinct) == len(cache)


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = FeatureCache(2)
    row = np.ones(3, dtype=np.float32)
    cache.remember({"a": row, "b": row})
    cache.known(["a"])
    cache.remember({"c": row})
    assert set(cache.known(["a", "b", "c"])) == {"a", "c"}


def test_every_gap_gives_a_vector(bundle: Bundle, inputs: list[ProductInput]) -> None:
    item = inputs[0]
    gaps = [
        replace(item, images=()),
        replace(item, title=None),
        replace(item, attributes=()),
        ProductInput(title=item.title),
        ProductInput(attributes=item.attributes),
        ProductInput(images=item.images),
    ]
    encoder = ProductEncoder(bundle)
    together = encoder.encode(gaps)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([encoder.encode([gap]) for gap in gaps]), together, atol=TOLERANCE)
    assert len(np.unique(together.round(4), axis=0)) == len(gaps)


def test_what_is_masked_cannot_matter(bundle: Bundle, inputs: list[ProductInput]) -> None:
    """A missing picture is no black picture, and a missing title is no empty one."""
    item = inputs[0]
    black = replace(item, images=(np.zeros_like(item.images[0]),))
    vectors = ProductEncoder(bundle).encode([replace(item, images=()), black, replace(item, title=None)])
    assert vectors[0] @ vectors[1] < 0.9999
    batch = ProductEncoder(bundle).encode([replace(inputs[1], images=()), replace(item, images=())])
    np.testing.assert_allclose(batch[1], vectors[0], atol=TOLERANCE)


def test_a_batch_where_every_image_is_missing(bundle: Bundle, inputs: list[ProductInput]) -> None:
    blind = [replace(item, images=()) for item in inputs[:8]]
    mixed = ProductEncoder(bundle).encode([*blind, inputs[8]])[:8]
    np.testing.assert_allclose(ProductEncoder(bundle).encode(blind), mixed, atol=TOLERANCE)


def test_an_attribute_named_twice_counts_twice(bundle: Bundle) -> None:
    once, twice, balanced = ProductEncoder(bundle).encode(
        [
            ProductInput(attributes=("colour: red", "size: M")),
            ProductInput(attributes=("colour: red", "size: M", "size: M")),
            ProductInput(attributes=("colour: red", "size: M", "colour: red", "size: M")),
        ]
    )
    np.testing.assert_allclose(once, balanced, atol=TOLERANCE)
    assert not np.allclose(once, twice, atol=1e-4)


def test_nothing_gives_nothing(bundle: Bundle) -> None:
    assert ProductEncoder(bundle).encode([]).shape == (0, bundle.dim)
    assert TextEncoder(bundle).encode([]).shape == (0, bundle.dim)
    assert TextEncoder(bundle).features([]).shape == (0, TextEncoder(bundle).features(["a"]).shape[1])


def test_texts_come_back_in_order_and_repeats_agree(bundle: Bundle) -> None:
    encoder = TextEncoder(bundle)
    texts = ["kite", "a " * 40, "", "   ", "Kite", "kite", *(f"plate {number}" for number in range(200)), "kite"]
    vectors = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=TOLERANCE)
    np.testing.assert_array_equal(vectors[0], vectors[-1])


@pytest.mark.parametrize("size", [1, 5, 64])
def test_a_full_device_halves_the_batch_and_says_so(
    bundle: Bundle,
    inputs: list[ProductInput],
    vectors: np.ndarray[Any, Any],
    size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No GPU here whose memory could be filled: the session's answer is replaced by CUDA's own words."""
    encoder = ProductEncoder(bundle)
    session_run = encoder._session_run

    def cramped(outputs: list[str], tensors: dict[str, Any]) -> list[Any]:
        if len(tensors["pixels"]) > size:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 4294967296")
        return session_run(outputs, tensors)

    encoder._session_run = cramped  # type: ignore[method-assign]
    np.testing.assert_allclose(encoder.encode(inputs), vectors, atol=TOLERANCE)
    assert encoder.largest_batch == {1: 1, 5: 4, 64: None}[size]
    told = [record.getMessage() for record in caplog.records]
    assert ("Out of device memory at batch size 64; retrying with 32." in told) is (size < 64)
    assert len(told) == {1: 6, 5: 4, 64: 0}[size]


def test_a_full_device_halves_a_batch_of_texts(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    """As above: CUDA's words."""
    texts = [f"{'wide ' * (number % 5)}plate {number}" for number in range(70)]
    encoder = TextEncoder(bundle)
    expected, session = encoder.encode(texts), encoder._session

    class Cramped:
        def run(self, outputs: list[str], feeds: dict[str, Any]) -> Any:
            if len(feeds["ids"]) > 20:
                raise RuntimeError("CUDA failure 2: out of memory")
            return session.run(outputs, feeds)

    encoder._session = Cramped()
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=TOLERANCE)
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["32.", "16."]


def test_a_device_too_small_for_one_product_is_an_error(bundle: Bundle, inputs: list[ProductInput]) -> None:
    """As above: CUDA's words."""
    encoder = ProductEncoder(bundle)

    def full(outputs: list[str], tensors: dict[str, Any]) -> list[Any]:
        raise RuntimeError("CUDA failure 2: out of memory")

    encoder._session_run = full  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="does not hold the model and one input"):
        encoder.encode(inputs)


def test_other_faults_of_the_runtime_are_not_taken_for_a_full_device(bundle: Bundle) -> None:
    wrong = ProductInput("a", (), (np.zeros((3, 3, 3), dtype=np.uint8),))
    with pytest.raises(ValueError, match="broadcast"):
        ProductEncoder(bundle).encode([wrong])


def test_a_product_without_anything_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ProductError, match="no image and no title and no attributes"):
        ProductEncoder(bundle).prepare(Product("p1", title="  "))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_broken_picture_is_refused(bundle: Bundle) -> None:
    whole = saved(Image.effect_noise((300, 200), 80), "JPEG")
    for data in (b"\xff\xd8\xff truncated", whole[: len(whole) // 2], b""):
        with pytest.raises(ImageError):
            ProductEncoder(bundle).prepare(Product("p1", title="a kite", images=(ImageSource(data),)))


def test_odd_pictures_get_vectors(bundle: Bundle) -> None:
    """One pixel, CMYK, 16 bits, an animation, WebP, alpha, turned by EXIF: all the way to the vector."""
    drawn = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "one pixel": saved(Image.new("RGB", (1, 1), "red")),
        "cmyk": saved(drawn.convert("CMYK"), "JPEG"),
        "16 bit": saved(Image.fromarray(np.arange(5400, dtype=np.uint16).reshape(60, 90) * 12)),
        "animation": saved(drawn, "GIF", save_all=True, append_images=[drawn.rotate(180)]),
        "webp": saved(drawn, "WEBP"),
        "alpha": saved(Image.merge("RGBA", (*drawn.split(), Image.radial_gradient("L").resize(drawn.size)))),
        "turned": saved(drawn, "JPEG", exif=exif),
    }
    if features.check("avif"):
        files["avif"] = saved(drawn, "AVIF")
    encoder = ProductEncoder(bundle)
    vectors = encoder.encode(
        [encoder.prepare(Product(name, images=(ImageSource(data),))) for name, data in files.items()]
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert len(np.unique(vectors.round(4), axis=0)) >= len(files) - 2, "WebP and AVIF of one picture may agree"
