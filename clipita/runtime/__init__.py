"""Running an exported bundle with ONNX Runtime, without torch."""

from clipita.runtime.bundle import Bundle
from clipita.runtime.encoders import ProductEncoder, ProductInput, TextEncoder

__all__ = ["Bundle", "ProductEncoder", "ProductInput", "TextEncoder"]
