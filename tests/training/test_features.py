"""What is relevant to products of several category paths."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.config import ModelConfig, TrainingConfig
from clipita.training.features import name_matrix, path_classes
from clipita.training.prepare import Sources
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
