"""A graph that takes weights from another file is found, wherever in the graph the tensor stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from clipita.errors import BundleError
from clipita.runtime.graph_files import external_files

LOCATION = "../../etc/weights.bin"


def external() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, dtype=np.float32), "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", LOCATION), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def in_a_constant() -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["weights"], value=external())


def inner(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(nodes, "inner", [], [])


def model(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return helper.make_model(inner(*nodes))


def initializer() -> onnx.ModelProto:
    found = model()
    found.graph.initializer.append(external())
    return found


def sparse() -> onnx.ModelProto:
    found = model()
    found.graph.sparse_initializer.add().values.CopyFrom(external())
    return found


def function() -> onnx.ModelProto:
    found = model()
    found.functions.add().node.append(in_a_constant())
    return found


PLACES: dict[str, Callable[[], onnx.ModelProto]] = {
    "initializer": initializer,
    "sparse": sparse,
    "function": function,
    "constant": lambda: model(in_a_constant()),
    "branch": lambda: model(helper.make_node("If", ["x"], ["y"], then_branch=inner(in_a_constant()))),
    "tensors": lambda: model(helper.make_node("Odd", [], ["y"], many=[external()])),
    "graphs": lambda: model(helper.make_node("Odd", [], ["y"], many=[inner(in_a_constant())])),
}


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found(tmp_path: Path, place: str) -> None:
    file = tmp_path / "graph.onnx"
    file.write_bytes(PLACES[place]().SerializeToString())
    assert external_files(file) == {LOCATION}


def test_our_graphs_hold_their_weights(tiny_bundle: Path, gated_bundle: Path) -> None:
    for bundle in (tiny_bundle, gated_bundle):
        for name in ("text.onnx", "product.onnx"):
            assert external_files(bundle / name) == set()


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x3a\x7f", b"\x0b\x0c", b"{}", b"\x3a\x04\x2a\x02\x6a\x20"])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "graph.onnx"
    file.write_bytes(content)
    with pytest.raises(BundleError, match="is not an ONNX graph"):
        external_files(file)


def test_a_nest_of_graphs_ends(tmp_path: Path) -> None:
    """The package onnx makes no such graph."""

    def within(tag: int, content: bytes) -> bytes:
        size, rest = b"", len(content)
        while rest > 127:
            size, rest = size + bytes([rest & 127 | 128]), rest >> 7
        return bytes([tag]) + size + bytes([rest]) + content

    graph = b""
    for _ in range(1_000):
        # attribute.g, node.attribute, graph.node
        graph = within(0x0A, within(0x2A, within(0x32, graph)))
    file = tmp_path / "graph.onnx"
    file.write_bytes(within(0x3A, graph))
    with pytest.raises(BundleError):
        external_files(file)
