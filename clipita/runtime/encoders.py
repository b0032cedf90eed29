"""The two encoders a bundle holds: texts to vectors, products to vectors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Product
from clipita.errors import DeviceError
from clipita.runtime.batches import ProductInput, assemble, distinct_attributes, prepare_product
from clipita.runtime.bundle import PRODUCT_GRAPH, TEXT_GRAPH, TOKENIZER, Bundle
from clipita.runtime.cache import FeatureCache
from clipita.runtime.preprocess import Tokenizer
from clipita.runtime.session import is_out_of_memory, open_session

Vectors = npt.NDArray[np.float32]
TEXT_BATCH = 64
log = logging.getLogger("clipita.runtime")

__all__ = ["ProductEncoder", "ProductInput", "TextEncoder", "Vectors", "assemble", "prepare_product"]


class TextEncoder:
    """Category names and other queries to vectors.

    Args:
        bundle: where the graph is.
        device: cpu, cuda, cuda:N or tensorrt.

    Raises:
        DeviceError: the device is not there.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.bundle = bundle
        self._session = open_session(bundle.path / TEXT_GRAPH, device)
        self._tokenizer = Tokenizer.load(bundle.path / TOKENIZER, bundle.text_spec)
        self._batch = TEXT_BATCH

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 [len(texts), dim].

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        return self._run(texts, "vector")

    def features(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the text tower without the head (zero-shot), float32 [len(texts), F].

        Raises:
            DeviceError: not even one text fits into the device's memory.
        """
        return self._run(texts, "features")

    def _run(self, texts: Sequence[str], output: str) -> Vectors:
        distinct = {text: position for position, text in enumerate(dict.fromkeys(texts))}
        if not distinct:
            width = next(entry.shape[1] for entry in self._session.get_outputs() if entry.name == output)
            return np.zeros((0, width), dtype=np.float32)
        rows = self._tokenizer.rows(list(distinct))
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda position: len(rows[position]))
        parts, start = [], 0
        while start < len(order):
            batch = order[start : start + self._batch]
            try:
                ids = self._tokenizer.pad([rows[position] for position in batch])
                parts.append(self._session.run([output], {"ids": ids})[0])
            except Exception as error:  # onnxruntime's C++ classes share no public base
                if not is_out_of_memory(error):
                    raise
                self._batch = _halved(len(batch), error)
                continue
            start += len(batch)
        vectors = np.empty((len(rows), parts[0].shape[1]), dtype=np.float32)
        vectors[order] = np.concatenate(parts)
        return vectors if len(distinct) == len(texts) else vectors[[distinct[text] for text in texts]]


class ProductEncoder:
    """Products to vectors. Each distinct attribute text is encoded once, as long as the cache remembers it.

    Args:
        bundle: where the graph is.
        device: cpu, cuda, cuda:N or tensorrt.
        cache: remembers attributes' features; one of its own by default. Share one among encoders of ONE bundle only.

    Attributes:
        largest_batch: the most products that fitted into the device's memory since one batch did not, or None.

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
        self._cache = FeatureCache() if cache is None else cache

    def prepare(self, product: Product) -> ProductInput:
        """Decode and resize the picture and pick the texts; safe to call from several threads.

        Raises:
            ImageError: the picture cannot be read.
            ProductError: the product has nothing that the model reads.
        """
        return prepare_product(product, self.bundle.modalities, self._image_spec)

    def encode(self, inputs: Sequence[ProductInput]) -> Vectors:
        """Unit vectors of one batch, float32 [len(inputs), dim].

        A batch that does not fit into the device's memory is halved until it does, with a warning in the log.

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
            width = next(entry.shape[1] for entry in self._session.get_outputs() if entry.name == output)
            return np.zeros((0, width), dtype=np.float32)
        parts, start = [], 0
        while start < len(inputs):
            batch = inputs[start : start + (self.largest_batch or len(inputs))]
            try:
                parts.append(self._run_batch(batch, output))
            except Exception as error:  # onnxruntime's C++ classes share no public base
                if not is_out_of_memory(error):
                    raise
                self.largest_batch = _halved(len(batch), error)
                continue
            start += len(batch)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

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
        feeds = {name: value for name, value in tensors.items() if name in self._wanted}
        results: list[Vectors] = self._session.run(outputs, feeds)
        return results


def _halved(batch: int, error: Exception) -> int:
    if batch == 1:
        raise DeviceError(
            f"The device's memory does not hold the model and one input: {error}",
            hint="Free memory on the device, use another one, or export with --precision fp16.",
        ) from error
    log.warning("The device's memory does not hold a batch of %d: it goes on with %d.", batch, batch // 2)
    return batch // 2
