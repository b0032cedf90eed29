"""The two encoders of a bundle: texts to vectors, products to vectors."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from clipita.catalogue.product import Product
from clipita.errors import DeviceError
from clipita.runtime.bundle import PRODUCT_GRAPH, TEXT_GRAPH, TOKENIZER, Bundle
from clipita.runtime.inputs import ProductInput, Vectors, assemble, distinct_attributes, prepare_product
from clipita.runtime.preprocess import Tokenizer
from clipita.runtime.session import is_out_of_memory, open_session

TEXT_BATCH = 64
T = TypeVar("T")
log = logging.getLogger("clipita.runtime")


class TextEncoder:
    """Category names and other queries to vectors.

    Args:
        bundle: where the graph is.
        device: cpu, cuda, cuda:N or tensorrt.

    Attributes:
        has_gate: whether the graph says how near a text is to a known category (schema 3).

    Raises:
        DeviceError: the device is not there.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.bundle = bundle
        self._session = open_session(bundle.path / TEXT_GRAPH, device)
        self._tokenizer = Tokenizer.load(bundle.path / TOKENIZER, bundle.text_spec)
        self._batch = TEXT_BATCH
        self.has_gate = any(entry.name == "gate" for entry in self._session.get_outputs())

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 [len(texts), dim]; names and categories that the bundle was amended by are known.

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        return self.encode_gated(texts)[:, :-1] if len(self.bundle.amendments) else self._run(texts, "vector")

    def features(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the text tower without the head (zero-shot), float32 [len(texts), F].

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        return self._run(texts, "features")

    def anchored(self, texts: Sequence[str]) -> Vectors | None:
        """Unit vectors of texts as if none named a known category, float32 [len(texts), dim]; None without a gate.

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        return self._run(texts, "anchored") if self.has_gate else None

    def encode_gated(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors and, in the last column, the gate: float32 [len(texts), dim + 1].

        The gate lies between 0 (like no known category) and 1 (a known name); NaN where the graph has none.

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        if not self.has_gate:
            vectors = self._run(texts, "vector")
            return np.hstack([vectors, np.full((len(vectors), 1), np.nan, dtype=np.float32)])
        if not len(self.bundle.amendments):
            return self._run(texts, "vector", "gate")
        amended, dim = self.bundle.amendments, self.bundle.dim
        spellings = [*texts, *(amended.respelled(text) or text for text in texts)]
        found = self._run(spellings, "vector", "anchored", "gate")
        rows = np.hstack(amended.apply(found[:, :dim], found[:, dim:-1], found[:, -1]))
        # "cheap shades" is nearer to a known category as "cheap Sunglasses".
        typed, respelled = np.split(rows, 2)
        return np.where(respelled[:, -1:] >= typed[:, -1:], respelled, typed)

    def _run(self, texts: Sequence[str], *outputs: str) -> Vectors:
        """The outputs side by side."""
        distinct = {text: position for position, text in enumerate(dict.fromkeys(texts))}
        if not distinct:
            return np.hstack([_no_vectors(self._session, output) for output in outputs])
        rows = self._tokenizer.rows(list(distinct))
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda position: len(rows[position]))

        def encode(batch: Sequence[int]) -> Vectors:
            ids = self._tokenizer.pad([rows[position] for position in batch])
            encoded = self._session.run(list(outputs), {"ids": ids})
            return np.hstack([part.reshape(len(batch), -1) for part in encoded]) if len(encoded) > 1 else encoded[0]

        found, self._batch = _in_batches(order, self._batch, encode)
        vectors = np.empty_like(found)
        vectors[order] = found
        return vectors if len(distinct) == len(texts) else vectors[[distinct[text] for text in texts]]


class ProductEncoder:
    """Products to vectors. Each distinct attribute text is encoded once while it is in the cache.

    Args:
        bundle: where the graph is.
        device: cpu, cuda, cuda:N or tensorrt.
        cache: of attributes' features; by default a new one. Share one among encoders of ONE bundle only.

    Attributes:
        largest_batch: the batch size that fits into the device's memory, once a larger one did not; else None.
        most_images: how many images of a product are read; all of them (None), or 1 by a bundle before schema 4.

    Raises:
        DeviceError: the device is not there.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu", cache: FeatureCache | None = None) -> None:
        self.bundle = bundle
        self.largest_batch: int | None = None
        self._image_spec = bundle.image_spec
        self._session = open_session(bundle.path / PRODUCT_GRAPH, device)
        self._tokenizer = Tokenizer.load(bundle.path / TOKENIZER, bundle.text_spec)
        self._wanted = {entry.name: entry for entry in self._session.get_inputs()}
        self.most_images = 1 if "has_image" in self._wanted else None
        self._cache = FeatureCache() if cache is None else cache

    def prepare(self, product: Product) -> ProductInput:
        """Decode and resize the images and pick the texts; safe to call from several threads.

        Raises:
            ImageError: the product has images, and none of them can be read.
            ProductError: the product has nothing that the model reads.
        """
        return prepare_product(product, self.bundle.modalities, self._image_spec, self.most_images)

    def encode(self, inputs: Sequence[ProductInput]) -> Vectors:
        """Unit vectors of one batch, float32 [len(inputs), dim].

        At most as many images as products run at once, so that several images per product take no more memory. A batch
        that does not fit into the device's memory is halved until it fits, with a warning in the log.

        Raises:
            DeviceError: not even one product fits.
        """
        return self._run(inputs, "vector")

    def features(self, inputs: Sequence[ProductInput]) -> Vectors:
        """Unit vectors of the towers without the head (zero-shot), float32 [len(inputs), F].

        Raises:
            DeviceError: not even one product fits.
        """
        return self._run(inputs, "features")

    def forget(self) -> None:
        """Empty the cache of attributes."""
        self._cache.clear()

    def _run(self, inputs: Sequence[ProductInput], output: str) -> Vectors:
        if not inputs:
            return _no_vectors(self._session, output)
        images = [max(1, len(item.images)) for item in inputs]
        total, most = sum(images), self.largest_batch or len(inputs)
        # Parts of like size: a rest of one product would cost a run of its own.
        size = math.ceil(total / math.ceil(total / most))
        vectors, fitting = _in_batches(inputs, size, lambda batch: self._run_batch(batch, output), images)
        if fitting < size:
            self.largest_batch = fitting
        return vectors

    def _run_batch(self, inputs: Sequence[ProductInput], output: str) -> Vectors:
        if "known_attributes" not in self._wanted:  # no attributes at all, or a bundle of schema 1
            return self._session_run([output], assemble(inputs, self._image_spec, self._tokenizer))[0]
        texts = distinct_attributes(inputs)
        known = self._cache.known(texts)
        width = int(self._wanted["known_attributes"].shape[1])
        tensors = assemble(inputs, self._image_spec, self._tokenizer, known, width)
        fresh = [text for text in texts if text not in known]
        if not fresh:
            return self._session_run([output], tensors)[0]
        vectors, features = self._session_run([output, "attribute_features"], tensors)
        self._cache.remember(dict(zip(fresh, features, strict=True)))
        return vectors

    def _session_run(self, outputs: list[str], tensors: dict[str, npt.NDArray[Any]]) -> list[Vectors]:
        if self.most_images == 1:
            tensors = tensors | _one_image_each(tensors)
        feeds = {name: value for name, value in tensors.items() if name in self._wanted}
        results: list[Vectors] = self._session.run(outputs, feeds)
        return results


def _no_vectors(session: Any, output: str) -> Vectors:
    width = next([*entry.shape, 1][1] for entry in session.get_outputs() if entry.name == output)
    return np.zeros((0, width), dtype=np.float32)


def _one_image_each(tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """`pixels` and `has_image` [B] of a graph before schema 4, which reads the first of several images."""
    weights = tensors["image_weights"]
    return {"pixels": tensors["pixels"][weights.argmax(axis=1)], "has_image": weights.any(axis=1)}


def _in_batches(
    items: Sequence[T], size: int, encode: Callable[[Sequence[T]], Vectors], costs: Sequence[int] = ()
) -> tuple[Vectors, int]:
    """Vectors of at least one item, and the batch size that fits into the device's memory.

    The costs of a batch's items, 1 each by default, are `size` together at most, unless one item alone costs more.
    """
    ends = list(itertools.accumulate(costs or [1] * len(items), initial=0))
    parts: list[Vectors] = []
    start = 0
    while start < len(items):
        end = max(start + 1, bisect_right(ends, ends[start] + size) - 1)
        batch = items[start:end]
        try:
            parts.append(encode(batch))
        except Exception as error:  # onnxruntime's C++ classes share no public base
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise DeviceError(
                    f"The device's memory does not hold the model and one input: {error}",
                    hint="Free memory on the device, use another one, or export with --precision fp16.",
                ) from error
            taken = ends[end] - ends[start]
            size = taken // 2
            log.warning("Out of device memory at batch size %d; retrying with %d.", taken, size)
            continue
        start = end
    return parts[0] if len(parts) == 1 else np.concatenate(parts), size


class FeatureCache:
    """Text features by text; the least recently used are dropped first. Safe to use from several threads.

    A capacity of 20,000 texts with features of 512 numbers takes 41 MB.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._features: LRUCache[str, Vectors] = LRUCache(capacity)

    def __len__(self) -> int:
        return len(self._features)

    def known(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """The features of those texts that are in the cache, float32 [F] each; they count as used."""
        with self._lock:
            return {text: self._features[text] for text in texts if text in self._features}

    def remember(self, features: Mapping[str, Vectors]) -> None:
        """Add features; the least recently used make room."""
        with self._lock:
            for text, feature in features.items() if self._features.maxsize else ():
                # A view would keep the whole batch's array alive.
                self._features[text] = feature.copy()

    def clear(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._features.clear()
