"""A device that was asked for and is not there is an error that names what is installed; never a silent CPU run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from clipita.errors import DeviceError
from clipita.runtime import Bundle, ProductEncoder, TextEncoder
from clipita.runtime.session import choose_providers, is_out_of_memory

NO_GPU_BUILD = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
GPU_BUILD = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.skipif(not NO_GPU_BUILD, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "tensorrt", "tensorrt:1"])
def test_an_absent_device_names_what_is_installed(tiny_bundle: Path, device: str) -> None:
    for encoder in (TextEncoder, ProductEncoder):
        with pytest.raises(DeviceError) as caught:
            encoder(Bundle.load(tiny_bundle), device)
        assert device in caught.value.message
        assert "CPUExecutionProvider" in caught.value.message
        assert "clipita[gpu]" in str(caught.value.hint)


@pytest.mark.parametrize(
    "device", ["", "gpu", "CUDA", "cpu:0", "cpu:", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "rocm"]
)
def test_nonsense_is_not_a_device(device: str) -> None:
    with pytest.raises(DeviceError, match="is not a device") as caught:
        choose_providers(device, GPU_BUILD)
    assert "cuda:N" in str(caught.value.hint)


def test_cuda_stands_alone_on_the_card_that_was_named() -> None:
    ((provider, options),) = choose_providers("cuda:3", GPU_BUILD)
    assert (provider, options["device_id"]) == ("CUDAExecutionProvider", "3")


def test_tensorrt_keeps_its_engines_and_falls_back_to_cuda_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIPITA_TENSORRT_CACHE", str(tmp_path))
    (first, options), (second, _) = choose_providers("tensorrt:1", GPU_BUILD)
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["device_id"] == "1"
    assert options["trt_engine_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == str(tmp_path)


@pytest.mark.parametrize(
    ("message", "full"),
    [
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1073741824", True),
        ("CUDA failure 2: out of memory ; GPU=0", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("Got invalid dimensions for input: pixels", False),
    ],
)
def test_a_full_device_is_told_from_other_faults(message: str, full: bool) -> None:
    assert is_out_of_memory(RuntimeError(message)) is full


def test_encoding_never_imports_torch(tiny_bundle: Path) -> None:
    code = f"""
import sys, numpy
from clipita.runtime import Bundle, ProductEncoder, ProductInput, TextEncoder
bundle = Bundle.load({str(tiny_bundle)!r})
assert TextEncoder(bundle).encode(["shoes"]).shape == (1, bundle.dim)
assert ProductEncoder(bundle).encode([ProductInput("shoes")]).shape == (1, bundle.dim)
print(sorted({{"torch", "open_clip", "transformers", "timm", "onnx"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
