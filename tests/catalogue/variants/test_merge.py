"""The rows of a group as one product, as shop systems export them."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita.catalogue import CatalogueFile, Product, Rejection
from clipita.config import FieldsConfig

SHOPIFY = FieldsConfig(
    id="Handle", title="Title", category_path="Type", image="Image Src", attributes=(), group="Handle", variants="one"
)


def products(file: Path, text: str, fields: FieldsConfig) -> tuple[list[Product], list[Rejection]]:
    file.write_text(text)
    rejected: list[Rejection] = []
    return list(CatalogueFile(file, fields).products(rejected.append)), rejected


def test_shopify_gives_one_product_with_its_variants(tmp_path: Path) -> None:
    (top, sock), rejected = products(
        tmp_path / "shop.csv",
        "Handle,Title,Body (HTML),Type,Option1 Name,Option1 Value,Variant Price,Image Src,Image Position\n"
        "top,Varsity Top,Warm,Tops,Size,S,60,https://cdn/a.jpg,1\n"
        "top,,,,,M,60,https://cdn/b.jpg,2\n"
        "top,,,,,L,65,,\n"
        "top,,,,,,,https://cdn/c.jpg,3\n"
        "sock,Sock,,Socks,Title,Default Title,5,,\n",
        SHOPIFY,
    )
    assert (top.id, top.title, top.category_path) == ("top", "Varsity Top", ("Tops",))
    assert top.image is not None
    assert top.image.location == "https://cdn/a.jpg"
    # The rows' images and those of the rows that only add one.
    assert top.image_cell == [f"https://cdn/{name}.jpg" for name in "abc"]
    assert top.extra["Body (HTML)"] == "Warm"
    assert [(entry["Option1 Value"], entry["Variant Price"], entry["image"]) for entry in top.extra["variants"]] == [
        ("S", 60, "https://cdn/a.jpg"),
        ("M", 60, "https://cdn/b.jpg"),
        ("L", 65, "https://cdn/a.jpg"),
    ]
    # What all variants share is the product's.
    assert not {"title", "Body (HTML)", "Option1 Name"} & top.extra["variants"][0].keys()
    assert "variants" not in sock.extra
    assert (top.extra["group"], sock.extra["group"], rejected) == ("top", "sock", [])


def test_a_first_row_without_a_title_gives_way_to_one_that_has_it(tmp_path: Path) -> None:
    ([top], _) = products(
        tmp_path / "shop.csv",
        "Handle,Title,Type,Option1 Value,Image Src\ntop,,,S,https://cdn/a.jpg\ntop,Varsity Top,Tops,M,\n",
        SHOPIFY,
    )
    assert (top.title, top.category_path) == ("Varsity Top", ("Tops",))
    assert top.image is not None
    assert top.image.location == "https://cdn/a.jpg"
    assert [entry["Option1 Value"] for entry in top.extra["variants"]] == ["S", "M"]


WOO = FieldsConfig(
    id="ID", title="Name", category_path="Categories", image="Images", attributes=("Colour",), group="Parent"
)
WOO_ROWS = (
    "ID,Type,SKU,Name,Categories,Regular price,Images,Colour,Parent\n"
    '44,variable,tee,V-Neck,Tees,,https://cdn/t.jpg,"Red, Blue",\n'
    "45,simple,cap,Cap,Caps,9,,,\n"
    "46,variation,,V-Neck - Red,,20,https://cdn/red.jpg,Red,tee\n"
    "47,variation,tee-blue,V-Neck - Blue,,15,,Blue,id:44\n"
)


def test_a_parent_stands_for_its_variations_wherever_they_are(tmp_path: Path) -> None:
    rows = WOO_ROWS.replace("id:44", "tee")
    found, rejected = products(tmp_path / "woo.csv", rows, FieldsConfig(**{**vars(WOO), "variants": "one"}))
    assert rejected == []
    tee = next(product for product in found if product.id == "44")
    assert [product.id for product in found] == ["45", "44"]
    assert (tee.title, tee.category_path, tee.extra["group"]) == ("V-Neck", ("Tees",), "tee")
    assert tee.image_cell == ["https://cdn/t.jpg", "https://cdn/red.jpg"]
    assert [
        (entry["product_id"], entry["title"], entry["attributes"], entry["Regular price"], entry["image"])
        for entry in tee.extra["variants"]
    ] == [
        ("46", "V-Neck - Red", {"Colour": "Red"}, 20, "https://cdn/red.jpg"),
        ("47", "V-Neck - Blue", {"Colour": "Blue"}, 15, "https://cdn/t.jpg"),
    ]


def test_magento_lists_its_variants_and_comes_after_them(tmp_path: Path) -> None:
    fields = FieldsConfig(
        id="sku", title="name", category_path="categories", category_separator="/", image="base_image", attributes=(),
        group="configurable_variations", variants="one",
    )  # fmt: skip
    found, rejected = products(
        tmp_path / "magento.csv",
        "sku,product_type,name,categories,price,base_image,configurable_variations\n"
        "MH-S,simple,Hoodie-S,Men/Hoodies,52,/m/h.jpg,\n"
        "MB,simple,Bag,Gear/Bags,30,/m/b.jpg,\n"
        "MH-M,simple,Hoodie-M,Men/Hoodies,53,/m/h.jpg,\n"
        'MH,configurable,Hoodie,Men/Hoodies,,/m/h.jpg,"sku=MH-S,size=S|sku=MH-M,size=M"\n',
        fields,
    )
    assert rejected == []
    assert [(product.id, product.title) for product in found] == [("MB", "Bag"), ("MH", "Hoodie")]
    variants = found[1].extra["variants"]
    assert [(entry["product_id"], entry["price"]) for entry in variants] == [("MH-S", 52), ("MH-M", 53)]
    assert "configurable_variations" not in found[1].extra


def test_rows_stay_products_with_a_field_to_collapse_by(tmp_path: Path) -> None:
    found, rejected = products(tmp_path / "woo.csv", WOO_ROWS.replace("id:44", "tee"), WOO)
    assert rejected == []
    assert [(product.id, product.extra["group"]) for product in found] == [
        ("44", "tee"), ("45", "45"), ("46", "tee"), ("47", "tee"),
    ]  # fmt: skip
    assert "variants" not in found[0].extra


def test_a_variant_that_cannot_be_read_is_rejected_alone(tmp_path: Path) -> None:
    (tmp_path / "shop.jsonl").write_text(
        '{"product_id": 1, "title": "Top", "style": "t", "size": "S"}\n'
        '{"product_id": 2, "title": "Top", "style": "t", "size": "M", "image": 5}\n'
        '{"product_id": 3, "title": "Top", "style": "t", "size": "L"}\n'
        '{"product_id": [], "title": "Hat", "style": "h"}\n'
        '{"product_id": 5, "style": "h"}\n'
        "{broken\n"
    )
    rejected: list[Rejection] = []
    fields = FieldsConfig(attributes=(), group="style", variants="one")
    [top] = CatalogueFile(tmp_path / "shop.jsonl", fields).products(rejected.append)
    assert [entry["size"] for entry in top.extra["variants"]] == ["S", "L"]
    # A rejected main row takes its whole product along, and each of the product's rows is reported.
    assert [(rejection.row, rejection.kind) for rejection in rejected] == [
        (2, "the image has no known form"), (4, "the id is neither text nor a whole number"),
        (5, "the row of its product is rejected"), (6, "the line is not valid JSON"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["group", "variants"])
def test_a_column_with_the_name_of_a_field_for_groups_is_refused(tmp_path: Path, name: str) -> None:
    from clipita.errors import FieldMappingError

    (tmp_path / "shop.csv").write_text(f"product_id,title,style,{name}\n1,a,s,x\n")
    with pytest.raises(FieldMappingError, match=f"has a column '{name}'"):
        CatalogueFile(tmp_path / "shop.csv", FieldsConfig(group="style"))
    # The column may be the group itself.
    if name == "group":
        [product] = CatalogueFile(tmp_path / "shop.csv", FieldsConfig(group="group")).products()
        assert product.extra == {"style": "s", "group": "x"}
