"""Which rows are one product, in the forms that shop systems have."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.variants import groups
from clipita.catalogue.variants.groups import Groups, group_of
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, FieldMappingError

FIELDS = FieldsConfig(id="sku", group="group", variants="one")


def keys(rows: list[dict[str, object]], fields: FieldsConfig = FIELDS) -> list[str | None]:
    found = Groups(fields, list(rows[0]))
    for number, row in enumerate(rows, start=1):
        found.add(number, row)
    return [found.of(row) for row in rows]


def test_rows_share_a_value() -> None:
    assert keys([{"sku": 1, "group": "a"}, {"sku": 2, "group": " a "}, {"sku": 3, "group": "no_selection"}]) == [
        "a",
        "a",
        "3",
    ]
    # A zero before the digits tells 007 from 7.
    assert keys([{"sku": 1, "group": "007"}, {"sku": 2, "group": 7}]) == ["007", "7"]


def test_variants_name_their_product() -> None:
    rows: list[dict[str, object]] = [
        {"sku": "a-s", "group": "a"},
        {"sku": "a", "group": ""},
        {"sku": "b", "group": None},
        {"sku": "12", "group": ""},
        {"sku": "13", "group": "id:12"},
    ]
    assert keys(rows) == ["a", "a", "b", "12", "12"]


def test_variants_name_their_product_by_its_sku() -> None:
    rows: list[dict[str, object]] = [{"ID": 1, "SKU": "tee", "Parent": ""}, {"ID": 2, "SKU": "", "Parent": "tee"}]
    assert keys(rows, FieldsConfig(id="ID", group="Parent")) == ["tee", "tee"]


def test_a_product_lists_its_variants() -> None:
    rows: list[dict[str, object]] = [
        {"sku": "a-s", "group": ""},
        {"sku": "a", "group": "sku=a-s,size=S,color=Red|sku=a-m,size=M,color=Red"},
        {"sku": "a-m", "group": ""},
        {"sku": "b", "group": ""},
    ]
    assert keys(rows) == ["a", "a", "a", "b"]


def test_a_picture_is_a_group_by_its_path_or_bytes() -> None:
    assert group_of({"path": "a.jpg", "bytes": b"x"}) == "a.jpg"
    assert group_of(["", "a.jpg", "b.jpg"]) == "a.jpg"
    assert group_of(b"x") == group_of({"path": None, "bytes": b"x"}) != group_of(b"y")
    assert [group_of(value) for value in (None, "", "-", "N/A", b"", [], {"a": 1}, float("nan"))] == [None] * 8
    # No value of a file stops its reading.
    assert [group_of(value) for value in ({"path": {}}, [[["a"]]], datetime.timedelta(1), 7.0)] == [
        None,
        None,
        None,
        "7",
    ]


def test_rows_too_far_apart_are_told_before_memory_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_OPEN", 5)
    file = tmp_path / "shop.csv"
    rows = [f"{side}{number},Hat,g{number}" for side in "ab" for number in range(6)]
    file.write_text("\n".join(["sku,title,group", *rows]))
    with pytest.raises(CatalogueError, match=r"row 7: the rows of 6 products lie too far apart") as error:
        list(CatalogueFile(file, FIELDS).products())
    assert "Sort the file by group" in str(error.value.hint)
    file.write_text("\n".join(["sku,title,group", *sorted(rows, key=lambda row: row[-1])]))
    assert len(list(CatalogueFile(file, FIELDS).products())) == 6


def test_a_group_of_all_rows_is_no_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_ROWS", 5)
    file = tmp_path / "shop.jsonl"
    file.write_text("".join(f'{{"sku": {number}, "title": "Hat", "group": "all"}}\n' for number in range(6)))
    for stream in (None, io.BytesIO(file.read_bytes())):
        with pytest.raises(FieldMappingError, match="more than 5 rows whose group, by group, is 'all'"):
            list(CatalogueFile(file, FIELDS, stream=stream).products())


def test_of_a_stream_rows_that_follow_each_other_are_one() -> None:
    lines = b"".join(
        b'{"sku": "%s", "title": "Hat", "group": "%s", "size": %d}\n' % (sku, group, size)
        for sku, group, size in ((b"a", b"1", 1), (b"b", b"1", 2), (b"c", b"2", 3), (b"d", b"1", 4))
    )
    found = list(CatalogueFile(Path("standard input"), FIELDS, stream=io.BytesIO(lines)).products())
    assert [(product.id, len(product.extra.get("variants", []))) for product in found] == [("a", 2), ("c", 0), ("d", 0)]


def test_a_group_that_no_column_has_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("product_id,title,Handle\n1,Hat,a\n")
    with pytest.raises(FieldMappingError, match="no column 'handle' for the group") as error:
        CatalogueFile(tmp_path / "shop.csv", FieldsConfig(group="handle"))
    assert '--group-field "Handle"' in str(error.value.hint)
