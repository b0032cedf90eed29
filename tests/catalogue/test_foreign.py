"""Catalogues as other systems export them: what `clipita init` makes of each, and what products come out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue import CatalogueFile, Product
from clipita.catalogue.guessing.fields import guess_fields
from clipita.config import FieldsConfig


def read(file: Path) -> list[Product]:
    guessed = {
        name: tuple(value) if isinstance(value, list) else value for name, value in guess_fields(file).fields.items()
    }
    return list(CatalogueFile(file, dataclasses.replace(FieldsConfig(), **guessed)).products())


FILES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "prices with a currency and a decimal comma": (
        "a.csv",
        'product_id,title,category_path,price\n1,Red lamp,Home > Lamps,"1.299,00 €"\n2,Lamp,Home > Lamps,"9,99 €"\n',
        [
            {"id": "1", "category_path": ("Home", "Lamps"), "extra": {"price": 1299.0, "price_currency": "€"}},
            {"id": "2", "extra": {"price": 9.99, "price_currency": "€"}},
        ],
    ),
    "ids that look like numbers": (
        "a.csv",
        "sku,title,category_path\n100.10,a b,P > B\n100.1,a c,P > B\n1E3,a d,P > N\n1000,a e,P > N\n007,a f,P > N\n",
        [{"id": id_} for id_ in ("100.10", "100.1", "1E3", "1000", "007")],
    ),
    "a path in a list of one text": (
        "a.csv",
        'uniq_id,product_name,product_category_tree,image\nu1,Cycling Shorts,"[""Clothing >> Women >> Shorts""]",'
        '"[""http://img.test/a.jpeg"", ""http://img.test/b.jpeg""]"\n',
        [{"category_paths": (("Clothing", "Women", "Shorts"),), "image": "http://img.test/a.jpeg"}],
    ),
    "a Google feed with numbers for its taxonomy": (
        "a.tsv",
        "id\ttitle\tproduct_type\tgoogle_product_category\timage_link\tprice\n"
        "g1\tCharger\tElectronics > Chargers\t276\thttps://img.test/1.jpg\t199 CZK\n",
        [{
            "id": "g1", "category_path": ("Electronics", "Chargers"), "image": "https://img.test/1.jpg",
            "extra": {"google_product_category": 276, "price": 199, "price_currency": "CZK"},
        }],
    ),
    "HTML beside the category": (
        "a.csv",
        "Product ID,Name *,Categories (x;y;z...),Short description,Image URLs (x;y;z...)\n"
        + "".join(f"{n},Player &amp; {n},Players,<p>New</p>,http://shop.test/{n}.jpg\n" for n in range(1, 7)),
        [{"id": "1", "title": "Player & 1", "category_path": ("Players",), "image": "http://shop.test/1.jpg"}],
    ),
    "levels in columns": (
        "a.csv",
        "id,masterCategory,subCategory,articleType,baseColour,productDisplayName\n"
        + "".join(
            f"{n},Apparel,Topwear,{['Tshirts', 'Shirts'][n % 2]},{['Blue', 'Red'][n % 2]},Brand {n} Men\n"
            for n in range(10)
        ),
        [{"category_path": ("Apparel", "Topwear", "Tshirts"), "attributes": {"baseColour": "Blue"}, "extra": {}}],
    ),
    "several URLs in a cell, and words for none": (
        "a.csv",
        'product_id,title,category_path,image\n1,Hoodie,C > H,"http://h/ok.jpg, http://h/w.webp"\n'
        "2,Cap,C > D,//h/ok.jpg\n3,Tee,C > T,no_selection\n",
        [{"image": "http://h/ok.jpg"}, {"image": "https://h/ok.jpg"}, {"image": None}],
    ),
    "Excel's line with the separator": (
        "a.csv", "\ufeffsep=;\nid;title;category\n1;Hat;A > B\n2;Cap;A > B\n",
        [{"id": "1", "title": "Hat", "category_path": ("A", "B")}, {"id": "2"}],
    ),
    "a blank line before the header": (
        "a.csv", "\n\t\ufeffID,Name,Categories\n40,Dress,Women > Dresses\n41,Coat,Women > Coats\n",
        [{"id": "40", "title": "Dress", "category_path": ("Women", "Dresses")}, {"id": "41"}],
    ),
    "bars": (
        "a.csv", "id|title|category|price\n1|Hat|A > B|1\n2|Cap, blue|A > B|2\n",
        [{"id": "1", "extra": {"price": 1}}, {"title": "Cap, blue"}],
    ),
    "no header line": (
        "a.csv",
        "u1,Solid Cycling Shorts,Clothing > Shorts\nu2,Printed Bellies,Footwear > Ballerinas\n"
        "u3,Dog Shampoo,Pets > Care\nu4,Cat Shampoo,Pets > Care\nu5,Fish Food,Pets > Food\n",
        [{"id": "u1", "title": "Solid Cycling Shorts", "category_path": ("Clothing", "Shorts")}],
    ),
    "several paths of one root": (
        "a.csv",
        'sku,name,categories\nA1,Wool hoodie,"Shop/Men/Hoodies,Shop/Collections/Eco,Shop"\n'
        'A2,Fleece hoodie,Shop/Men/Hoodies\nA3,Eco tee,"Shop/Men/Tees,Shop/Collections/Eco"\n'
        'A4,Plain tee,Shop/Men/Tees\nA5,Wool tee,Shop/Men/Tees\n',
        [
            {"id": "A1", "category_paths": (("Shop", "Men", "Hoodies"), ("Shop", "Collections", "Eco"))},
            {"category_paths": (("Shop", "Men", "Hoodies"),), "category_path": ("Shop", "Men", "Hoodies")},
            {"category_names": ["Shop", "Men", "Tees", "Collections", "Eco"]},
        ],
    ),
    "tags that are no tree": (
        "a.jsonl",
        "".join(f'{{"item_id": {n}, "text": "a red shoe {n}", "tags": ["sale", "red"]}}\n' for n in range(8)),
        [{"id": "0", "title": "a red shoe 0", "category_path": (), "extra": {"tags": ["sale", "red"]}}],
    ),
    "a flag beside the id": (
        "a.csv", "sku,product_online,name\n" + "".join(f"MH{n}-S,1,Hoodie {n}\n" for n in range(12)), [{"id": "MH0-S"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_init_alone_reads_it_right(kind: str, tmp_path: Path) -> None:
    name, text, expected = FILES[kind]
    (tmp_path / name).write_text(text, encoding="utf-8")
    for product, wanted in zip(read(tmp_path / name), expected, strict=False):
        found = {key: getattr(product, key) for key in wanted}
        if "image" in wanted:
            found["image"] = None if product.image is None else product.image.location
        assert found == wanted
