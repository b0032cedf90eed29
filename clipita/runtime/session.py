"""ONNX Runtime sessions on the requested device, and their runs on a GPU through page-locked memory."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita.errors import BundleError, DeviceError, MissingExtraError

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
        An onnxruntime.InferenceSession, or a BoundSession around it where the device has its own memory.

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
    # Images are decoded while the encoder works: threads that spin while they wait would take the decoders' cores.
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
    """Execution providers with their options, the device's own first.

    CUDA follows TensorRT, for the operators that TensorRT lacks; onnxruntime itself adds the CPU for shape operators.

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
    # Growing by what is requested keeps memory for other processes; doubling would take half of the card at once.
    cuda = (PROVIDERS["cuda"], place | {"arena_extend_strategy": "kSameAsRequested"})
    if kind == "cuda":
        return [cuda]
    engines = os.environ.get(ENGINE_CACHE) or str(Path.home() / ".cache" / "clipita" / "tensorrt")
    options = {"trt_engine_cache_enable": "True", "trt_engine_cache_path": engines, "trt_timing_cache_enable": "True"}
    return [(provider, place | options), cuda]


def is_out_of_memory(error: Exception) -> bool:
    """Whether onnxruntime failed because the device's memory is full, so that a smaller batch may do."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


Array = npt.NDArray[Any]


def page_locked(onnxruntime: Any, provider: str, number: int) -> Any:
    """OrtMemoryInfo of the host memory that a provider's device reads directly; None for other providers."""
    try:
        devices = [entry for entry in onnxruntime.get_ep_devices() if entry.ep_name == provider]
        return devices[number].memory_info(onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE)
    except (AttributeError, IndexError):  # an onnxruntime older than these functions, or a provider without devices
        return None


class BoundSession:
    """A session whose inputs are copied to the device (`cuda`, or `cpu` in tests) from buffers kept between runs.

    The device itself copies from page-locked memory (see `page_locked`); from ordinary memory the driver copies twice.
    Safe to call from several threads, which take turns.
    """

    def __init__(self, session: Any, device: str, number: int, memory: Any = None) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self._place = (device, number)
        self._memory = memory
        self._buffers: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """The named outputs for the named inputs."""
        with self._lock:
            binding = self._session.io_binding()
            for name, array in feeds.items():
                address = self._staged(name, array)
                binding.bind_input(name, "cpu", 0, array.dtype.type, list(array.shape), address)
            for name in outputs:
                binding.bind_output(name, *self._place)
            # The copies run on separate streams; a buffer that is overwritten too early would reach the device.
            binding.synchronize_inputs()
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            results: list[Array] = binding.copy_outputs_to_cpu()
            return results

    def _staged(self, name: str, array: Array) -> int:
        """Copy an input into its buffer, which grows when it must; returns the buffer's address."""
        from onnxruntime import OrtValue

        size = max(1, array.nbytes)
        if name not in self._buffers or self._buffers[name].tensor_size_in_bytes() < size:
            options = {} if self._memory is None else {"memory_info": self._memory}
            self._buffers[name] = OrtValue.ortvalue_from_shape_and_type([size], np.uint8, **options)
        buffer = self._buffers[name]
        room = buffer.numpy()[: array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(room, array)
        return int(buffer.data_ptr())
