"""Products as the product graph's input tensors: images decoded, texts picked, one batch assembled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import ImageSource, Product
from clipita.errors import ImageError, ProductError
from clipita.runtime.preprocess import ImageSpec, Tokenizer, decode_size, to_pixels

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ProductInput:
    """A product, ready for the encoder.

    Attributes:
        title: None where it has none.
        attributes: one text per attribute.
        images: uint8 [height, width, 3] each.
        broken_images: the position of each image of the product that cannot be read beside others, and why.
    """

    title: str | None = None
    attributes: tuple[str, ...] = ()
    images: tuple[npt.NDArray[np.uint8], ...] = field(default=(), repr=False)
    broken_images: tuple[tuple[int, str], ...] = ()


def prepare_product(product: Product, modalities: str, spec: ImageSpec, most_images: int | None = None) -> ProductInput:
    """What the model reads of a product, its images decoded and resized.

    Args:
        product: the product.
        modalities: of the model.
        spec: how images become pixels.
        most_images: how many are decoded: the first that can be; None for all.

    Raises:
        ImageError: the product has images, and none of them can be read.
        ProductError: the product has nothing that the model reads.
    """
    images, broken = _decoded(product.images if "I" in modalities else (), spec, most_images)
    title = product.title if "T" in modalities and product.title and product.title.strip() else None
    attributes = tuple(product.attribute_texts) if "A" in modalities else ()
    if not images and title is None and not attributes:
        readable = {"I": "image", "T": "title", "A": "attributes"}
        raise ProductError(f"has no {' and no '.join(readable[m] for m in modalities)}, so it gets no vector")
    return ProductInput(title, attributes, images, broken)


def _decoded(
    sources: Sequence[ImageSource], spec: ImageSpec, most: int | None
) -> tuple[tuple[npt.NDArray[np.uint8], ...], tuple[tuple[int, str], ...]]:
    from clipita.catalogue.images.decode import opened_image

    images: list[npt.NDArray[np.uint8]] = []
    errors: list[tuple[int, ImageError]] = []
    for position, source in enumerate(sources):
        if len(images) == most:
            break
        try:
            with opened_image(source, at_least=decode_size(spec)) as image:
                images.append(to_pixels(image, spec))
        except ImageError as error:
            errors.append((position, error))
    if errors and not images:
        raise errors[0][1]
    return tuple(images), tuple((position, error.message) for position, error in errors)


def distinct_attributes(inputs: Sequence[ProductInput]) -> list[str]:
    """Each attribute text of a batch once, in the order of appearance."""
    return list(dict.fromkeys(text for item in inputs for text in item.attributes))


def assemble(
    inputs: Sequence[ProductInput],
    spec: ImageSpec,
    tokenizer: Tokenizer,
    known: Mapping[str, Vectors] | None = None,
    width: int = 0,
) -> dict[str, npt.NDArray[Any]]:
    """Products as the graph's input tensors.

    `known` are features, float32 [F], of attributes that were encoded before; None leaves `known_attributes` out.
    `width` is F, for a batch without known attributes.

    Returns:
        pixels uint8 [P, H, W, 3], all images of the batch; image_weights float32 [B, P]; title_ids int64 [B, L];
        has_title bool [B]; attribute_ids int64 [U, L'], each attribute text of the batch that is not known once;
        known_attributes float32 [K, F]; attribute_weights float32 [B, K + U]. A row of weights averages a product's
        images or attributes, and is all zero where it has none.
    """
    texts = distinct_attributes(inputs)
    remembered = [text for text in texts if known and text in known]
    # A graph needs at least one row of each; nothing points to a row that only fills the place.
    first: list[str | None] = [] if known is None else [*remembered] or [None]
    second: list[str | None] = [text for text in texts if not (known and text in known)] or [None]
    column = {text: position for position, text in enumerate([*first, *second]) if text is not None}
    weights = np.zeros((len(inputs), len(first) + len(second)), dtype=np.float32)
    count = max(1, sum(len(item.images) for item in inputs))
    pixels = np.zeros((count, spec.height, spec.width, 3), dtype=np.uint8)
    image_weights = np.zeros((len(inputs), count), dtype=np.float32)
    place = 0
    for row, item in enumerate(inputs):
        for text in item.attributes:
            weights[row, column[text]] += 1.0 / len(item.attributes)
        for image in item.images:
            pixels[place] = image
            image_weights[row, place] = 1.0 / len(item.images)
            place += 1
    tensors: dict[str, npt.NDArray[Any]] = {
        "pixels": pixels,
        "image_weights": image_weights,
        "title_ids": tokenizer([item.title or "" for item in inputs]),
        "has_title": np.array([item.title is not None for item in inputs]),
        "attribute_ids": tokenizer([text or "" for text in second]),
        "attribute_weights": weights,
    }
    if known is not None:
        rows = [known[text] for text in remembered] or [np.zeros(width, dtype=np.float32)]
        tensors["known_attributes"] = np.stack(rows)
    return tensors
