"""Smaller numbers in an exported graph.

- fp16: weights and arithmetic in 16 bits, for GPUs; a CPU mostly computes in 32 bits all the same, with casts between.
- bf16: weights stored in bfloat16, arithmetic in fp32: half the size, sound on every device, no faster.
- int8: weights in 8 bits, activations scaled as they come (onnxruntime.ai/docs/performance/model-optimizations/
  quantization.html, "Dynamic quantization"). An activation's scale spans the batch, so a product's vector depends a
  little on its neighbours.
- int8-static: activations scaled by what the shop's own products show beforehand.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from clipita.errors import ExportError
from clipita.files import replacing

Precision = Literal["fp32", "fp16", "bf16", "int8", "int8-static"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
LOWEST_COSINE: Mapping[Precision, float] = {"fp16": 0.999, "bf16": 0.999, "int8": 0.9, "int8-static": 0.9}
"""What every product must reach beside fp32's own demand; what counts for retrieval is gated on its own."""

SMALL = 1024
"""Tensors of fewer numbers are left alone: biases, scales, shapes."""

FP32_OPERATORS = ("LayerNormalization", "Softmax", "ReduceL2", "Clip", "Gelu", "Erf", "Div")
"""Stay in 32 bits within fp16: sums of squares and exponentials overflow 16 bits, and onnxruntime 1.32 dies of a
segmentation fault on a CPU when it optimises a graph that has them in 16 bits."""

Batch = Mapping[str, npt.NDArray[Any]]


def convert(file: Path, precision: Precision, calibration: Sequence[Batch] = ()) -> None:
    """Rewrite an fp32 graph in another precision, in its place.

    Args:
        file: the ONNX file.
        precision: what to make of it; fp32 changes nothing.
        calibration: input tensors of real batches, for `int8-static`.

    Raises:
        ExportError: the graph cannot be converted.
    """
    if precision == "fp32":
        return
    with replacing(file) as draft, _quiet():
        try:
            if precision == "fp16":
                _to_fp16(file, draft)
            elif precision == "bf16":
                _to_bf16(file, draft)
            elif precision == "int8":
                _to_int8(file, draft)
            else:
                _to_static_int8(file, draft, calibration)
        except (
            ValueError,
            RuntimeError,
            TypeError,
            KeyError,
            onnx.checker.ValidationError,
        ) as error:
            raise ExportError(
                f"{file.name} cannot be converted to {precision}: {error}", hint="Export with another --precision."
            ) from error


def _to_fp16(source: Path, target: Path) -> None:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    blocked = [*DEFAULT_OP_BLOCK_LIST, *FP32_OPERATORS]
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=blocked)
    onnx.save(model, target)


def _to_bf16(source: Path, target: Path) -> None:
    model = onnx.load(source)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALL:
            continue
        name, tensor.name = tensor.name, f"{tensor.name}_bf16"
        tensor.ClearField("float_data")
        tensor.data_type = TensorProto.BFLOAT16
        tensor.raw_data = _round_to_bf16(values).tobytes()
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
    onnx.save(model, target)


def _round_to_bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper half of an IEEE 754 single, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded: npt.NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded


def _to_int8(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Convolutions would become ConvInteger, for which onnxruntime has no fast kernel.
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_above_towers(onnx.load(source, load_external_data=False).graph),
    )


def _above_towers(graph: onnx.GraphProto) -> list[str]:
    """Nodes after which no normalisation of a tower comes: most of the heads, too little work for 8 bits to gain."""
    makers = {output: node for node in graph.node for output in node.output}
    below: set[str] = set()
    waiting = [name for node in graph.node if node.op_type == "LayerNormalization" for name in node.input]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in below:
            below.add(node.name)
            waiting += node.input
    return [node.name for node in graph.node if node.name not in below]


def _to_static_int8(source: Path, target: Path, calibration: Sequence[Batch]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    if not calibration:
        raise ValueError("there are no products to calibrate on")
    wanted = {entry.name for entry in onnx.load(source, load_external_data=False).graph.input}

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self._batches = iter(calibration)

        def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {name: value for name, value in batch.items() if name in wanted}

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # Products of two activations (attention) lose most and are the smallest part of the work.
        extra_options={"MatMulConstBOnly": True},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Onnxruntime's converters log to the root logger what a user can do nothing about."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
