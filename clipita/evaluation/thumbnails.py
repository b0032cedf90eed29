"""Small pictures for the report."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import ImageSource, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ImageError

SIDE = 96
"""Longest side in pixels."""
QUALITY = 72
_THREADS = 8


def thumbnail(source: ImageSource) -> bytes:
    """A JPEG whose sides are at most `SIDE` pixels; smaller pictures keep their size.

    Raises:
        ImageError: the picture cannot be read.
    """
    picture = load_image(source)
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def thumbnails(
    catalogue: CatalogueFile, wanted: Collection[str], on_picture: Callable[[], None] = lambda: None
) -> tuple[Mapping[str, bytes], list[str]]:
    """Read the catalogue once more, for the pictures of some products.

    Returns:
        Product id to JPEG, without those that have no picture; and the ids whose picture could not be read.

    Raises:
        CatalogueError: the file breaks off or is damaged half-way.
    """
    ids = set(wanted)
    made: dict[str, bytes] = {}
    failed: list[str] = []
    sources = (
        (product.id, product.image)
        for product in catalogue.products(_known_already)
        if product.id in ids and product.image is not None
    )
    with ThreadPoolExecutor(_THREADS) as threads:
        for product_id, jpeg in threads.map(_attempt, sources):
            if jpeg is None:
                failed.append(product_id)
            else:
                made[product_id] = jpeg
            on_picture()
    return made, failed


def _known_already(_: Rejection) -> None:
    """Bad rows were reported when the catalogue was read for measuring."""


def _attempt(item: tuple[str, ImageSource]) -> tuple[str, bytes | None]:
    product_id, source = item
    try:
        return product_id, thumbnail(source)
    except ImageError:
        return product_id, None
