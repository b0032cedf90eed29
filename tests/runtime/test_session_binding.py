"""Bound inputs and outputs give the session's own answers. No GPU here: the same code runs bound to the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from clipita.runtime import Bundle, ProductEncoder, ProductInput, TextEncoder
from clipita.runtime.session import BoundSession, page_locked


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


def products(count: int, side: int) -> list[ProductInput]:
    chance = np.random.default_rng(count)
    return [
        ProductInput(
            f"plate {number}" if number % 3 else None,
            tuple(f"size: {size}" for size in range(number % 4)),
            tuple(chance.integers(0, 256, (number % 5, side, side, 3), dtype=np.uint8)),
        )
        for number in range(count)
    ]


def test_products_are_encoded_alike_while_buffers_grow_and_are_used_again(bundle: Bundle) -> None:
    plain, bound = ProductEncoder(bundle), ProductEncoder(bundle)
    bound._session = BoundSession(bound._session, "cpu", 0)
    for count in (2, 9, 1, 9, 30, 3):
        inputs = products(count, bundle.image_spec.height)
        np.testing.assert_array_equal(bound.encode(inputs), plain.encode(inputs))
        np.testing.assert_array_equal(bound.features(inputs), plain.features(inputs))
    assert bound.encode([]).shape == (0, bundle.dim)


def test_texts_of_several_threads_take_turns(bundle: Bundle) -> None:
    plain, bound = TextEncoder(bundle), TextEncoder(bundle)
    bound._session = BoundSession(bound._session, "cpu", 0)
    groups = [[f"{'wide ' * number}plate {place}" for place in range(1 + number % 7)] for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        for group, vectors in zip(groups, pool.map(bound.encode, groups), strict=True):
            np.testing.assert_array_equal(vectors, plain.encode(group))


def test_a_result_is_not_overwritten_by_the_next_run(bundle: Bundle) -> None:
    encoder = TextEncoder(bundle)
    encoder._session = BoundSession(encoder._session, "cpu", 0)
    first = encoder.encode(["plates"])
    kept = first.copy()
    encoder.encode(["kites"])
    np.testing.assert_array_equal(first, kept)


def test_a_wrong_input_is_the_sessions_own_error(bundle: Bundle) -> None:
    session = BoundSession(TextEncoder(bundle)._session, "cpu", 0)
    with pytest.raises(Exception, match="ids"):
        session.run(["vector"], {"ids": np.zeros((1, 1, 1), dtype=np.int64)})


def test_without_such_a_device_there_is_no_page_locked_memory() -> None:
    assert page_locked(onnxruntime, "NoSuchExecutionProvider", 0) is None
    assert page_locked(onnxruntime, "CPUExecutionProvider", 0) is None
    assert page_locked(onnxruntime, "CPUExecutionProvider", 7) is None
    assert page_locked(object(), "CPUExecutionProvider", 0) is None, "an onnxruntime that is older"
