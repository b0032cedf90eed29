"""A stream of products to a stream of vectors: images are decoded in threads while the encoder works."""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Product
from clipita.errors import ProductError
from clipita.runtime.encoders import ProductEncoder
from clipita.runtime.inputs import ProductInput

Vector = npt.NDArray[np.float32]
AHEAD = 3
"""Batches that are decoded ahead, which bounds the memory."""
CANDIDATES = (8, 16, 32, 64, 128, 256)


def encode_products(
    encoder: ProductEncoder,
    products: Iterable[Product],
    *,
    batch_size: int = 64,
    threads: int | None = None,
    on_reject: Callable[[Product, ProductError], None],
) -> Iterator[tuple[Product, Vector]]:
    """Encode products in their order.

    Args:
        encoder: the model.
        products: any number of them; at most `AHEAD` + 1 batches are held.
        batch_size: products encoded at once.
        threads: for decoding; default: one per core, at least two.
        on_reject: is called for each product that has no vector (a broken image, nothing to read).

    Yields:
        Each product with its unit vector, float32 [dim].
    """
    source = iter(products)
    waiting: deque[list[tuple[Product, Future[ProductInput]]]] = deque()
    with ThreadPoolExecutor(threads or max(2, os.cpu_count() or 2), "decode") as pool:
        try:
            while True:
                while len(waiting) < AHEAD and (chunk := list(islice(source, batch_size))):
                    waiting.append([(product, pool.submit(encoder.prepare, product)) for product in chunk])
                if not waiting:
                    return
                ready, inputs = [], []
                for product, future in waiting.popleft():
                    try:
                        inputs.append(future.result())
                        ready.append(product)
                    except ProductError as error:
                        on_reject(product, error)
                yield from zip(ready, encoder.encode(inputs), strict=True)
        finally:
            for _, future in (entry for chunk in waiting for entry in chunk):
                future.cancel()


def best_batch_size(
    encoder: ProductEncoder, inputs: Sequence[ProductInput], candidates: Sequence[int] = CANDIDATES, rounds: int = 3
) -> tuple[int, dict[int, float]]:
    """Measure which batch size encodes products fastest.

    Args:
        encoder: the model, on its device.
        inputs: real products; fewer than a candidate are repeated.
        candidates: sizes to try, ascending. The search ends where a size exceeds the device's memory or gains less
            than 5 % over the one before.
        rounds: measurements per size, of which the median counts.

    Returns:
        The smallest size that comes within 5 % of the best rate, and the tried sizes' products per second.
    """
    rates: dict[int, float] = {}
    for size in candidates:
        batch = [inputs[position % len(inputs)] for position in range(size)]
        encoder.encode(batch)  # the first run of a shape allocates
        if encoder.largest_batch is not None and encoder.largest_batch < size:
            break
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            encoder.encode(batch)
            seconds.append(time.perf_counter() - start)
        rates[size] = size / statistics.median(seconds)
        if rates[size] < 1.05 * max([rate for other, rate in rates.items() if other != size], default=0.0):
            break
    if not rates:
        return encoder.largest_batch or 1, rates
    best = max(rates.values())
    return next(size for size, rate in rates.items() if rate >= 0.95 * best), rates
