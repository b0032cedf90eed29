"""Lower precisions: smaller graphs, gated by cosine and by what retrieval loses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ExportError, ParityError
from clipita.exporters import bundle as bundle_writer
from clipita.exporters.bundle import export_bundle
from clipita.exporters.precision import LOWEST_COSINE, PRECISIONS, convert
from clipita.model.checkpoint import TrainedModel, load_run
from clipita.runtime import Bundle, TextEncoder


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


def test_bf16_rounds_to_nearest(tiny_bundle: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    file = Path(shutil.copy(tiny_bundle / "text.onnx", tmp_path))
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    convert(file, "bf16")
    rounded = [tensor for tensor in onnx.load(file).graph.initializer if tensor.name.endswith("_bf16")]
    assert rounded
    for tensor in rounded:
        bits = np.frombuffer(tensor.raw_data, dtype=np.uint16).astype(np.uint32) << 16
        expected = torch.from_numpy(before[tensor.name.removesuffix("_bf16")].copy()).bfloat16().float().numpy()
        np.testing.assert_array_equal(bits.view(np.float32).reshape(expected.shape), expected)


def test_a_loss_above_the_bound_leaves_no_bundle(trained: TrainedModel, shop: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="ranks worse than PyTorch") as caught:
        export(trained, shop, tmp_path / "model", precision="int8", max_loss=-101.0)
    assert "--max-loss" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_records_the_towers_origin_and_its_data(tiny_bundle: Path) -> None:
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    card = (tiny_bundle / "README.md").read_text()
    assert manifest["schema"] == 2
    assert manifest["precision"] == "fp32"
    assert manifest["towers"]["licence"] in card
    assert manifest["towers"]["origin"] == "random weights"
    assert manifest["fingerprint"] in card
    assert "train.parquet" in card
    assert "README.md" in manifest["files"]
    assert str(tiny_bundle.parent) not in card


def test_static_int8_wants_products_to_calibrate_on(tiny_bundle: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_bundle / "text.onnx", tmp_path))
    with pytest.raises(ExportError, match="no products to calibrate on"):
        convert(file, "int8-static", [])
