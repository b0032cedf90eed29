"""XMarket's layout, on a miniature that is made here: the real files cannot be had where tests run."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile, Product

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "xmarket.py"
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


def convert(folder: Path, lines: list[str], zipped: bool = False) -> tuple[int, list[Product], str]:
    source, target = folder / f"metadata_us_Toys.json{'.gz' * zipped}", folder / "toys.jsonl"
    text = "".join(f"{line}\n" for line in lines).encode()
    source.write_bytes(gzip.compress(text) if zipped else text)
    done = subprocess.run([sys.executable, SCRIPT, source, target], capture_output=True, text=True, check=False)
    return done.returncode, list(CatalogueFile(target).products()), done.stderr


@pytest.mark.parametrize("printed", [False, True])
def test_products_need_no_mapping(printed: bool, tmp_path: Path) -> None:
    lines = [repr(entry) if printed else json.dumps(entry) for entry in ITEMS]
    code, (first, second, third), errors = convert(tmp_path, lines, zipped=printed)
    assert (code, errors) == (0, "")
    assert first.id == "B000000001"
    assert first.title == "Acme Plate no. 1"
    assert first.category_path == ("Home & Kitchen", "Dining", "Plates")
    assert first.attributes == {"Colour": "Red", "Brand": "Acme", "Item Weight": "1 pound"}
    assert (first.extra["price"], first.extra["price_currency"]) == (12.99, "$")
    assert "amazon_badge" not in first.extra
    assert first.image is not None
    assert first.image.path == tmp_path / "one.jpg"
    assert second.image is not None
    assert second.image.path == tmp_path / "large.jpg", "the largest of several sizes"
    assert third.image is None
    assert third.category_path == ("Toys & Games", "Kites"), "signs between names are no categories"


def test_lines_that_cannot_be_parsed_are_reported_and_nothing_runs(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    lines = [
        repr(ITEMS[0]),
        f"{{'asin': __import__('pathlib').Path({str(trap)!r}).touch(), 'title': 'x'}}",
        "{'asin': 'B2', 'title'",
        "[1]",
        json.dumps(ITEMS[2]),
    ]
    code, products, errors = convert(tmp_path, lines)
    assert code == 3
    assert [product.id for product in products] == ["B000000001", "B000000003"]
    assert [line.partition(":")[0] for line in errors.splitlines()] == ["line 2", "line 3", "line 4"]
    assert not trap.exists()
