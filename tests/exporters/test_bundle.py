"""A bundle appears whole and agreeing with PyTorch, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ExportError, ParityError
from clipita.exporters import bundle as bundle_writer
from clipita.exporters.bundle import export_bundle, sweep
from clipita.files import sha256
from clipita.model.checkpoint import TrainedModel, load_run
from clipita.runtime import Bundle, ProductEncoder, TextEncoder
from clipita.runtime.bundle import fingerprint_of


@pytest.fixture
def trained(tiny_run: Path) -> TrainedModel:
    return load_run(tiny_run)


@pytest.fixture
def graphs_made_before(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model's graphs, copied: exporting takes long, and these tests are about what comes after."""
    for name, file in (("export_text", "text.onnx"), ("export_product", "product.onnx")):
        monkeypatch.setattr(
            bundle_writer, name, lambda *arguments, file=file: shutil.copy(tiny_bundle / file, arguments[-1])
        )


def export(trained: TrainedModel, shop: Path, target: Path, **options: Any) -> Bundle:
    settings: dict[str, Any] = {"lowest_cosine": 0.9999, "products": 20, "command": "tests", "report": lambda _: None}
    bundle, _ = export_bundle(trained, CatalogueFile(shop / "valid.parquet"), target, **settings | options)
    return bundle


def test_the_bundle_is_the_model(trained: TrainedModel, tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    names = sorted({path[-1] for path in trained.categories})
    with torch.no_grad():
        ids = torch.from_numpy(trained.model.towers.tokenizer(names))
        expected = trained.model.query(trained.model.towers.encode_text(ids)).numpy()
    np.testing.assert_allclose(TextEncoder(bundle).encode(names), expected, atol=1e-5)
    assert bundle.dim == trained.model.dim
    assert bundle.manifest["export"]["parity"]["lowest_product"] > 0.99999
    assert sorted(file.name for file in tiny_bundle.iterdir() if file.suffix in {".onnx", ".json"}) == [
        "manifest.json",
        "product.onnx",
        "text.onnx",
        "tokenizer.json",
    ]


def test_the_graphs_take_bytes_and_give_unit_vectors(tiny_bundle: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(tiny_bundle / "product.onnx", providers=["CPUExecutionProvider"])
    inputs = {entry.name: entry.type for entry in session.get_inputs()}
    assert inputs["pixels"] == "tensor(uint8)"
    assert set(inputs) == {
        "pixels", "image_weights", "title_ids", "has_title", "known_attributes", "attribute_ids", "attribute_weights",
    }  # fmt: skip
    assert {entry.name for entry in session.get_outputs()} == {"vector", "features", "attribute_features"}


def test_the_manifest_names_no_path_of_this_machine(tiny_bundle: Path, tiny_run: Path) -> None:
    for file in tiny_bundle.iterdir():
        assert str(tiny_run).encode() not in file.read_bytes(), file
        assert str(Path(torch.__file__).parent).encode() not in file.read_bytes(), file


@pytest.mark.usefixtures("graphs_made_before")
def test_a_model_that_disagrees_leaves_nothing(trained: TrainedModel, shop: Path, tmp_path: Path) -> None:
    with torch.no_grad():
        for name, parameter in trained.model.named_parameters():
            if "head" in name:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ParityError, match="No bundle was written") as caught:
        export(trained, shop, tmp_path / "model")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("graphs_made_before")
def test_a_failed_export_keeps_the_older_bundle(
    trained: TrainedModel, shop: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "model")
    before = {file.name: sha256(file) for file in (tmp_path / "model").iterdir()}
    with torch.no_grad():
        trained.model.towers.text.positional_embedding.normal_(generator=torch.Generator().manual_seed(0))
    with pytest.raises(ParityError):
        export(trained, shop, tmp_path / "model")
    assert {file.name: sha256(file) for file in (tmp_path / "model").iterdir()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("graphs_made_before")
def test_a_better_bundle_replaces_the_older_one(
    trained: TrainedModel, shop: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "model")
    (tmp_path / "model" / "text.onnx").write_bytes(b"spoilt")
    bundle = export(trained, shop, tmp_path / "model")
    assert bundle.fingerprint == Bundle.load(tiny_bundle).fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("graphs_made_before")
@pytest.mark.parametrize("phase", ["Reading", "Exporting the text", "Exporting the product", "Comparing"])
def test_an_interrupted_export_leaves_nothing(trained: TrainedModel, shop: Path, tmp_path: Path, phase: str) -> None:
    def interrupt(step: str) -> None:
        if step.startswith(phase):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(trained, shop, tmp_path / "deep" / "model", report=interrupt)
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "deep"])


@pytest.mark.usefixtures("graphs_made_before")
@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("x"), lambda path: (path.mkdir(), (path / "thesis.tex").touch())]
)
def test_what_is_no_bundle_is_not_replaced(
    trained: TrainedModel, shop: Path, tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / "mine")
    with pytest.raises(ExportError, match="is not a model bundle") as caught:
        export(trained, shop, tmp_path / "mine")
    assert "--out" in str(caught.value.hint)
    assert (tmp_path / "mine").exists()


def dead_process() -> int:
    return int(
        subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True).stdout
    )


def test_leftovers_of_a_killed_export_are_cleared(tmp_path: Path) -> None:
    target, dead = tmp_path / "model", dead_process()
    for name in (f".model.{dead}", f".model.{os.getpid()}", ".model.old.mine", f".other.{dead}"):
        (tmp_path / name).mkdir()
    sweep(target)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        f".model.{os.getpid()}",
        ".model.old.mine",
        f".other.{dead}",
    }


def test_a_bundle_moved_aside_by_a_killed_export_comes_back(tmp_path: Path, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / f".model.old.{dead_process()}")
    sweep(tmp_path / "model")
    assert Bundle.load(tmp_path / "model").fingerprint == Bundle.load(tiny_bundle).fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("graphs_made_before")
def test_a_catalogue_without_a_usable_product(trained: TrainedModel, tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text(
        json.dumps({"product_id": "1", "title": None, "category_path": ["A", "B"], "attributes": {}, "image": None})
        + "\n"
    )
    with pytest.raises(ExportError, match="no usable product"):
        export_bundle(
            trained, CatalogueFile(file), tmp_path / "model", lowest_cosine=0.9999, products=4, command="t",
            report=lambda _: None,
        )  # fmt: skip
    assert not (tmp_path / "model").exists()


def sign(bundle: Path, schema: int) -> None:
    """Write the manifest anew for a changed product graph."""
    file, manifest_file = bundle / "product.onnx", bundle / "manifest.json"
    manifest = json.loads(manifest_file.read_text()) | {"schema": schema}
    manifest["files"]["product.onnx"] = {"sha256": sha256(file), "bytes": file.stat().st_size}
    manifest["fingerprint"] = fingerprint_of(manifest)
    manifest_file.write_text(json.dumps(manifest))


@pytest.mark.usefixtures("graphs_made_before")
def test_a_bundle_of_schema_1_still_gives_vectors(tiny_bundle: Path, shop: Path, tmp_path: Path) -> None:
    """Schema 1 had no `known_attributes`: the same graph with that input fixed stands for one."""
    import onnx
    from onnx import numpy_helper

    old = Path(shutil.copytree(tiny_bundle, tmp_path / "old"))
    graph = onnx.load(old / "product.onnx")
    width = next(i for i in graph.graph.input if i.name == "known_attributes").type.tensor_type.shape.dim[1].dim_value
    for entry in [i for i in graph.graph.input if i.name == "known_attributes"]:
        graph.graph.input.remove(entry)
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((0, width), dtype=np.float32), "known_attributes"))
    onnx.save(graph, old / "product.onnx")
    sign(old, schema=1)
    before, now = ProductEncoder(Bundle.load(old)), ProductEncoder(Bundle.load(tiny_bundle))
    products = list(CatalogueFile(shop / "valid.parquet").products(lambda _: None))[:8]
    inputs = [now.prepare(product) for product in products]
    np.testing.assert_allclose(before.encode(inputs), now.encode(inputs), atol=1e-5)


@pytest.mark.usefixtures("graphs_made_before")
def test_a_bundle_of_schema_3_reads_the_first_image(tiny_bundle: Path, shop: Path, tmp_path: Path) -> None:
    """Schema 3 had `has_image` [B] and one row of pixels per product: nodes that make weights of it stand for one."""
    import onnx
    from onnx import TensorProto, helper

    old = Path(shutil.copytree(tiny_bundle, tmp_path / "old"))
    model = onnx.load(old / "product.onnx")
    graph = model.graph
    [weights] = [entry for entry in graph.input if entry.name == "image_weights"]
    graph.input.remove(weights)
    graph.input.append(helper.make_tensor_value_info("has_image", TensorProto.BOOL, ["batch"]))
    one = helper.make_node("Constant", [], ["axis"], value=helper.make_tensor("axis", TensorProto.INT64, [1], [1]))
    nodes = [
        one,
        helper.make_node("Cast", ["has_image"], ["has"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["has", "axis"], ["column"]),
        helper.make_node("Transpose", ["column"], ["row"]),
        helper.make_node("MatMul", ["column", "row"], ["both"]),
        helper.make_node("EyeLike", ["both"], ["diagonal"], dtype=TensorProto.FLOAT),
        helper.make_node("Mul", ["both", "diagonal"], ["image_weights"]),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    onnx.save(model, old / "product.onnx")
    sign(old, schema=3)
    before, now = ProductEncoder(Bundle.load(old)), ProductEncoder(Bundle.load(tiny_bundle))
    assert (before.most_images, now.most_images) == (1, None)
    products = list(CatalogueFile(shop / "valid.parquet").products(lambda _: None))[:4]
    single = [*products, replace(products[0], images=())]
    several = [replace(product, images=(*product.images, *products[1].images)) for product in single]
    several[-1] = single[-1]
    expected = now.encode([now.prepare(product) for product in single])
    np.testing.assert_allclose(before.encode([before.prepare(product) for product in single]), expected, atol=1e-6)
    np.testing.assert_allclose(before.encode([before.prepare(product) for product in several]), expected, atol=1e-6)
    # Prepared for a newer bundle.
    np.testing.assert_allclose(before.encode([now.prepare(product) for product in several]), expected, atol=1e-6)
    assert len(before.prepare(several[0]).images) == 1
