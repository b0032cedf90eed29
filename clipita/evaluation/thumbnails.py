"""Small images for the report."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from clipita.catalogue.images.decode import opened_image
from clipita.catalogue.product import ImageSource
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ImageError

SIDE = 96
"""Longest side in pixels."""
QUALITY = 72
_THREADS = 8


def thumbnail(source: ImageSource) -> bytes:
    """A JPEG whose sides are at most `SIDE` pixels; smaller images keep their size.

    Raises:
        ImageError: the image cannot be read.
    """
    stream = io.BytesIO()
    with opened_image(source) as image:
        image.thumbnail((SIDE, SIDE))
        image.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def thumbnails(
    catalogue: CatalogueFile, wanted: Collection[str], on_image: Callable[[], None] = lambda: None
) -> tuple[Mapping[str, bytes], list[str]]:
    """Read the catalogue once more, for the images of some products.

    Returns:
        Product id to JPEG of the first image that can be read, without those that have none; and the ids of which none
        can be read.

    Raises:
        CatalogueError: the file breaks off or is damaged half-way.
    """
    ids = set(wanted)
    # Rejected rows were reported when the catalogue was read for measuring.
    products = catalogue.products(lambda _: None)
    sources = {product.id: product.images for product in products if product.id in ids and product.images}

    def attempt(images: Sequence[ImageSource]) -> bytes | None:
        for source in images:
            with suppress(ImageError):
                return thumbnail(source)
        return None

    made: dict[str, bytes] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        for product_id, jpeg in zip(sources, threads.map(attempt, sources.values()), strict=True):
            if jpeg is None:
                failed.append(product_id)
            else:
                made[product_id] = jpeg
            on_image()
    return made, failed
