"""How long a search takes, and where the time goes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from clipita.opensearch.search.client import ProductSearch

MODES = ("lexical", "vector", "hybrid")
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "facets": {"facets": ["gender", "colour", "season"]},
    "filter and facets": {"filters": {"gender": ["Men", "Women"]}, "facets": ["colour", "season"]},
    "choice": {"filters": {"colour": ["Black", "Blue"]}, "facets": ["colour", "season"]},
}
FREE_TEXTS = 50


def measure(search: ProductSearch, names: list[str], rounds: int) -> dict[str, Any]:
    """Time every category in every mode and shape, in a shuffled order, after one round for warming up.

    Args:
        search: on the index.
        names: category names.
        rounds: how often each request is timed.
    """
    client = _Clock(search)
    jobs = [(shape, mode, name) for shape in SHAPES for mode in MODES for name in names]
    for name in names:
        for mode in MODES:
            search(name, mode=mode)  # type: ignore[arg-type]
    taken: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    chance = random.Random(0)
    for _ in range(rounds):
        chance.shuffle(jobs)
        for shape, mode, name in jobs:
            client.inside = 0.0
            started = time.perf_counter()
            page = search(name, mode=mode, **SHAPES[shape])  # type: ignore[arg-type]
            whole = time.perf_counter() - started
            taken.setdefault((shape, mode), []).append((whole * 1e3, client.inside * 1e3, float(page.took_ms)))
    client.restore()
    everything = np.array([row for rows in taken.values() for row in rows])
    return {
        "requests": len(everything),
        "categories": len(names),
        "rounds": rounds,
        "shapes": {shape: {mode: _summary(taken[shape, mode]) for mode in MODES} for shape in SHAPES},
        "python_ms": _percentiles(everything[:, 0] - everything[:, 1]),
        "client_and_network_ms": _percentiles(everything[:, 1] - everything[:, 2]),
        "free_text": _free_text(search),
    }


class _Clock:
    """Counts the seconds inside opensearch-py: JSON, network and cluster."""

    def __init__(self, search: ProductSearch) -> None:
        self.inside = 0.0
        self._transport = search.client.transport
        self._original: Callable[..., Any] = self._transport.perform_request
        self._transport.perform_request = self._timed

    def _timed(self, *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return self._original(*arguments, **options)
        finally:
            self.inside += time.perf_counter() - started

    def restore(self) -> None:
        self._transport.perform_request = self._original


def _free_text(search: ProductSearch) -> dict[str, Any]:
    """What encoding a text costs, the first time and again."""
    encoder = search.vectors._encoder
    assert encoder is not None
    passes, original = 0, encoder._session.run

    def counted(*arguments: Any) -> Any:
        nonlocal passes
        passes += 1
        return original(*arguments)

    texts = [f"comfortable {word} for a summer evening number {number}" for number, word in enumerate(WORDS)]
    search.vector("warm up")

    class Session:
        run = staticmethod(counted)

    kept, encoder._session = encoder._session, Session()
    try:
        first = [_timed(search.vector, text) for text in texts]
        again = [_timed(search.vector, text) for text in texts]
    finally:
        encoder._session = kept
    return {
        "texts": len(texts),
        "forward_passes": passes / len(texts),
        "first_ms": _percentiles(np.array(first)),
        "repeated_ms_p50": round(float(np.median(again)), 4),
    }


WORDS = ["shoes", "shirts", "bags", "watches", "dresses"] * (FREE_TEXTS // 5)


def _timed(work: Callable[[str], Any], text: str) -> float:
    started = time.perf_counter()
    work(text)
    return (time.perf_counter() - started) * 1e3


def _summary(rows: list[tuple[float, float, float]]) -> dict[str, Any]:
    array = np.array(rows)
    return {**_percentiles(array[:, 0]), "took_p50": float(np.median(array[:, 2]))}


def _percentiles(values: Any) -> dict[str, float]:
    return {f"p{level}": round(float(np.percentile(values, level)), 3) for level in (50, 95, 99)}
