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
