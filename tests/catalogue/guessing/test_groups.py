"""The column that rows of one product share, guessed from exports of shop systems and from catalogues without one."""

from __future__ import annotations

from typing import Any

import pytest

from clipita.catalogue.guessing.groups import guess_group


def table(header: str, *lines: str) -> list[dict[str, str]]:
    names = header.split(",")
    return [dict(zip(names, line.split(","), strict=True)) for line in lines]


NAMED = {"id": "sku", "title": "name", "image": "image", "category_path": "category"}


def guess(rows: list[dict[str, Any]], **mapping: str | None) -> dict[str, Any]:
    found = guess_group(rows, list(rows[0]), {**NAMED, **mapping})
    assert set(found.reasons) == set(found.settings) - {"id"}
    return found.settings


def test_shopify() -> None:
    rows = table("Handle,Title,Type,Size", "top,Top,Tops,S", "top,,,M", "sock,Sock,Socks,M", "sock,,,L")
    wanted = {"group": "Handle", "variants": "one"}
    assert guess(rows, id="Handle", title="Title", category_path="Type") == wanted
    assert guess(rows, id=None, title="Title", category_path="Type") == {**wanted, "id": "Handle"}
    # Other words for a handle are told by the rows alone.
    renamed = [{"Key" if name == "Handle" else name: value for name, value in row.items()} for row in (*rows, rows[-1])]
    assert guess(renamed, id=None, title="Title") == {"group": "Key", "variants": "one", "id": "Key"}


def test_woocommerce() -> None:
    rows = table("ID,SKU,Name,Categories,Parent", "1,tee,Tee,Tees,", "2,,Tee - Red,,tee", "3,cap,Cap,Caps,")
    names = {"id": "ID", "title": "Name", "category_path": "Categories"}
    assert guess(rows, **names) == {"group": "Parent", "variants": "one"}
    rows[1] |= {"Categories": "Tees", "Parent": "id:1"}
    assert guess(rows, **names) == {"group": "Parent"}


def test_magento() -> None:
    rows = table(
        "sku,name,image,configurable_variations", "a-s,A-S,1.jpg,", "a-m,A-M,1.jpg,", "a,A,1.jpg,sku=a-s|sku=a-m"
    )
    assert guess(rows) == {"group": "configurable_variations"}


@pytest.mark.parametrize("name", ["item_group_id", "Item Group ID", "parent_sku", "group", "style_id", "variant_group"])
def test_named_columns(name: str) -> None:
    rows = table(f"sku,name,{name}", "1,Hoodie S,h", "2,Hoodie M,h", "3,Hat S,t", "4,Hat M,t", "5,Cap,")
    assert guess(rows) == {"group": name}


def test_the_same_picture_and_the_same_stem() -> None:
    rows = table("sku,name,image", "MH0-S,Hoodie,a.jpg", "MH0-M,Hoodie,a.jpg", "MH1-S,Vest,b.jpg", "MH1-M,Vest,b.jpg")
    assert guess(rows) == {"group": "image"}


@pytest.mark.parametrize(
    "rows",
    [
        # A placeholder, no image, a department, parents of a category tree, a title that is missing here and there.
        table("sku,name,image", "MH0-S,Hoodie,no.jpg", "X9-M,Hat,no.jpg", "7,Cap,no.jpg"),
        table("sku,name,image", "MH0-S,Hoodie,", "MH0-M,Hoodie,"),
        table("sku,name,group", "1,Hoodie,Men", "2,Hat,Men", "3,Skirt,Women", "4,Dress,Women"),
        table("sku,name,parent", "1,Hoodie,Men", "2,Hat,Men", "3,Skirt,Women", "4,Dress,Women"),
        table("sku,name,price", "1,Hoodie,5", "2,Hat,6", "3,,6", "4,Dress,7"),
        table("sku,name,item_group_id", "1,Hoodie,a", "2,Hat,b"),
        [{"sku": str(n), "name": "Hat", "item_group_id": "all"} for n in range(200)],
    ],
)
def test_what_is_no_group(rows: list[dict[str, str]]) -> None:
    assert guess(rows) == {}
