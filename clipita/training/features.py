"""A split as the training loop sees it: tower features of any rows, cached or computed on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from clipita.catalogue.product import CategoryPaths
from clipita.model.clip_ita import ClipIta, ProductFeatures
from clipita.model.towers import Towers
from clipita.training.dataset import Examples, Progress
from clipita.training.row_store import RowStore, content_key

TEXT_BATCH = 128
MEANS_AT_ONCE = 4096
"""Products whose images' features are in memory while their means are made."""


class Split(Protocol):
    """Products with their tower features; `paths` are all those of each product."""

    paths: Sequence[CategoryPaths]

    def features(self, model: ClipIta, rows: Tensor) -> ProductFeatures:
        """Tower features of the rows (int64 [B]); a missing modality is zero."""


class QueryTexts(Protocol):
    """Query texts with their tower features."""

    def features(self, model: ClipIta) -> Tensor:
        """Tower features of all texts, float32 [C, text_dim]."""


class FrozenTexts:
    """Query texts under frozen towers: encoded once."""

    def __init__(self, encoded: Tensor) -> None:
        self._encoded = encoded

    def features(self, model: ClipIta) -> Tensor:
        """The features that were encoded at the start."""
        return self._encoded.to(model.log_scale.device)


@dataclass(frozen=True)
class Variants:
    """Category names as people type them, under frozen towers: float32 [K, text_dim].

    `owners`, int64 [K], ascending, are the names that the texts stand for; every name has at least one text.
    """

    features: Tensor
    owners: Tensor


class FrozenSplit:
    """A frozen tower's features of a split, in memory.

    The stores hold float16 rows: of the image features, and of every title's and attribute's text features.
    """

    def __init__(self, examples: Examples, modalities: str, images: RowStore | None, texts: RowStore) -> None:
        self.paths: Sequence[CategoryPaths] = examples.paths
        self._image = self._title = self._attributes = None
        if "I" in modalities and images is not None:
            self._image = torch.from_numpy(_image_means(examples, images))
        if "T" in modalities:
            keys = [text_key(title) if title and title.strip() else None for title in examples.titles]
            self._title = torch.from_numpy(texts.gather(keys))
        if "A" in modalities:
            self._attributes = torch.from_numpy(_attribute_means(examples, texts))

    def features(self, model: ClipIta, rows: Tensor) -> ProductFeatures:
        """The rows' features, on the model's device."""
        return self.gathered(rows, model.log_scale.device)

    def gathered(self, rows: Tensor, device: torch.device | str = "cpu") -> ProductFeatures:
        """The rows' features, which need no model."""
        whole = ProductFeatures(self._image, self._title, self._attributes)
        return whole.map(lambda part: part[rows].to(device).float())


class LearningSplit:
    """A split whose towers are learning: pixels (uint8 rows) come from a store on disk, token ids from memory."""

    def __init__(self, examples: Examples, pixels: RowStore | None, towers: Towers) -> None:
        self.paths: Sequence[CategoryPaths] = examples.paths
        self._pixels = pixels
        self._frame = (towers.image_spec.height, towers.image_spec.width, 3)
        self._keys = examples.image_keys
        self._text = towers.tokenizer.spec
        self._title_ids = torch.from_numpy(towers.tokenizer([title or "" for title in examples.titles]))
        self._has_title = torch.tensor([bool(title and title.strip()) for title in examples.titles])
        distinct = {text: None for texts in examples.attributes for text in texts}
        number = {text: position for position, text in enumerate(distinct)}
        self._attribute_ids = torch.from_numpy(towers.tokenizer(list(distinct) or [""]))
        self._attributes = [[number[text] for text in texts] for texts in examples.attributes]

    def features(self, model: ClipIta, rows: Tensor) -> ProductFeatures:
        """Run the towers on the rows."""
        attribute_ids, weights = self._attribute_batch(rows.tolist())
        pixels = image_weights = None
        if self._pixels is not None:
            pixels, image_weights = self._image_batch(self._pixels, rows.tolist())
        tensors = {
            "pixels": pixels,
            "image_weights": image_weights,
            "title_ids": self._trim(self._title_ids[rows]),
            "has_title": self._has_title[rows],
            "attribute_ids": self._trim(attribute_ids),
            "attribute_weights": weights,
        }
        device = model.log_scale.device
        return model.product_features(
            **{name: None if value is None else value.to(device) for name, value in tensors.items()}
        )

    def _image_batch(self, store: RowStore, rows: list[int]) -> tuple[Tensor, Tensor]:
        # A product without images has a black one that counts nothing, as the statistics of some towers include it.
        keys: list[tuple[bytes | None, ...]] = [self._keys[row] or (None,) for row in rows]
        pixels = store.gather([key for own in keys for key in own])
        weights = torch.zeros((len(rows), len(pixels)))
        place = 0
        for row, own in enumerate(keys):
            weights[row, place : place + len(own)] = 0.0 if own[0] is None else 1.0 / len(own)
            place += len(own)
        return torch.from_numpy(pixels.reshape(len(pixels), *self._frame)), weights

    def _trim(self, ids: Tensor) -> Tensor:
        """Cut the columns in which no row of the batch has a token, where the tower ignores padding anyway."""
        if self._text.pad_to == "context":
            return ids
        used = (ids != self._text.pad_id).any(dim=0).nonzero()
        return ids[:, : int(used.max()) + 1] if len(used) else ids[:, :1]

    def _attribute_batch(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        distinct: dict[int, int] = {}
        for row in rows:
            for attribute in self._attributes[row]:
                distinct.setdefault(attribute, len(distinct))
        weights = torch.zeros((len(rows), max(1, len(distinct))))
        for position, row in enumerate(rows):
            for attribute in self._attributes[row]:
                weights[position, distinct[attribute]] += 1.0 / len(self._attributes[row])
        return self._attribute_ids[list(distinct) or [0]], weights


def text_key(text: str) -> bytes:
    """Key of a text's row."""
    return content_key(text.encode("utf-8", "surrogatepass"))


@torch.no_grad()
def encode_texts(texts: Sequence[str], towers: Towers, store: RowStore, progress: Progress) -> None:
    """Add every distinct text's features to the store, unless they are there."""
    missing = {text_key(text): text for text in texts if text.strip()}
    wanted = sorted(
        ((key, text) for key, text in missing.items() if key not in store), key=lambda entry: (len(entry[1]), entry[1])
    )
    for start in range(0, len(wanted), TEXT_BATCH):
        keys, batch = zip(*wanted[start : start + TEXT_BATCH], strict=True)
        ids = torch.from_numpy(towers.tokenizer(batch)).to(towers.image_mean.device)
        store.append(keys, towers.encode_text(ids).cpu().numpy())
        progress("Encoding texts", start + len(batch), len(wanted))


def name_matrix(names: Sequence[str], products: Sequence[CategoryPaths]) -> Tensor:
    """Which category names are on which product's paths: bool [len(products), len(names)]; others are left out.

    Nodes of one name in two branches are one query, since their text is the same.
    """
    column = {name: position for position, name in enumerate(names)}
    matrix = np.zeros((len(products), len(names)), dtype=bool)
    for row, paths in enumerate(products):
        matrix[row, [column[name] for path in paths for name in path if name in column]] = True
    return torch.from_numpy(matrix)


def path_classes(products: Sequence[CategoryPaths]) -> Tensor:
    """Each product's main category as a number from 0, int64 [N]."""
    number: dict[CategoryPaths, int] = {}
    return torch.tensor([number.setdefault(paths[:1], len(number)) for paths in products])


def _image_means(examples: Examples, images: RowStore) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    means = images.gather([keys[0] if keys else None for keys in examples.image_keys])
    several = [row for row, keys in enumerate(examples.image_keys) if len(keys) > 1]
    for start in range(0, len(several), MEANS_AT_ONCE):
        part = several[start : start + MEANS_AT_ONCE]
        table = images.gather([key for row in part for key in examples.image_keys[row]]).astype(np.float32)
        place = 0
        for row in part:
            past = place + len(examples.image_keys[row])
            means[row] = table[place:past].mean(axis=0)
            place = past
    return means


def _attribute_means(examples: Examples, texts: RowStore) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    distinct = list({text: None for product in examples.attributes for text in product if text.strip()})
    number = {text: position for position, text in enumerate(distinct)}
    table = texts.gather([text_key(text) for text in distinct]).astype(np.float32)
    means = np.zeros((len(examples), texts.width), dtype=np.float16)
    for row, product in enumerate(examples.attributes):
        known = [number[text] for text in product if text in number]
        if known:
            means[row] = table[known].mean(axis=0)
    return means
