"""Running an exported bundle with ONNX Runtime, without torch."""

from clipita.runtime.bundle import Bundle
from clipita.runtime.encoders import ProductEncoder, TextEncoder
from clipita.runtime.inputs import ProductInput
from clipita.runtime.stream import best_batch_size, encode_products

__all__ = ["Bundle", "ProductEncoder", "ProductInput", "TextEncoder", "best_batch_size", "encode_products"]
