"""The drawn shop: what it promises about its tree, titles, attributes and pictures, and that a seed repeats."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.catalogue.sample.products import draw_product, draw_products
from clipita.catalogue.sample.tree import LEAVES
from clipita.catalogue.sample.writer import write_sample
from clipita.catalogue.split import PARTS, part_of
from clipita.errors import UsageError

COUNT = 400


@pytest.fixture(scope="module")
def drawn() -> list[Product]:
    return list(draw_products(COUNT, seed=3))


def test_the_tree_has_five_roots_and_three_levels() -> None:
    paths = [leaf.path for leaf in LEAVES]
    assert len(set(paths)) == len(paths) >= 60
    assert len({path[0] for path in paths}) == 5
    assert {len(path) for path in paths} == {3}


def test_every_leaf_looks_different() -> None:
    assert len({id(leaf.drawing) for leaf in LEAVES}) == len(LEAVES)


def test_a_seed_repeats_and_a_product_does_not_depend_on_the_shops_size(drawn: list[Product]) -> None:
    assert list(itertools.islice(draw_products(10_000_000, seed=3), 20)) == drawn[:20]
    assert draw_product(17, seed=3) == drawn[17]
    assert draw_product(17, seed=4) != drawn[17]


def test_pictures_are_jpegs_of_160_pixels(drawn: list[Product]) -> None:
    for product in drawn[:40]:
        assert product.image is not None
        assert product.image.data is not None
        with Image.open(io.BytesIO(product.image.data)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (160, 160))


def test_about_half_of_the_titles_name_the_category(drawn: list[Product]) -> None:
    singulars = {leaf.path: leaf.singular.lower() for leaf in LEAVES}
    named = sum(singulars[product.category_path] in (product.title or "").lower() for product in drawn)
    assert 0.35 < named / COUNT < 0.65


def test_some_titles_name_another_category(drawn: list[Product]) -> None:
    names = {leaf.path[-1].lower() for leaf in LEAVES}
    misleading = [
        product
        for product in drawn
        if any(
            name in (product.title or "").lower() and name not in product.category_path[-1].lower() for name in names
        )
    ]
    assert 0.04 < len(misleading) / COUNT < 0.25


def test_attributes_are_three_to_eight_with_colour_and_pattern(drawn: list[Product]) -> None:
    for product in drawn:
        assert 3 <= len(product.attributes) <= 8
        assert {"Colour", "Pattern"} <= product.attributes.keys()
        assert product.extra["price"] > 0
        assert product.extra["brand"]


def test_written_files_read_back_without_any_setting(tmp_path: Path) -> None:
    seen: list[int] = []
    counts = write_sample(tmp_path / "shop", 120, 5, seen.append)
    assert seen == list(range(1, 121))
    assert sum(counts.values()) == 120
    read = {
        product.id: (split, product)
        for split in PARTS
        for product in CatalogueFile(tmp_path / "shop" / f"{split}.parquet").products()
    }
    for number in (0, 60, 119):
        wanted = draw_product(number, 5)
        split, product = read[wanted.id]
        assert split == part_of(wanted.id)
        assert (product.title, product.category_path, dict(product.attributes)) == (
            wanted.title,
            wanted.category_path,
            wanted.attributes,
        )
        assert product.image is not None
        assert wanted.image is not None
        assert product.image.data == wanted.image.data
        assert {name: product.extra[name] for name in wanted.extra} == wanted.extra


def test_splits_are_80_10_10() -> None:
    splits = [part_of(f"p{number:07d}") for number in range(20_000)]
    assert 0.78 < splits.count("train") / 20_000 < 0.82
    assert 0.09 < splits.count("valid") / 20_000 < 0.11


def test_an_interrupted_drawing_leaves_the_earlier_shop(tmp_path: Path) -> None:
    write_sample(tmp_path, 30, 1, lambda _: None)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def interrupt(done: int) -> None:
        if done == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, 200, 2, interrupt, force=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_rows_are_written_while_the_drawing_goes_on(tmp_path: Path) -> None:
    """Streamed: with the 500th product drawn, train.parquet's draft holds a row group already."""
    sizes = {}

    def look(done: int) -> None:
        if done in (100, 500):
            sizes[done] = sum(file.stat().st_size for file in tmp_path.rglob("*train.parquet"))

    write_sample(tmp_path, 500, 2, look)
    assert sizes[500] > sizes[100] + 200_000
    assert pq.ParquetFile(tmp_path / "train.parquet").num_row_groups == 2


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file/shop cannot be written"):
        write_sample(tmp_path / "file" / "shop", 1, 1, lambda _: None)
