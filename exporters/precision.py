"""Smaller numbers in an exported graph.

- fp16: weights and arithmetic in 16 bits, for GPUs; a CPU mostly computes in 32 bits anyway, with casts in between.
- int8: weights in 8 bits, activations scaled per batch (onnxruntime's dynamic quantization), so that a product's vector
  depends a little on the other products of its batch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import onnx

from clipita.errors import ExportError
from clipita.files import replacing

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
LOWEST_COSINE: Mapping[str, float] = {"fp16": 0.999, "int8": 0.9}
"""Lowest cosine with PyTorch that every product must reach, below fp32; the loss in retrieval has its own bound."""

FP32_OPERATORS = ("LayerNormalization", "Softmax", "ReduceL2", "Clip", "Gelu", "Erf", "Div")
"""Stay in 32 bits within fp16: sums of squares and exponentials overflow 16 bits, and onnxruntime 1.32 dies of a
segmentation fault on a CPU when it optimises a graph that has them in 16 bits."""


def convert(file: Path, precision: str) -> None:
    """Rewrite an fp32 graph in place, as fp16 or int8.

    Raises:
        ExportError: the graph cannot be converted.
    """
    with replacing(file) as draft, _quiet():
        try:
            (_to_fp16 if precision == "fp16" else _to_int8)(file, draft)
        except (ValueError, RuntimeError, TypeError, KeyError, onnx.checker.ValidationError) as error:
            raise ExportError(
                f"{file.name} cannot be converted to {precision}: {error}", hint="Export with another --precision."
            ) from error


def _to_fp16(source: Path, target: Path) -> None:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    blocked = [*DEFAULT_OP_BLOCK_LIST, *FP32_OPERATORS]
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=blocked)
    onnx.save(model, target)


def _to_int8(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Convolutions would become ConvInteger, for which onnxruntime has no fast kernel.
    kinds = ["MatMul", "Gemm"]
    quantize_dynamic(source, target, op_types_to_quantize=kinds, per_channel=True, weight_type=QuantType.QInt8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence onnxruntime's converters, which log to the root logger."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)
