from __future__ import annotations

import random
from pathlib import Path

import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.ids import IdTable, unique_columns
from clipita.config import FieldsConfig
from clipita.errors import FieldMappingError, ProductError


def test_numbers_of_many_ids() -> None:
    table, wanted = IdTable(), {}
    draw = random.Random(1)
    for number in range(20_000):
        id_ = f"sku {draw.randrange(5_000)}"
        assert table.setdefault(id_, number) == wanted.setdefault(id_, number)
        if number % 3 == 0:
            table.put(id_, number)
            wanted[id_] = number
    assert len(table) == len(wanted)
    assert all(table.get(id_) == number for id_, number in wanted.items())
    assert table.get("none") is None
    assert "none" not in table


def catalogue(tmp_path: Path, text: str, **fields: str) -> CatalogueFile:
    (tmp_path / "shop.csv").write_text(text)
    return CatalogueFile(tmp_path / "shop.csv", FieldsConfig(**{"title": "name", **fields}))


ROWS = "".join(f"MH{number:02d}-S,1,Hoodie {number},{number}\n" for number in range(40))


def test_a_column_that_repeats_is_refused_once_with_the_one_that_does_not(tmp_path: Path) -> None:
    flagged = catalogue(tmp_path, "sku,online,name,stock\n" + ROWS, id="online")
    with pytest.raises(FieldMappingError, match="online is not an id: its 40 rows have 1 different value") as error:
        list(flagged.products(lambda _: None))
    assert str(error.value.hint).startswith("Did you mean 'sku'? Use --id-field \"sku\"")


def test_without_an_id_column_variants_are_the_way(tmp_path: Path) -> None:
    rows = "".join(f"h{number // 3},a name,{number % 3}\n" for number in range(12))
    with pytest.raises(FieldMappingError, match="its 12 rows have 4 different values") as error:
        list(catalogue(tmp_path, "Handle,name,size\n" + rows, id="Handle").products())
    assert 'set group = "Handle" and variants = "one"' in str(error.value.hint)
    joined = catalogue(tmp_path, "Handle,name,size\n" + rows, id="Handle", group="Handle", variants="one")
    assert [product.id for product in joined.products()] == ["h0", "h1", "h2", "h3"]


def test_groups_do_not_excuse_an_id_that_repeats(tmp_path: Path) -> None:
    rows = "".join(f"h{number // 3},a name,1,s{number}\n" for number in range(30))
    fields = {"id": "online", "group": "Handle", "variants": "one"}
    with pytest.raises(FieldMappingError, match="online is not an id"):
        list(catalogue(tmp_path, "Handle,name,online,sku\n" + rows, **fields).products())


def test_a_few_duplicates_are_rejections(tmp_path: Path) -> None:
    rejected: list[object] = []
    found = catalogue(tmp_path, "sku,name\n1,a\n1,b\n1,c\n2,d\n3,e\n4,f\n", id="sku").products(rejected.append)
    assert [product.id for product in found] == ["1", "2", "3", "4"]
    assert len(rejected) == 2


def test_columns_that_could_be_ids() -> None:
    rows = [
        {"a": "x", "b": 1, "c": "two words", "d": None, "e": "1.5", "f": 1.0},
        {"a": "y", "b": 2, "c": "three words", "d": 2, "e": "2.5", "f": 1.0},
    ]
    records = [(1, rows[0]), (2, ProductError("broken")), (3, rows[1])]
    assert unique_columns(["a", "b", "c", "d", "e", "f", ""], records) == ["a", "b", "e"]
