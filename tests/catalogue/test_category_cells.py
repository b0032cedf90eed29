"""Category cells as paths: every form in which shop systems export several of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile, Rejection
from clipita.catalogue.category_cells import MAX_PATHS, category_paths, without_ancestors
from clipita.config import FieldsConfig
from clipita.errors import FieldMappingError, ProductError

MAGENTO = FieldsConfig(category_separator="/", path_separator=",")
WOOCOMMERCE = FieldsConfig(category_separator=" > ", path_separator=", ")
COMMERCETOOLS = FieldsConfig(category_separator=">", path_separator=";")
FLIPKART = FieldsConfig(category_separator=" >> ")
PERFUME = "Perfume, Cologne & Fragrance"


@pytest.mark.parametrize(
    ("fields", "cell", "expected"),
    [
        (
            MAGENTO,
            "Default Category/Men/Hoodies,Default Category/Collections/Eco,Default Category",
            (("Default Category", "Men", "Hoodies"), ("Default Category", "Collections", "Eco")),
        ),
        (MAGENTO, "Default Category", (("Default Category",),)),
        (MAGENTO, f"Shop/{PERFUME},Shop/Men", (("Shop", PERFUME), ("Shop", "Men"))),
        (MAGENTO, "Default Category/Men/Tees,,", (("Default Category", "Men", "Tees"),)),
        (WOOCOMMERCE, "Clothing, Clothing > Hoodies", (("Clothing", "Hoodies"),)),
        (WOOCOMMERCE, "Clothing > Hoodies, Sale > Summer, Sale", (("Clothing", "Hoodies"), ("Sale", "Summer"))),
        (WOOCOMMERCE, f"Beauty > {PERFUME}, Home > Candles", (("Beauty", PERFUME), ("Home", "Candles"))),
        (WOOCOMMERCE, "Clothing, Accessories", (("Clothing",), ("Accessories",))),
        (WOOCOMMERCE, "Perfume\\, Cologne & Fragrance, Gifts", ((PERFUME,), ("Gifts",))),
        (COMMERCETOOLS, "Men>Shoes;Sale", (("Men", "Shoes"), ("Sale",))),
        (FLIPKART, '["Clothing >> Women >> Shorts"]', (("Clothing", "Women", "Shorts"),)),
        (FLIPKART, ["Clothing >> Shorts", "Sale >> Summer"], (("Clothing", "Shorts"), ("Sale", "Summer"))),
        (FieldsConfig(), ["Men", "Men > Shoes", "Men > Shoes > Boots"], (("Men", "Shoes", "Boots"),)),
        (FieldsConfig(), ["Men", "Shoes > Boots"], (("Men", "Shoes > Boots"),)),
        (FieldsConfig(), [["Men", "Shoes"], ["Sale"], None, []], (("Men", "Shoes"), ("Sale",))),
        (FieldsConfig(), '[["Men", "Shoes"], ["Sale", ""]]', (("Men", "Shoes"), ("Sale",))),
        (FieldsConfig(), [["Men > Shoes"], ["Sale"]], (("Men", "Shoes"), ("Sale",))),
        (FieldsConfig(), "Men > Hats, Caps", (("Men", "Hats, Caps"),)),
        (FieldsConfig(path_separator="\n"), "Men > Hats\nSale", (("Men", "Hats"), ("Sale",))),
        (FieldsConfig(category_separator="", path_separator="|"), "Men | Sale", (("Men",), ("Sale",))),
    ],
)  # fmt: skip
def test_forms(fields: FieldsConfig, cell: Any, expected: tuple[tuple[str, ...], ...]) -> None:
    assert category_paths(cell, fields) == expected


def test_paths_that_lead_to_others_add_nothing() -> None:
    assert without_ancestors([("A",), ("B", "C"), ("A", "B"), ("B",), ("A", "B")]) == (("B", "C"), ("A", "B"))
    assert without_ancestors([(), ()]) == without_ancestors([()]) == ()


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (";".join(f"A>{n}" for n in range(MAX_PATHS + 1)), "more than 64 category paths: category_path has 65"),
        (";".join(f"A>{n}" for n in range(10_000)), "more than 64 category paths: category_path has 10,000"),
        ([["A", str(n)] for n in range(10_000)], "more than 64 category paths: category_path has 10,000"),
        ([f"A>{n}" for n in range(10_000)], "more than 64 category paths: category_path has 10,000"),
        ("A;" + ">".join(map(str, range(50))), "more than 32 levels: category_path has 50"),
        ("A>B;A>>C", "blank"),
        ([["A"], "B"], "not text"),
        ([[["A"]]], "not text"),
    ],
)
def test_unusable(cell: Any, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ProductError, match=reason):
        category_paths(cell, COMMERCETOOLS)
    assert time.perf_counter() - began < 1


def test_as_many_paths_as_allowed() -> None:
    assert len(category_paths(";".join(f"A>{n}" for n in range(MAX_PATHS)), COMMERCETOOLS)) == MAX_PATHS


def test_a_separator_that_would_break_paths_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text("product_id,title,category_path\n1,a,A > B\n")
    with pytest.raises(FieldMappingError, match="is part of the one between the names of a path"):
        CatalogueFile(file, FieldsConfig(path_separator=">"))


def test_a_bare_root_is_known_from_other_rows(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(
        'product_id,title,category_path\n1,a,"Clothing > Hats, Accessories"\n2,b,"Clothing > Hats, Caps"\n'
        "3,c,Accessories > Belts\n"
    )
    first, second, _ = CatalogueFile(file, WOOCOMMERCE).products()
    assert first.category_paths == (("Clothing", "Hats"), ("Accessories",))
    assert second.category_paths == (("Clothing", "Hats, Caps"),)


def test_a_product_with_ten_thousand_categories_is_a_row_that_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    many = ",".join(f"Root/{n}" for n in range(10_000))
    file.write_text(f'product_id,title,category_path\n1,a,"{many}"\n2,b,Root/1\n')
    rejected: list[Rejection] = []
    assert [product.id for product in CatalogueFile(file, MAGENTO).products(rejected.append)] == ["2"]
    assert [(one.row, one.id, one.kind) for one in rejected] == [
        (2, "1", "the product has more than 64 category paths")
    ]
