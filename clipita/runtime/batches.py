"""Products as the product graph's input tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Product
from clipita.errors import ProductError
from clipita.runtime.preprocess import ImageSpec, Tokenizer, decode_size, to_pixels

Feature = npt.NDArray[np.float32]


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
        pixels = to_pixels(load_image(product.image, at_least=decode_size(spec)), spec)
    title = product.title if "T" in modalities and product.title and product.title.strip() else None
    attributes = tuple(product.attribute_texts) if "A" in modalities else ()
    if pixels is None and title is None and not attributes:
        readable = {"I": "image", "T": "title", "A": "attributes"}
        raise ProductError(f"has no {' and no '.join(readable[m] for m in modalities)}, so it gets no vector")
    return ProductInput(title, attributes, pixels)


def distinct_attributes(inputs: Sequence[ProductInput]) -> list[str]:
    """Each attribute text of a batch once, in the order of appearance."""
    return list(dict.fromkeys(text for item in inputs for text in item.attributes))


def assemble(
    inputs: Sequence[ProductInput],
    spec: ImageSpec,
    tokenizer: Tokenizer,
    known: Mapping[str, Feature] | None = None,
    width: int = 0,
) -> dict[str, npt.NDArray[Any]]:
    """Products as the graph's input tensors.

    Args:
        inputs: the batch.
        spec: the pictures' frame.
        tokenizer: of the text tower.
        known: features, float32 [F], of attributes that were encoded before; None leaves `known_attributes` out.
        width: F, for a batch of which nothing is known.

    Returns:
        pixels uint8 [B, H, W, 3]; has_image bool [B]; title_ids int64 [B, L]; has_title bool [B]; attribute_ids
        int64 [U, L'], each attribute text of the batch that is not known once; known_attributes float32 [K, F];
        attribute_weights float32 [B, K + U], whose rows average a product's attributes (all zero where it has none).
    """
    texts = distinct_attributes(inputs)
    remembered = [text for text in texts if known and text in known]
    # A graph needs at least one row of each; nothing points to a row that only fills the place.
    first: list[str | None] = [] if known is None else [*remembered] or [None]
    second: list[str | None] = [text for text in texts if not (known and text in known)] or [None]
    column = {text: position for position, text in enumerate([*first, *second]) if text is not None}
    weights = np.zeros((len(inputs), len(first) + len(second)), dtype=np.float32)
    pixels = np.zeros((len(inputs), spec.height, spec.width, 3), dtype=np.uint8)
    for row, item in enumerate(inputs):
        for text in item.attributes:
            weights[row, column[text]] += 1.0 / len(item.attributes)
        if item.pixels is not None:
            pixels[row] = item.pixels
    tensors = {
        "pixels": pixels,
        "has_image": np.array([item.pixels is not None for item in inputs]),
        "title_ids": tokenizer([item.title or "" for item in inputs]),
        "has_title": np.array([item.title is not None for item in inputs]),
        "attribute_ids": tokenizer([text or "" for text in second]),
        "attribute_weights": weights,
    }
    if known is not None:
        rows = [known[text] for text in remembered] or [np.zeros(width, dtype=np.float32)]
        tensors["known_attributes"] = np.stack(rows)
    return tensors
