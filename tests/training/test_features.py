"""What is relevant to products of several category paths, and the features of products with several images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from clipita.config import ModelConfig, TrainingConfig
from clipita.model.clip_ita import ClipIta
from clipita.training.features import name_matrix, path_classes
from clipita.training.prepare import Sources, prepared_data
from clipita.training.run import train
from clipita.training.trainer import draw_weights

PRODUCTS = [(("Shop", "Men"), ("Shop", "Eco")), (("Shop", "Men"),), (("Shop", "Women"),)]


def test_the_names_of_all_paths_are_positive() -> None:
    matrix = name_matrix(["Eco", "Men", "Shop"], PRODUCTS)
    assert matrix.tolist() == [[True, True, True], [False, True, True], [False, False, True]]


@pytest.mark.parametrize("loss", ["tree", "infonce"])
def test_a_catalogue_of_several_paths_trains(
    sources: Sources, frozen: ModelConfig, tmp_path: Path, loss: Literal["tree", "infonce"]
) -> None:
    files = []
    for file in (sources.train, sources.valid):
        rows = pq.read_table(file)
        paths = [
            [path, ["Shop", "Gifts"]] if at % 2 else [path] for at, path in enumerate(rows["category_path"].to_pylist())
        ]
        at = rows.schema.get_field_index("category_path")
        files.append(tmp_path / file.name)
        pq.write_table(rows.set_column(at, "category_path", pa.array(paths)), files[-1])
    training = TrainingConfig(loss=loss, epochs=1, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache")
    outcome = train(Sources(*files), frozen, training, lambda *_: None, lambda _: None)
    assert {("Shop",), ("Shop", "Gifts"), ("Home",)} <= set(outcome.trained.categories)


def test_a_product_is_drawn_by_its_main_category() -> None:
    assert path_classes(PRODUCTS).tolist() == [0, 0, 1]
    assert draw_weights(PRODUCTS, 1.0).tolist() == [0.25, 0.25, 0.5]


@pytest.fixture
def several(sources: Sources, tmp_path: Path) -> Sources:
    """The shop with lists of images: one product has two, one a broken image before its own, one none, one broken."""
    rows: list[dict[str, Any]] = pq.read_table(sources.train).to_pylist()
    mirrored = io.BytesIO()
    Image.open(io.BytesIO(rows[0]["image"]["bytes"])).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored, "PNG")
    for row in rows:
        row["image"] = [row["image"]]
    broken = {"bytes": b"<html>404</html>", "path": "x.jpg"}
    rows[0]["image"].append({"bytes": mirrored.getvalue(), "path": "mirrored.png"})
    rows[1]["image"].insert(0, broken)
    rows[2]["image"] = []
    rows[3]["image"] = [broken]
    schema = pq.read_schema(sources.train)
    place = schema.get_field_index("image")
    schema = schema.set(place, pa.field("image", pa.list_(schema.field(place).type)))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "train.parquet")
    return Sources(tmp_path / "train.parquet", sources.valid)


@pytest.mark.parametrize("unfreeze", [False, True])
def test_the_image_feature_is_the_mean_of_those_that_can_be_read(
    sources: Sources, several: Sources, frozen: ModelConfig, tmp_path: Path, unfreeze: bool
) -> None:
    training = TrainingConfig(
        epochs=1, batch_size=32, cache=tmp_path / "cache", run=tmp_path / "run", unfreeze=unfreeze
    )
    rows = torch.arange(6)
    found = []
    for files in (sources, several):
        with prepared_data(files, frozen, training, lambda *_: None) as data:
            model = ClipIta(data.towers, dim=16, hidden=32)
            with torch.no_grad():
                image = data.train.features(model.eval(), rows).image
            assert image is not None
            found.append(image)
            rejected = data.rejected
    single, mixed = found
    assert [rejection.reason.partition(":")[0] for rejection in rejected] == ["the image is not of a known format"]
    # The rejected row is the fourth, and those below come up by one.
    torch.testing.assert_close(mixed[[1, 3, 4]], single[[1, 4, 5]])
    assert not mixed[2].any()
    assert not torch.allclose(mixed[0], single[0])
    mirror = 2 * mixed[0] - single[0]
    np.testing.assert_allclose(mirror.norm(), 1, atol=2e-3)


@pytest.mark.parametrize("unfreeze", [False, True])
def test_a_catalogue_of_several_images_trains(
    several: Sources, frozen: ModelConfig, tmp_path: Path, unfreeze: bool
) -> None:
    training = TrainingConfig(
        epochs=1, batch_size=32, run=tmp_path / "run", cache=tmp_path / "cache", unfreeze=unfreeze
    )
    outcome = train(several, frozen, training, lambda *_: None, lambda _: None)
    assert np.isfinite(outcome.best.loss)
