"""Names of the files that an ONNX graph reads besides its own: external data of its tensors.

onnxruntime reads such a file from the graph's folder without being asked, whatever the manifest lists. The graph is
walked as protocol buffers, field by field, so that neither the weights are copied nor the package onnx is needed.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipita.errors import BundleError

MAX_DEPTH = 64
"""Graphs inside graphs, as a loop's body is."""

# Message to its fields that lead to tensors: number to the message there.
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING, _ENTRY = (
    "model", "graph", "node", "attribute", "tensor", "sparse", "function", "training", "entry",
)  # fmt: skip
_FIELDS: Mapping[str, Mapping[int, str]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_OTHER_SIZES = {_FIXED64: 8, _FIXED32: 4}


def external_files(graph: Path) -> set[str]:
    """Locations of external data in a graph, as it writes them.

    Raises:
        BundleError: the file is not a graph.
    """
    try:
        with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return set(_locations(content, 0, len(content), _MODEL, 0))
    except (ValueError, IndexError):
        raise BundleError(f"{graph} is not an ONNX graph.", hint="Export it again with: clipita export-onnx") from None


def _locations(content: Any, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    """Locations in the message that lies between two positions; a ValueError or IndexError where it is not one."""
    if depth > MAX_DEPTH:
        raise ValueError(depth)
    inner = _FIELDS[message]
    for number, first, last in _fields(content, start, end):
        if number in inner and inner[number] == _ENTRY:
            entry = {key: content[one:other] for key, one, other in _fields(content, first, last)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode(errors="replace")
        elif number in inner:
            yield from _locations(content, first, last, inner[number], depth + 1)


def _fields(content: Any, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number and place of each field of bytes."""
    while start < end:
        tag, start = _varint(content, start)
        kind = tag & 7
        if kind == _VARINT:
            _, start = _varint(content, start)
        elif kind == _BYTES:
            size, start = _varint(content, start)
            if start + size > end:
                raise ValueError(size)
            yield tag >> 3, start, start + size
            start += size
        else:
            # A kind that no graph has, such as a group, ends the walk: onnxruntime would not read on either.
            if kind not in _OTHER_SIZES:
                raise ValueError(kind)
            start += _OTHER_SIZES[kind]
    if start != end:
        raise ValueError(start)


def _varint(content: Any, start: int) -> tuple[int, int]:
    """A number of seven bits per byte, and where it ends."""
    found = shift = 0
    while True:
        byte = content[start]
        found |= (byte & 127) << shift
        start += 1
        if byte < 128:
            return found, start
        shift += 7
        if shift > 63:
            raise ValueError(shift)
