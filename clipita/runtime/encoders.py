"""The two encoders a bundle holds: texts to vectors, products to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Product
from clipita.errors import ProductError
from clipita.runtime.bundle import PRODUCT_GRAPH, TEXT_GRAPH, TOKENIZER, Bundle
from clipita.runtime.preprocess import ImageSpec, Tokenizer, to_pixels
from clipita.runtime.session import open_session

Vectors = npt.NDArray[np.float32]
TEXT_BATCH = 64


@dataclass(frozen=True, slots=True)
class ProductInput:
    """A product, ready for the encoder.

    Attributes:
        title: None where it has none.
        attributes: one text an attribute.
        pixels: uint8 [height, width, 3], or None where it has no picture.
    """

    title: str | None = None
    attributes: tuple[str, ...] = ()
    pixels: npt.NDArray[np.uint8] | None = field(default=None, repr=False)


def prepare_product(product: Product, modalities: str, spec: ImageSpec) -> ProductInput:
    """Take what the model reads from a product; its picture is decoded and resized.

    Raises:
        ImageError: the picture cannot be read.
        ProductError: the product has nothing that the model reads.
    """
    from clipita.catalogue.images import load_image

    pixels = None
    if "I" in modalities and product.image is not None:
        pixels = to_pixels(load_image(product.image), spec)
    title = product.title if "T" in modalities and product.title and product.title.strip() else None
    attributes = tuple(product.attribute_texts) if "A" in modalities else ()
    if pixels is None and title is None and not attributes:
        readable = {"I": "image", "T": "title", "A": "attributes"}
        raise ProductError(f"has no {' and no '.join(readable[m] for m in modalities)}, so it gets no vector")
    return ProductInput(title, attributes, pixels)


def assemble(inputs: Sequence[ProductInput], spec: ImageSpec, tokenizer: Tokenizer) -> dict[str, npt.NDArray[Any]]:
    """Products as the graph's input tensors.

    Returns:
        pixels uint8 [B, H, W, 3]; has_image bool [B]; title_ids int64 [B, L]; has_title bool [B]; attribute_ids
        int64 [U, L'], each distinct attribute text of the batch once; attribute_weights float32 [B, U], whose rows
        average a product's attributes (all zero where it has none).
    """
    distinct: dict[str, int] = {}
    for item in inputs:
        for text in item.attributes:
            distinct.setdefault(text, len(distinct))
    # A graph needs at least one row; its weights are zero when no product has an attribute.
    weights = np.zeros((len(inputs), max(1, len(distinct))), dtype=np.float32)
    pixels = np.zeros((len(inputs), spec.height, spec.width, 3), dtype=np.uint8)
    for row, item in enumerate(inputs):
        for text in item.attributes:
            weights[row, distinct[text]] += 1.0 / len(item.attributes)
        if item.pixels is not None:
            pixels[row] = item.pixels
    return {
        "pixels": pixels,
        "has_image": np.array([item.pixels is not None for item in inputs]),
        "title_ids": tokenizer([item.title or "" for item in inputs]),
        "has_title": np.array([item.title is not None for item in inputs]),
        "attribute_ids": tokenizer(list(distinct) or [""]),
        "attribute_weights": weights,
    }


class TextEncoder:
    """Category names and other queries to vectors.

    Args:
        bundle: where the graph is.
        device: cpu, cuda or cuda:N.

    Raises:
        DeviceError: the device is not there.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.bundle = bundle
        self._session = open_session(bundle.path / TEXT_GRAPH, device)
        self._tokenizer = Tokenizer.load(bundle.path / TOKENIZER, bundle.text_spec)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 [len(texts), dim]."""
        return self._run(texts, "vector")

    def features(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the text tower without the head (zero-shot), float32 [len(texts), F]."""
        return self._run(texts, "features")

    def _run(self, texts: Sequence[str], output: str) -> Vectors:
        if not texts:
            return np.zeros((0, self.bundle.dim), dtype=np.float32)
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        batches = [order[start : start + TEXT_BATCH] for start in range(0, len(order), TEXT_BATCH)]
        parts = [
            self._session.run([output], {"ids": self._tokenizer([texts[position] for position in batch])})[0]
            for batch in batches
        ]
        vectors = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        vectors[order] = np.concatenate(parts)
        return vectors


class ProductEncoder:
    """Products to vectors.

    Args:
        bundle: where the graph is.
        device: cpu, cuda or cuda:N.

    Raises:
        DeviceError: the device is not there.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.bundle = bundle
        self._image_spec = bundle.image_spec
        self._session = open_session(bundle.path / PRODUCT_GRAPH, device)
        self._tokenizer = Tokenizer.load(bundle.path / TOKENIZER, bundle.text_spec)
        self._wanted = {entry.name for entry in self._session.get_inputs()}

    def prepare(self, product: Product) -> ProductInput:
        """Decode and resize the picture and pick the texts; safe to call from several threads.

        Raises:
            ImageError: the picture cannot be read.
            ProductError: the product has nothing that the model reads.
        """
        return prepare_product(product, self.bundle.modalities, self._image_spec)

    def encode(self, inputs: Sequence[ProductInput]) -> Vectors:
        """Unit vectors of one batch, float32 [len(inputs), dim]."""
        return self._run(inputs, "vector")

    def features(self, inputs: Sequence[ProductInput]) -> Vectors:
        """Unit vectors of the towers without the head (zero-shot), float32 [len(inputs), F]."""
        return self._run(inputs, "features")

    def _run(self, inputs: Sequence[ProductInput], output: str) -> Vectors:
        if not inputs:
            return np.zeros((0, self.bundle.dim), dtype=np.float32)
        tensors = assemble(inputs, self._image_spec, self._tokenizer)
        feeds = {name: value for name, value in tensors.items() if name in self._wanted}
        vectors: Vectors = self._session.run([output], feeds)[0]
        return vectors
