"""The product encoder on a GPU: products per second, how busy the card is, and which side limits.

The ceiling of the host is the same pipeline with the encoder replaced by a no-op: pictures are decoded, texts become
tokens and batches are put together, and nothing is computed.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from runtime_sides import export_vit, refuse

from clipita.catalogue.product import Product
from clipita.runtime import Bundle, ProductEncoder, best_batch_size, encode_products
from clipita.runtime.session import PROVIDERS

PRECISIONS = ("fp32", "fp16")
GPU_PRODUCTS = 2048
BUSY_EVERY_MS = 200


def host_ceiling(bundle: Bundle, products: Sequence[Product], rounds: int, batch_size: int = 64) -> dict[str, Any]:
    """Products per second of everything but the encoder."""
    encoder = ProductEncoder(bundle)

    def nothing(outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        widths = {"vector": bundle.dim, "attribute_features": feeds["known_attributes"].shape[1]}
        rows = {"vector": len(feeds["pixels"]), "attribute_features": len(feeds["attribute_ids"])}
        return [np.zeros((rows[name], widths[name]), dtype=np.float32) for name in outputs]

    encoder._session_run = nothing  # type: ignore[method-assign]
    seconds = []
    for _ in range(rounds + 1):
        encoder.forget()
        start = time.perf_counter()
        for _ in encode_products(encoder, products, batch_size=batch_size, on_reject=refuse):
            pass
        seconds.append(time.perf_counter() - start)
    return {
        "what": "the same pipeline with the encoder replaced by a no-op",
        "products/s": len(products) / statistics.median(seconds[1:]),
        "batch_size": batch_size,
        "products": len(products),
    }


def gpu(file: Path, folder: Path, products: Sequence[Product], rounds: int) -> dict[str, Any] | str:
    """Each precision on CUDA and TensorRT, or why nothing was measured."""
    offered = onnxruntime.get_available_providers()
    devices = [name for name in ("cuda", "tensorrt") if PROVIDERS[name] in offered]
    if not devices:
        return f"not measured: no machine with a GPU was at hand (onnxruntime offers only {', '.join(offered)})"
    many = [products[number % len(products)] for number in range(GPU_PRODUCTS)]
    found: dict[str, Any] = {"card": _card()}
    for precision, bundle in export_vit(file, folder, PRECISIONS).items():
        for device in devices:
            found[f"{precision} on {device}"] = _measured(bundle, device, many, rounds)
    chosen = found[f"{PRECISIONS[0]} on {devices[0]}"]["batch_size"]
    found["host_ceiling"] = host_ceiling(export_vit(file, folder, ("fp32",))["fp32"], many, rounds, chosen)
    return found


def _measured(bundle: Bundle, device: str, products: Sequence[Product], rounds: int) -> dict[str, Any]:
    encoder = ProductEncoder(bundle, device)
    sample = [encoder.prepare(product) for product in products[:256]]
    size, rates = best_batch_size(encoder, sample)
    seconds, busy = [], []
    for _ in range(rounds + 1):
        encoder.forget()
        with _utilisation() as readings:
            start = time.perf_counter()
            for _ in encode_products(encoder, products, batch_size=size, on_reject=refuse):
                pass
            seconds.append(time.perf_counter() - start)
        busy += readings
    return {
        "products/s": len(products) / statistics.median(seconds[1:]),
        "batch_size": size,
        "encoder alone, products/s by batch size": rates,
        "gpu_utilisation_percent": statistics.mean(busy) if busy else None,
    }


@contextmanager
def _utilisation() -> Iterator[list[float]]:
    """What nvidia-smi reads while the body runs, in percent."""
    readings: list[float] = []
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"-lms={BUSY_EVERY_MS}"]
    if shutil.which(command[0]) is None:
        yield readings
        return
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield readings
        finally:
            process.terminate()
            output, _ = process.communicate()
            readings += [float(line) for line in output.split() if line.isdecimal()]


def _card() -> str:
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
