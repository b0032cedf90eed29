"""One ONNX Runtime session on the device that was asked for, or an error; never a silent other device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipita.errors import BundleError, DeviceError, MissingExtraError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(model: Path, device: str) -> Any:
    """Load a graph.

    Args:
        model: the ONNX file.
        device: `cpu`, `cuda` or `cuda:N`.

    Returns:
        An onnxruntime.InferenceSession.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        DeviceError: the name is not a device, or this machine or installation lacks it.
        BundleError: onnxruntime cannot load the graph.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("onnxruntime", "cpu") from None
    provider, options = _provider(device, onnxruntime.get_available_providers())
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, settings, providers=[(provider, options)])
    except Exception as error:  # onnxruntime raises its own C++ classes, which share no public base
        raise BundleError(f"{model} cannot be loaded by onnxruntime {onnxruntime.__version__}: {error}") from error
    if provider not in session.get_providers():
        raise DeviceError(
            f"onnxruntime {onnxruntime.__version__} could not start {provider} for device {device}.",
            hint="Check the driver and the CUDA and cuDNN versions that this onnxruntime-gpu was built for.",
        )
    return session


def _provider(device: str, available: list[str]) -> tuple[str, dict[str, str]]:
    kind, _, number = device.partition(":")
    if kind not in PROVIDERS or (number and not number.isdecimal()) or (kind == "cpu" and number):
        raise DeviceError(f"{device!r} is not a device.", hint="Use cpu, cuda or cuda:N.")
    provider = PROVIDERS[kind]
    if provider not in available:
        raise DeviceError(
            f"Device {device} was asked for, but the installed onnxruntime offers only: {', '.join(available)}.",
            hint="Install the GPU build (pip install 'clipita[gpu]', without onnxruntime beside it) or use cpu.",
        )
    return provider, {"device_id": number} if number else {}
