"""Cursors: their form, and words that are no cursor."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from clipita.errors import UsageError
from clipita.opensearch.search.cursor import Cursor


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor((0.5, "p-1"), 2, "0123456789abcdef"),
        Cursor((None, 9007199254740993, True, "ü"), 3, "x", ("pit", "2m")),
        Cursor((), 2, ""),
    ],
)
def test_decoding_is_the_inverse_of_encoding(cursor: Cursor) -> None:
    word = cursor.encode()
    assert Cursor.decode(word) == cursor
    assert word.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "content",
    [
        [1, [0.5], 2, "x", None],
        [2, [0.5], 1, "x", None],
        [2, [0.5], 2.5, "x", None],
        [2, [0.5], "2", "x", None],
        [2, 0.5, 2, "x", None],
        [2, [{"a": 1}], 2, "x", None],
        [2, [[1]], 2, "x", None],
        [2, [0.5], 2, None, None],
        [2, [0.5], 2, "x", ["pit"]],
        [2, [0.5], 2, "x", ["pit", 3]],
        [2, [0.5], 2, "x"],
        {"a": 1},
        None,
    ],
)
def test_other_content_is_no_cursor(content: Any) -> None:
    word = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(UsageError, match="not a cursor"):
        Cursor.decode(word)


@pytest.mark.parametrize("word", ["", "a", "%%%", "Zm9v", "ünö", "=" * 50])
def test_another_word_is_no_cursor(word: str) -> None:
    with pytest.raises(UsageError, match="not a cursor"):
        Cursor.decode(word)
