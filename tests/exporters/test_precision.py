"""Lower precisions: smaller graphs, gated by cosine and by what retrieval loses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ExportError, ParityError
from clipita.exporters import bundle as bundle_writer
from clipita.exporters.bundle import export_bundle
from clipita.exporters.precision import LOWEST_COSINE, PRECISIONS
from clipita.files import sha256
from clipita.model.checkpoint import TrainedModel, load_run
from clipita.runtime import Bundle, TextEncoder
from clipita.runtime.bundle import fingerprint_of


@pytest.fixture
def trained(tiny_run: Path) -> TrainedModel:
    return load_run(tiny_run)


@pytest.fixture(autouse=True)
def graphs_made_before(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model's fp32 graphs, copied: exporting takes long, and these tests are about what comes after."""
    for name, file in (("export_text", "text.onnx"), ("export_product", "product.onnx")):
        monkeypatch.setattr(
            bundle_writer, name, lambda *arguments, file=file: shutil.copy(tiny_bundle / file, arguments[-1])
        )


def export(trained: TrainedModel, shop: Path, target: Path, **options: Any) -> Bundle:
    settings: dict[str, Any] = {"lowest_cosine": 0.9999, "products": 40, "max_loss": 5.0}
    bundle, _ = export_bundle(
        trained, CatalogueFile(shop / "valid.parquet"), target, command="tests", report=lambda _: None,
        **settings | options,
    )  # fmt: skip
    return bundle


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "fp32"])
def test_every_precision_gives_a_bundle_that_says_what_it_lost(
    trained: TrainedModel, shop: Path, tiny_bundle: Path, tmp_path: Path, precision: Any
) -> None:
    bundle = export(trained, shop, tmp_path / "model", precision=precision)
    whole = Bundle.load(tiny_bundle)
    parity = bundle.manifest["export"]["parity"]
    assert bundle.manifest["precision"] == precision
    assert LOWEST_COSINE[precision] <= parity["lowest_product"] < 0.9999999
    assert parity["lost"] == parity["torch_r_precision"] - parity["onnx_r_precision"] <= 5.0
    assert parity["torch_r_precision"] > 20
    sizes = [b.manifest["files"]["text.onnx"]["bytes"] for b in (bundle, whole)]
    assert sizes[0] < sizes[1]
    assert bundle.fingerprint != whole.fingerprint
    card = (tmp_path / "model" / "README.md").read_text()
    assert precision in card
    assert f"{parity['lost']:+.2f} points lost" in card
    vectors = TextEncoder(bundle).encode(["Round Plates", ""])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)


def test_a_loss_above_the_bound_leaves_no_bundle(trained: TrainedModel, shop: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="ranks worse than PyTorch") as caught:
        export(trained, shop, tmp_path / "model", precision="int8", max_loss=-101.0)
    assert "--max-loss" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_records_the_towers_origin_and_its_data(tiny_bundle: Path) -> None:
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    card = (tiny_bundle / "README.md").read_text()
    assert manifest["schema"] == 4
    assert manifest["precision"] == "fp32"
    assert manifest["towers"]["licence"] in card
    assert manifest["towers"]["origin"] == "random weights"
    assert manifest["fingerprint"] in card
    assert "train.parquet" in card
    assert "README.md" in manifest["files"]
    assert str(tiny_bundle.parent) not in card


def _store_in_bf16(file: Path) -> None:
    """What `--precision bf16` wrote: large weights in bfloat16, cast to fp32 before use."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(file)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 1024:
            continue
        name, tensor.name = tensor.name, f"{tensor.name}_bf16"
        tensor.ClearField("float_data")
        tensor.data_type = TensorProto.BFLOAT16
        tensor.raw_data = torch.from_numpy(values.copy()).bfloat16().view(torch.uint16).numpy().tobytes()
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    onnx.save(model, file)


def _quantize_statically(file: Path) -> None:
    """What `--precision int8-static` wrote: activations scaled by calibration."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches = iter([{"ids": np.array([[49406, 320, 1000, 49407]])}, {"ids": np.array([[49406, 49407]])}])

        def get_next(self) -> Any:
            return next(self.batches, None)

    quantize_static(
        file, file, Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip


@pytest.mark.parametrize(("precision", "rewrite"), [("bf16", _store_in_bf16), ("int8-static", _quantize_statically)])
def test_bundles_of_former_precisions_still_run(
    precision: str, rewrite: Callable[[Path], None], tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_bundle, folder)
    rewrite(folder / "text.onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    file = folder / "text.onnx"
    manifest["files"]["text.onnx"] = {"sha256": sha256(file), "bytes": file.stat().st_size}
    manifest |= {"precision": precision, "fingerprint": fingerprint_of(manifest)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    names = ["Round Plates", "Kites"]
    vectors, exact = (TextEncoder(Bundle.load(path)).encode(names) for path in (folder, tiny_bundle))
    assert vectors.tolist() != exact.tolist()
    assert (vectors * exact).sum(axis=1).min() > 0.9


@pytest.mark.parametrize("precision", ["bf16", "int8-static", "int4"])
def test_an_unknown_precision_is_refused_with_those_there_are(
    precision: str, trained: TrainedModel, shop: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"There is no precision {precision}") as caught:
        export(trained, shop, tmp_path / "model", precision=precision)
    assert "fp32, fp16, int8" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
