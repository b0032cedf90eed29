"""A bounded memory of what the text tower said, because a catalogue repeats the same attributes endlessly."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

Feature = npt.NDArray[np.float32]


class FeatureCache:
    """Text features by text; the least recently used go first. Safe to use from several threads.

    Args:
        capacity: texts that are kept. 20,000 features of 512 numbers are 41 MB.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._features: OrderedDict[str, Feature] = OrderedDict()

    def __len__(self) -> int:
        return len(self._features)

    def known(self, texts: Iterable[str]) -> dict[str, Feature]:
        """The features of those texts that are remembered, float32 [F] each; they count as used."""
        found = {}
        with self._lock:
            for text in texts:
                feature = self._features.get(text)
                if feature is not None:
                    self._features.move_to_end(text)
                    found[text] = feature
        return found

    def remember(self, features: Mapping[str, Feature]) -> None:
        """Add features; the oldest make room."""
        with self._lock:
            for text, feature in features.items():
                # A view would keep the whole batch's array alive.
                self._features[text] = feature.copy()
                self._features.move_to_end(text)
            while len(self._features) > self.capacity:
                self._features.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._features.clear()
