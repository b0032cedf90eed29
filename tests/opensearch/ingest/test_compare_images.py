"""A product whose image is gone or damaged: its document is as the catalogue has it, and the image is tried again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from PIL import Image

from clipita.opensearch.ingest.outcomes import IngestReport

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "a.jpg"
    Image.radial_gradient("L").convert("RGB").save(file)
    return file


@pytest.fixture
def write(tmp_path: Path, image: Path) -> Callable[..., Path]:
    def lines(**changes: Any) -> Path:
        row = {"product_id": "a", "title": "round plate", "price": 1, "image": image.name, **changes}
        file = tmp_path / "catalogue.jsonl"
        file.write_text(json.dumps(row) + '\n{"product_id": "b", "title": "whole"}\n')
        return file

    return lines


def counted(report: IngestReport) -> tuple[dict[str, int], int, int]:
    outcomes = {outcome.value: count for outcome, count in report.counts.items() if count}
    return outcomes, report.encoded, report.image_warnings


def spoil(image: Path, how: str) -> None:
    if how == "gone":
        image.unlink()
    else:
        image.write_bytes(image.read_bytes()[:700])


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_price_changes_and_the_vector_stays(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, alias: str, how: str
) -> None:
    whole = image.read_bytes()
    ingest(write())
    before = documents(alias)
    spoil(image, how)
    assert counted(ingest(write(price=2))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    after = documents(alias)["a"]
    assert after["price"] == 2
    assert after["product_vector"] == before["a"]["product_vector"]
    assert after["clipita"]["thumbnail"] == before["a"]["clipita"]["thumbnail"]
    assert counted(ingest(write(price=2))) == ({"unchanged": 2}, 0, 1)
    image.write_bytes(whole)
    assert counted(ingest(write(price=2))) == ({"updated": 1, "unchanged": 1}, 0, 0)
    assert counted(ingest(write())) == ({"updated": 1, "unchanged": 1}, 0, 0)
    assert documents(alias) == before


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_other_words_get_a_vector_of_their_own_until_the_image_is_back(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, alias: str, how: str
) -> None:
    whole = image.read_bytes()
    ingest(write())
    spoil(image, how)
    assert counted(ingest(write(title="square board"))) == ({"written": 1, "unchanged": 1}, 1, 1)
    of_words = documents(alias)["a"]
    assert of_words["title"] == "square board"
    assert "thumbnail" not in of_words["clipita"]
    assert counted(ingest(write(title="square board"))) == ({"unchanged": 2}, 0, 1)
    plain = ingest(write(title="square board", image=None), alias=f"{alias}-plain")
    assert np.allclose(documents(plain.index)["a"]["product_vector"], of_words["product_vector"], atol=1e-6)
    image.write_bytes(whole)
    assert counted(ingest(write(title="square board"))) == ({"written": 1, "unchanged": 1}, 1, 0)
    reference = ingest(write(title="square board"), alias=f"{alias}-whole")
    assert documents(alias) == documents(reference.index)


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_product_of_an_image_alone_is_there_without_a_vector(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, alias: str, client: OpenSearch, how: str
) -> None:
    whole = image.read_bytes()
    spoil(image, how)
    assert counted(ingest(write(title=None))) == ({"written": 2}, 1, 1)
    assert "product_vector" not in documents(alias)["a"]
    assert counted(ingest(write(title=None))) == ({"unchanged": 2}, 0, 1)
    assert counted(ingest(write(title=None, price=2))) == ({"written": 1, "unchanged": 1}, 0, 1)
    assert documents(alias)["a"]["price"] == 2
    image.write_bytes(whole)
    assert counted(ingest(write(title=None, price=2))) == ({"written": 1, "unchanged": 1}, 1, 0)
    assert "product_vector" in documents(alias)["a"]


def test_new_image_that_is_damaged_keeps_the_vector_of_the_old_one(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, alias: str
) -> None:
    ingest(write())
    before = documents(alias)["a"]
    (image.parent / "b.jpg").write_text("<html>404</html>")
    assert counted(ingest(write(image="b.jpg"))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    after = documents(alias)["a"]
    assert after["product_vector"] == before["product_vector"]
    assert after["image"].endswith("b.jpg")


@pytest.fixture
def two(image: Path) -> Path:
    """The second image, beside the first."""
    file = image.parent / "b.png"
    Image.linear_gradient("L").convert("RGB").save(file)
    return file


def test_several_images_make_one_vector_and_a_list_with_the_main_one_first(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, two: Path, alias: str
) -> None:
    assert counted(ingest(write(image=["no_selection", image.name, two.name, image.name]))) == ({"written": 2}, 2, 0)
    both = documents(alias)["a"]
    assert both["image"] == [image.name, two.name]
    single = documents(ingest(write(image=image.name), alias=f"{alias}-one").index)["a"]
    assert single["image"] == image.name
    assert single["clipita"]["thumbnail"] == both["clipita"]["thumbnail"]
    assert not np.allclose(single["product_vector"], both["product_vector"], atol=1e-4)
    assert counted(ingest(write(image=f"{image.name}, {two.name}"))) == ({"unchanged": 2}, 0, 0)
    # A change of any image counts.
    Image.radial_gradient("L").convert("RGB").rotate(90).resize((90, 30)).save(two)
    assert counted(ingest(write(image=[image.name, two.name]))) == ({"written": 1, "unchanged": 1}, 1, 0)
    assert documents(alias)["a"]["product_vector"] != both["product_vector"]
    swapped = ingest(write(image=[two.name, image.name]))
    assert counted(swapped) == ({"written": 1, "unchanged": 1}, 1, 0)
    assert documents(alias)["a"]["image"] == [two.name, image.name]


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_the_first_image_that_works_is_the_main_one(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, two: Path, alias: str, how: str
) -> None:
    whole = image.read_bytes()
    spoil(image, how)
    rows = {"image": [image.name, two.name]}
    assert counted(ingest(write(**rows))) == ({"written": 2}, 2, 1)
    partly = documents(alias)["a"]
    single = documents(ingest(write(image=two.name), alias=f"{alias}-one").index)["a"]
    assert partly["image"] == two.name
    assert partly["product_vector"] == single["product_vector"]
    assert partly["clipita"]["thumbnail"] == single["clipita"]["thumbnail"]
    # Each run tries again and tells again; nothing is encoded or written.
    assert counted(ingest(write(**rows))) == ({"unchanged": 2}, 0, 1)
    # Other fields are written with the stored vector.
    assert counted(ingest(write(**rows, price=2))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    assert documents(alias)["a"]["price"] == 2
    image.write_bytes(whole)
    assert counted(ingest(write(**rows, price=2))) == ({"written": 1, "unchanged": 1}, 1, 0)
    assert documents(alias)["a"]["image"] == [image.name, two.name]


def test_all_of_several_images_are_broken(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, two: Path, alias: str
) -> None:
    rows = {"image": [image.name, two.name]}
    ingest(write(**rows))
    before = documents(alias)["a"]
    spoil(image, "gone")
    spoil(two, "damaged")
    assert counted(ingest(write(**rows, price=2))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    after = documents(alias)["a"]
    assert (after["price"], after["product_vector"]) == (2, before["product_vector"])
    assert after["image"] == before["image"]


def test_an_image_that_goes_away_costs_no_vector_of_several(
    ingest: Run, documents: Documents, write: Callable[..., Path], image: Path, two: Path, alias: str
) -> None:
    whole = two.read_bytes()
    rows = {"image": [image.name, two.name]}
    ingest(write(**rows))
    before = documents(alias)
    spoil(two, "gone")
    assert counted(ingest(write(**rows))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    kept = documents(alias)["a"]
    assert (kept["image"], kept["product_vector"]) == (image.name, before["a"]["product_vector"])
    assert counted(ingest(write(**rows))) == ({"unchanged": 2}, 0, 1)
    assert counted(ingest(write(**rows, price=2))) == ({"updated": 1, "unchanged": 1}, 0, 1)
    two.write_bytes(whole)
    assert counted(ingest(write(**rows))) == ({"updated": 1, "unchanged": 1}, 0, 0)
    assert documents(alias) == before
    # Another image that works is a new vector, even if it is made of fewer.
    spoil(two, "gone")
    Image.linear_gradient("L").convert("RGB").rotate(45).save(image)
    assert counted(ingest(write(**rows))) == ({"written": 1, "unchanged": 1}, 1, 1)
    assert counted(ingest(write(**rows))) == ({"unchanged": 2}, 0, 1)
