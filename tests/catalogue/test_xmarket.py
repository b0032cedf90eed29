"""XMarket's layout, on a miniature that is made here: the real files cannot be had where tests run."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipita.catalogue import CatalogueFile, Product, Rejection
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig

PLATES, KITES = ["Home & Kitchen", "Dining", "Plates"], ["Toys & Games", "Kites"]


def item(number: int, categories: list[str], picture: Any) -> dict[str, Any]:
    """An object as a metadata file has it, all of its keys included."""
    return {
        "asin": f"B{number:09d}",
        "title": f"Acme {categories[-1][:-1]} no. {number}",
        "averageRating": "4.1",
        "ratingCount": "27 global ratings",
        "amazon_badge": "",
        "ratingDist": {"5": "59%", "4": "41%"},
        "ratingByFeature": {},
        "price": "$12.99",
        "imgUrl": picture,
        "related": {"sponsored": [], "alsoBought": ["B000000001"]},
        "productDetails": {"Item Weight": "1 pound"},
        "sellerPage": "",
        "categories": categories,
        "description": "",
        "overviewFeatures": {"Colour": "Red", "Brand": "Acme"},
        "features": ["LASTS LONG - made of steel", "EASY TO CLEAN"],
        "reviewFilters": [],
    }


ITEMS = [
    item(1, PLATES, ["one.jpg", "two.jpg"]),
    item(2, KITES, {"small.jpg": [90, 60], "large.jpg": [900, 600]}),
    item(3, ["Toys & Games", "›", "Kites"], []),
]


def write(file: Path, lines: list[str]) -> Path:
    text = "".join(f"{line}\n" for line in lines).encode()
    file.write_bytes(gzip.compress(text) if file.suffix == ".gz" else text)
    return file


def read(file: Path, fields: FieldsConfig | None = None) -> tuple[list[Product], list[Rejection]]:
    rejections: list[Rejection] = []
    return list(CatalogueFile(file, fields).products(rejections.append)), rejections


def as_csv(file: Path) -> Path:
    """The same columns as a data frame writes them: lists and dicts printed into cells."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(ITEMS[0]))
        writer.writeheader()
        writer.writerows(ITEMS)
    return file


@pytest.mark.parametrize("form", ["json", "printed", "csv"])
def test_no_mapping_is_needed(form: str, tmp_path: Path) -> None:
    if form == "csv":
        file = as_csv(tmp_path / "xmarket.csv")
    else:
        lines = [json.dumps(entry) if form == "json" else repr(entry) for entry in ITEMS]
        file = write(tmp_path / "metadata_us_Home_and_Kitchen.json.gz", lines)
    products, rejections = read(file)
    assert rejections == []
    first, second, third = products
    assert first.id == "B000000001"
    assert first.title == "Acme Plate no. 1"
    assert first.category_path == ("Home & Kitchen", "Dining", "Plates")
    assert first.attributes == {"Colour": "Red", "Brand": "Acme", "Item Weight": "1 pound"}
    assert (first.extra["price"], first.extra["amazon_badge"]) == ("$12.99", None)
    assert first.image is not None
    assert first.image.location == str(tmp_path / "one.jpg")
    assert second.image is not None
    assert second.image.location == str(tmp_path / "large.jpg"), "the largest of several sizes"
    assert third.image is None
    assert third.category_path == ("Toys & Games", "Kites"), "signs between names are no categories"


def test_a_mapping_of_ones_own_wins(tmp_path: Path) -> None:
    file = write(tmp_path / "metadata_us_Toys.json", [json.dumps(entry) for entry in ITEMS])
    fields = FieldsConfig(id="asin", category_path="categories", attributes=("features",), image="")
    products, _ = read(file, fields)
    assert products[0].image is None
    assert products[0].attributes == {"features": "LASTS LONG - made of steel, EASY TO CLEAN"}


def test_lines_that_are_neither_json_nor_printed_are_rejected_and_nothing_runs(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    lines = [
        repr(ITEMS[0]),
        f"{{'asin': __import__('pathlib').Path({str(trap)!r}).touch(), 'title': 'x'}}",
        "{'asin': 'B2', 'title'",
        json.dumps(ITEMS[2]),
    ]
    products, rejections = read(write(tmp_path / "metadata_uk_Books.json", lines))
    assert [product.id for product in products] == ["B000000001", "B000000003"]
    assert [rejection.row for rejection in rejections] == [2, 3]
    assert not trap.exists()


def test_printed_lines_are_read_in_files_of_that_name_alone(tmp_path: Path) -> None:
    lines = [json.dumps({"product_id": "1", "title": "a"}), "{'product_id': '2', 'title': 'b'}"]
    products, rejections = read(write(tmp_path / "feed.json", lines))
    assert len(products) == len(rejections) == 1
    assert "not valid JSON" in rejections[0].reason


def test_cells_that_cannot_be_parsed_are_rejected(tmp_path: Path) -> None:
    file = as_csv(tmp_path / "xmarket.csv")
    file.write_text(file.read_text().replace("'Home & Kitchen', 'Dining'", "'Home & Kitchen', Dining"))
    products, rejections = read(file)
    assert len(products) == 2
    assert "neither JSON nor a printed Python value" in rejections[0].reason


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with metadata_us_{train,valid,test}.json.gz and the pictures."""
    folder = tmp_path_factory.mktemp("xmarket")
    for colour in ("white", "navy"):
        Image.new("RGB", (40, 40), colour).save(folder / f"{colour}.jpg")
    for number, split in enumerate(("train", "valid", "test")):
        items = [
            item(100 * number + at, *((PLATES, ["white.jpg"]) if at % 2 else (KITES, ["navy.jpg"]))) for at in range(24)
        ]
        write(folder / f"metadata_us_{split}.json.gz", [repr(entry) for entry in items])
    return folder


def test_check_train_and_evaluate_read_it_as_any_other_file(
    miniature: Path,
    tiny_tower: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    train, valid, test = (str(miniature / f"metadata_us_{split}.json.gz") for split in ("train", "valid", "test"))

    def clipita(*words: str) -> dict[str, Any]:
        assert run_guarded(group, [*words, "--json"] if words[0] != "evaluate" else list(words)) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    checked = clipita("catalogue", "check", train)
    assert (checked["rows"], checked["usable"], checked["tree"]["leaves"]) == (24, 24, 2)
    assert set(checked["attribute_names"]) == {"Colour", "Brand", "Item Weight"}
    learn = ("--tower-config", str(tiny_tower), "--unfreeze", "--dim", "16", "--epochs", "1", "--run", "run")
    trained = clipita("train", train, "--valid", valid, *learn)
    assert (trained["products"], trained["categories"]) == (24, 5)
    measured = clipita("evaluate", test, "--json", "-")
    assert {query["query"] for query in measured["queries"]} == {*PLATES, *KITES}
