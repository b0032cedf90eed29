"""clipita: category search over product pictures, inside the OpenSearch a shop already has.

Importing this package loads neither torch, onnxruntime nor opensearchpy; each room loads what it needs.
"""

__version__ = "0.1.0"
