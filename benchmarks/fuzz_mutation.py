"""Damage to an input that is sound: what every target of fuzz.py starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Target = tuple[st.SearchStrategy[Any], Callable[[Any], None]]
"""What is fuzzed: inputs, and a function that may raise a ClipItaError and nothing else."""
INTERESTING = (b"\0", b"\xff\xfe", b"\r", b"\n", b'"', b",", b"\t", b"{", b"[" * 2000, b"]", b"9" * 400, b"-1",
               b"NaN",               b"\xed\xa0\x80", b"\xef\xbb\xbf", b"1e999", b"\\u0000", b"\\ud800", b"null",
               b" > ", b"\xff" * 8)  # fmt: skip


def mutated(base: bytes, script: bytes) -> bytes:
    """`base` with one edit for every four bytes of `script`: which, where (two bytes), with what."""
    data = bytearray(base)
    for start in range(0, len(script) - 3, 4):
        kind, place, value = script[start] % 6, int.from_bytes(script[start + 1 : start + 3], "big"), script[start + 3]
        at = place % (len(data) + 1)
        if kind == 0 and at < len(data):
            data[at] = value
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << value % 8
        elif kind == 2:
            data[at:at] = INTERESTING[value % len(INTERESTING)]
        elif kind == 3:
            del data[at : at + value]
        elif kind == 4:
            data[at:at] = data[at : at + value]
        elif value < 32:
            del data[at:]
    return bytes(data)


def mutations(seeds: Sequence[Any]) -> st.SearchStrategy[tuple[Any, bytes]]:
    """A seed and a script for `mutated`."""
    return st.tuples(st.sampled_from(list(seeds)), st.binary(max_size=48))
