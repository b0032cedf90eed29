"""Runs of a graph on a GPU: inputs through page-locked host memory, outputs fetched in one go.

onnxruntime.ai/docs/performance/tune-performance/iobinding.html
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def page_locked(onnxruntime: Any, provider: str, number: int) -> Any:
    """The memory of the host that a device reads by itself, or None where this onnxruntime offers none.

    Args:
        onnxruntime: the module.
        provider: an execution provider's name.
        number: which of its devices.

    Returns:
        An onnxruntime.OrtMemoryInfo.
    """
    try:
        devices = [entry for entry in onnxruntime.get_ep_devices() if entry.ep_name == provider]
        return devices[number].memory_info(onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE)
    except (AttributeError, IndexError):  # an onnxruntime older than these functions, or a provider without devices
        return None


class BoundSession:
    """A session whose inputs are copied to the device before the run, from buffers that are kept between runs.

    What lies in page-locked memory is copied by the device itself; from ordinary memory the driver copies twice.
    Safe to call from several threads, which take turns.

    Args:
        session: an onnxruntime.InferenceSession.
        device: `cuda`, or `cpu` for comparison.
        number: which device.
        memory: where the buffers are made, see `page_locked`; None: in ordinary memory.
    """

    def __init__(self, session: Any, device: str, number: int, memory: Any = None) -> None:
        self._session = session
        self._place = (device, number)
        self._memory = memory
        self._buffers: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get_inputs(self) -> Any:
        """As of the session."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """As of the session."""
        return self._session.get_outputs()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """As of the session: the named outputs for the named inputs."""
        with self._lock:
            binding = self._session.io_binding()
            for name, array in feeds.items():
                address = self._staged(name, array)
                binding.bind_input(name, "cpu", 0, array.dtype.type, list(array.shape), address)
            for name in outputs:
                binding.bind_output(name, *self._place)
            # The copies run on streams of their own; a buffer that is written again too early would reach the device.
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
