"""The default recipe in a bundle: anchor, gate, rotation and gaps, folded into the two graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import ModelConfig, TrainingConfig
from clipita.exporters.bundle import export_bundle
from clipita.model.checkpoint import load_run
from clipita.runtime import Bundle, ProductEncoder, TextEncoder
from clipita.runtime.inputs import ProductInput
from clipita.training.prepare import Sources
from clipita.training.run import train

TEXTS = ["Round Plates", "buy round plate online", "ruond plates", "something else altogether", ""]


@pytest.fixture(scope="module")
def residual_run(shop: Path, tiny_tower: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("residual")
    training = TrainingConfig(epochs=2, batch_size=32, run=folder / "run", cache=folder / "cache")
    model = ModelConfig(tower_config=tiny_tower, pretrained=str(tiny_weights), dim=24, hidden=32)
    train(Sources(shop / "train.parquet", shop / "valid.parquet"), model, training, lambda *_: None, lambda _: None)
    return training.run


@pytest.mark.parametrize("dim", [24, 8])
def test_graphs_give_what_the_model_gives(residual_run: Path, shop: Path, tmp_path: Path, dim: int) -> None:
    trained = load_run(residual_run)
    trained.model.truncate(dim)
    bundle, parity = export_bundle(
        trained,
        CatalogueFile(shop / "valid.parquet"),
        tmp_path / "model",
        lowest_cosine=0.9999,
        products=40,
        command="tests",
        report=lambda _: None,
    )
    assert bundle.dim == dim
    assert parity.lowest_product >= 0.9999
    vectors = TextEncoder(bundle).encode(TEXTS)
    with torch.no_grad():
        ids = torch.from_numpy(trained.model.towers.tokenizer(TEXTS))
        expected = trained.model.query(trained.model.towers.encode_text(ids)).numpy()
        features = trained.model.towers.encode_text(ids)
        gate, anchored = (part.numpy() for part in trained.model.gate(features))
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    assert vectors.shape == (5, dim)
    gated = TextEncoder(bundle).encode_gated(TEXTS)
    np.testing.assert_allclose(gated[:, :-1], vectors, atol=1e-6)
    np.testing.assert_allclose(gated[:, -1], gate, atol=1e-4)
    assert gated[0, -1] == pytest.approx(1.0, abs=1e-4)
    assert (gated[:, -1] >= 0).all()
    free = TextEncoder(bundle).anchored(TEXTS)
    assert free is not None
    np.testing.assert_allclose(free, anchored, atol=1e-4)
    assert TextEncoder(bundle).encode_gated([]).shape == (0, dim + 1)


def test_products_with_gaps_get_unit_vectors_in_the_same_space(residual_run: Path, shop: Path, tmp_path: Path) -> None:
    bundle, _ = export_bundle(
        load_run(residual_run),
        CatalogueFile(shop / "valid.parquet"),
        tmp_path / "model",
        lowest_cosine=0.9999,
        products=8,
        command="tests",
        report=lambda _: None,
    )
    encoder = ProductEncoder(Bundle.load(bundle.path))
    pixels = np.full((32, 32, 3), 90, dtype=np.uint8)
    inputs = [
        ProductInput("fine plate", ("colour: red",), (pixels,)),
        ProductInput(None, ("colour: red",), (pixels,)),
        ProductInput("fine plate", (), (pixels,)),
        ProductInput("fine plate", ("colour: red",)),
        ProductInput(None, (), (pixels,)),
        ProductInput(None, ("colour: red",)),
        ProductInput("fine plate"),
    ]
    vectors = encoder.encode(inputs)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len({tuple(vector) for vector in vectors.round(4).tolist()}) == len(inputs)
