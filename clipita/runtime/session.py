"""One ONNX Runtime session on the device that was asked for, or an error; never a silent other device.

Provider options: onnxruntime.ai/docs/execution-providers/{CUDA,TensorRT}-ExecutionProvider.html
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from clipita.errors import BundleError, DeviceError, MissingExtraError
from clipita.runtime.binding import BoundSession, page_locked

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
ENGINE_CACHE = "CLIPITA_TENSORRT_CACHE"
"""Environment variable: folder of TensorRT's engines (minutes to build); default ~/.cache/clipita/tensorrt."""

_OUT_OF_MEMORY = re.compile(
    r"failed to allocate memory|out of memory|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|bad_?alloc",
    re.IGNORECASE,
)


def open_session(model: Path, device: str) -> Any:
    """Load a graph.

    Args:
        model: the ONNX file.
        device: `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.

    Returns:
        An onnxruntime.InferenceSession, or a BoundSession around it where the device has memory of its own.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        DeviceError: the name is not a device, or this machine or installation lacks it.
        BundleError: onnxruntime cannot load the graph.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("onnxruntime", "cpu") from None
    providers = choose_providers(device, onnxruntime.get_available_providers())
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    # Decoding goes on beside the encoder: threads that spin while they wait would take its cores.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, settings, providers=providers)
    except Exception as error:  # onnxruntime raises its own C++ classes, which share no public base
        raise BundleError(
            f"{model} cannot be loaded by onnxruntime {onnxruntime.__version__}: {error}",
            hint="Install the onnxruntime that the bundle was exported with (export.onnxruntime in its manifest.json), "
            "or export it again.",
        ) from error
    wanted = providers[0][0]
    if wanted not in session.get_providers():
        raise DeviceError(
            f"onnxruntime {onnxruntime.__version__} could not start {wanted} for device {device}.",
            hint="Check the driver and the CUDA, cuDNN and TensorRT versions that this onnxruntime-gpu was built for, "
            "or use cpu.",
        )
    if device == "cpu":
        return session
    number = int(providers[0][1]["device_id"])
    return BoundSession(session, "cuda", number, page_locked(onnxruntime, PROVIDERS["cuda"], number))


def choose_providers(device: str, available: list[str]) -> list[tuple[str, dict[str, str]]]:
    """What to hand to onnxruntime for a device.

    Args:
        device: as for `open_session`.
        available: what this installation of onnxruntime offers.

    Returns:
        Providers with their options, the one that was asked for first. Behind TensorRT stands CUDA, for the operators
        that TensorRT lacks; never a CPU provider, which onnxruntime adds by itself for operators of shapes.

    Raises:
        DeviceError: not a device's name, or not available.
    """
    kind, colon, number = device.partition(":")
    if kind not in PROVIDERS or (colon and not number.isdecimal()) or (kind == "cpu" and colon):
        raise DeviceError(f"{device!r} is not a device.", hint="Use cpu, cuda, cuda:N or tensorrt.")
    provider = PROVIDERS[kind]
    if provider not in available:
        raise DeviceError(
            f"Device {device} was asked for, but the installed onnxruntime offers only: {', '.join(available)}.",
            hint="Install the GPU build (pip install 'clipita[gpu]', without onnxruntime beside it) or use cpu.",
        )
    if kind == "cpu":
        return [(provider, {})]
    place = {"device_id": number or "0"}
    # Growing by what is asked for keeps memory for other processes; doubling would take half of the card at once.
    cuda = (PROVIDERS["cuda"], place | {"arena_extend_strategy": "kSameAsRequested"})
    if kind == "cuda":
        return [cuda]
    engines = os.environ.get(ENGINE_CACHE) or str(Path.home() / ".cache" / "clipita" / "tensorrt")
    options = {"trt_engine_cache_enable": "True", "trt_engine_cache_path": engines, "trt_timing_cache_enable": "True"}
    return [(provider, place | options), cuda]


def is_out_of_memory(error: Exception) -> bool:
    """Whether onnxruntime failed because the device's memory is full, so that a smaller batch may do."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None
