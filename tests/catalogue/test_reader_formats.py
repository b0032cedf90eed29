from __future__ import annotations

import datetime
import gzip
import json
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue import CatalogueFile, Product, Rejection, reader
from clipita.catalogue.formats import csv
from clipita.catalogue.formats.rows import NumberedRow, StoredRow
from clipita.catalogue.split import split_catalogue
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, FieldMappingError

ROWS = [
    {"product_id": "1", "title": "Shoe", "category_path": ["Footwear", "Shoes"], "image": "1.jpg", "price": 9.5},
    {"product_id": "2", "title": "Boot", "category_path": ["Footwear"], "image": "https://shop/2.jpg", "price": 20.0},
]


def write_jsonl(file: Path, rows: list[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    data = text.encode("utf-8", "surrogateescape")
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def write_csv(file: Path, text: str, encoding: str = "utf-8") -> Path:
    data = text.encode(encoding)
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def read(file: Path, **settings: Any) -> tuple[list[Product], list[Rejection]]:
    rejections: list[Rejection] = []
    return list(CatalogueFile(file, FieldsConfig(**settings)).products(rejections.append)), rejections


class TestJsonLines:
    def test_columns_are_the_union_of_keys(self, tmp_path: Path) -> None:
        file = write_jsonl(
            tmp_path / "a.jsonl", [{"product_id": 1, "title": "a"}, {"product_id": 2, "name2": 1, "title": "b"}]
        )
        assert CatalogueFile(file).columns == ("product_id", "title", "name2")

    def test_what_json_forbids_and_exporters_write(self, tmp_path: Path) -> None:
        file = write_jsonl(tmp_path / "a.jsonl", ['{"product_id": 1, "title": "\\ud83d shoe", "price": NaN}'])
        products, rejections = read(file)
        assert not rejections
        assert (products[0].title, products[0].extra) == ("\ufffd shoe", {"price": None})

    def test_nested_beyond_the_parser(self, tmp_path: Path) -> None:
        deep = '{"product_id": 1, "title": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
        products, rejections = read(write_jsonl(tmp_path / "a.jsonl", [ROWS[0], deep]))
        assert len(products) == 1
        assert [r.kind for r in rejections] == ["the line is not valid JSON"]

    def test_blank_lines_and_byte_order_mark(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        file.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS[0]).encode() + b"\r\n\r\n" + json.dumps(ROWS[1]).encode())
        catalogue = CatalogueFile(file)
        assert catalogue.rows == 2
        assert [row for row, _ in catalogue.numbered_products()] == [1, 3]

    def test_array(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1))
        assert [product.id for product in read(tmp_path / "a.json")[0]] == [row["product_id"] for row in ROWS]

    @pytest.mark.parametrize(("start", "said"), [(b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b\x08\x00", "by gzip")])
    def test_archives_by_another_name(self, tmp_path: Path, start: bytes, said: str) -> None:
        (tmp_path / "a.csv").write_bytes(start + b"x")
        with pytest.raises(CatalogueError, match=said):
            CatalogueFile(tmp_path / "a.csv")

    def test_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(b"PAR1\x00\x01\n\xff\xfe\n")
        with pytest.raises(CatalogueError, match=r"not JSON Lines.*line 1"):
            CatalogueFile(tmp_path / "a.jsonl")


class TestCsv:
    @pytest.mark.parametrize("cut", [",", ";", "\t"])
    def test_delimiter_is_recognised(self, tmp_path: Path, cut: str) -> None:
        file = write_csv(tmp_path / "a.csv", f'\ufeffproduct_id{cut}title\r\n1{cut}"Shoe, red; new\t"\r\n')
        assert [product.title for product in CatalogueFile(file).products()] == ["Shoe, red; new"]

    @pytest.mark.parametrize("cut", [",", ";", "\t"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_names_in_the_header_may_be_quoted(self, tmp_path: Path, cut: str, mark: str) -> None:
        # As pyarrow, R and most shops' exports write them.
        file = write_csv(
            tmp_path / "a.csv", f'{mark}"product_id"{cut}"title"{cut}"size, cm; in"\n"1"{cut}"Shoe"{cut}"9"\n'
        )
        catalogue = CatalogueFile(file)
        assert catalogue.columns == ("product_id", "title", "size, cm; in")
        assert [product.title for product in catalogue.products()] == ["Shoe"]

    def test_a_header_that_is_no_csv_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="no readable header line"):
            CatalogueFile(write_csv(tmp_path / "a.csv", '"product_id"x,"title"y\n1,Shoe\n'))

    def test_quoted_line_breaks_and_line_numbers(self, tmp_path: Path) -> None:
        text = 'product_id,title\n1,"Shoe\nred ""new"""\n\n2,Boot,surplus\n3,"open" end\n4,Hat\n'
        products, rejections = read(write_csv(tmp_path / "a.csv", text))
        assert [(p.id, p.title) for p in products] == [("1", 'Shoe\nred "new"'), ("4", "Hat")]
        assert [(r.row, r.kind) for r in rejections] == [
            (5, "the record has a wrong number of cells"),
            (6, "the record is not valid CSV"),
        ]

    def test_a_quote_that_is_never_closed(self, tmp_path: Path) -> None:
        products, rejections = read(write_csv(tmp_path / "a.csv", 'product_id,title\n1,Shoe\n2,"Boot\n3,Hat\n'))
        assert [p.id for p in products] == ["1", "3"]
        assert [(r.row, r.kind) for r in rejections] == [(3, "the record is not valid CSV")]
        assert "a quote that opens on line 3 has no proper end; left out up to line 3" in rejections[0].reason

    @pytest.mark.parametrize("rows", [10, csv.MAX_RECORD_LINES + 500])
    @pytest.mark.parametrize("cell", ["plain", '"quoted, too"'])
    def test_a_quote_that_is_never_closed_costs_one_row(self, tmp_path: Path, rows: int, cell: str) -> None:
        text = 'product_id,title,note\n1,Shoe,\n2,"Boot,\n' + "".join(f"{n},Hat,{cell}\n" for n in range(3, rows))
        products, rejections = read(write_csv(tmp_path / "a.csv", text))
        assert [p.id for p in products] == ["1", *map(str, range(3, rows))]
        assert [r.row for r in rejections] == [3]

    def test_what_may_be_the_text_of_a_cell_is_no_record(self, tmp_path: Path) -> None:
        """Reading goes on with the first line that has all columns."""
        text = 'product_id,title,note\n1,"Shoe,\nof two lines\n, or three\n2,Boot,x\n3,Hat,"a\nb"\n'
        products, rejections = read(write_csv(tmp_path / "a.csv", text))
        assert [(p.id, p.extra["note"]) for p in products] == [("2", "x"), ("3", "a\nb")]
        assert [(r.row, "left out up to line 4" in r.reason) for r in rejections] == [(2, True)]

    def test_the_quote_may_open_on_a_later_line(self, tmp_path: Path) -> None:
        text = 'product_id,title,note\n1,"Shoe\nred","open\nstill 6"" high\n2,Boot,x\n'
        products, rejections = read(write_csv(tmp_path / "a.csv", text))
        assert [p.id for p in products] == ["2"]
        assert "a quote that opens on line 3 has no proper end; left out up to line 4" in rejections[0].reason

    def test_a_header_that_never_ends(self, tmp_path: Path) -> None:
        text = '"product_id,title\n' + "1,a\n" * (csv.MAX_RECORD_LINES + 1)
        with pytest.raises(CatalogueError, match="has no readable header line"):
            CatalogueFile(write_csv(tmp_path / "a.csv", text))

    def test_numbers_are_numbers_only_where_the_whole_column_is(self, tmp_path: Path) -> None:
        text = "product_id,title,price,stock,code,size,gone\n1,a,9.5,3,0042,42,\n2,b,10,,17,XL,\n"
        products, _ = read(write_csv(tmp_path / "a.csv", text))
        assert [dict(p.extra) for p in products] == [
            {"price": 9.5, "stock": 3, "code": "0042", "size": "42", "gone": None},
            {"price": 10.0, "stock": None, "code": "17", "size": "XL", "gone": None},
        ]
        assert isinstance(products[1].extra["price"], float)

    def test_latin_1_is_read(self, tmp_path: Path) -> None:
        products, rejections = read(write_csv(tmp_path / "a.csv", "product_id,title\n1,Shoe\n2,Füße\n", "latin-1"))
        assert [p.title for p in products] == ["Shoe", "Füße"]
        assert rejections == []

    def test_rows_in_another_encoding_than_the_rest_are_rejected(self, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_bytes("product_id,title\n1,Füße\n".encode() + "2,Füße\n".encode("latin-1"))
        products, rejections = read(file)
        assert [p.id for p in products] == ["1"]
        assert [r.kind for r in rejections] == ["the record is not UTF-8"]

    def test_long_cells(self, tmp_path: Path) -> None:
        products, _ = read(write_csv(tmp_path / "a.csv", f"product_id,title\n1,{'x' * 300_000}\n"))
        assert len(products[0].title or "") == 300_000

    def test_two_columns_of_one_name(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="more than one column named title"):
            CatalogueFile(write_csv(tmp_path / "a.csv", "product_id,title,title\n1,a,b\n"))

    def test_column_without_a_name(self, tmp_path: Path) -> None:
        products, _ = read(write_csv(tmp_path / "a.csv", ",product_id,title\n0,1,a\n"))
        assert products[0].extra == {"column_1": 0}

    def test_json_in_cells(self, tmp_path: Path) -> None:
        text = 'product_id,title,attributes,category_path\n1,a,"{""colour"": ""Red""}","[""A"", ""B""]"\n'
        products, _ = read(write_csv(tmp_path / "a.csv", text))
        assert (products[0].attributes, products[0].category_path) == ({"colour": "Red"}, ("A", "B"))


class TestParquet:
    def test_types(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "product_id": pa.array([7], pa.int64()),
                "title": pa.array([b"Shoe"], pa.binary()),
                "attributes": pa.array([[("colour", "Red")]], pa.map_(pa.string(), pa.string())),
                "image": pa.array([{"bytes": b"jpeg", "path": "7.jpg"}]),
                "price": pa.array([28.12], pa.float32()),
                "gross": pa.array([Decimal("28.12")], pa.decimal128(10, 2)),
                "nan": pa.array([math.nan]),
                "day": pa.array([datetime.date(2024, 1, 2)]),
                "time": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "UTC")),
                "brand": pa.array(["Nike"]).dictionary_encode(),
                "names": pa.array([[("en", "shoe")]], pa.map_(pa.string(), pa.string())),
                "raw": pa.array([b"\xff"]),
                "second_picture": pa.array([{"bytes": b"x", "path": None}]),
            }
        )
        pq.write_table(table, tmp_path / "a.parquet")
        catalogue = CatalogueFile(tmp_path / "a.parquet")
        (product,) = catalogue.products()
        assert (product.id, product.title, product.attributes) == ("7", "Shoe", {"colour": "Red"})
        assert product.image is not None
        assert (product.image.data, product.image.location) == (b"jpeg", "7.jpg")
        assert product.extra == {
            "price": 28.12, "gross": 28.12, "nan": None, "day": "2024-01-02", "brand": "Nike", "names": {"en": "shoe"},
            "time": "2023-11-14T22:13:20.123456+00:00",
        }  # fmt: skip
        assert catalogue.dropped_columns == ("raw", "second_picture")

    def test_values_without_a_python_form_reject_their_row_alone(self, tmp_path: Path) -> None:
        days = pa.array([0, 10**9, 1, 2], pa.int32()).cast(pa.date32())
        titles = pa.array([b"a", b"b", b"\xff\xfe", b"d"]).view(pa.string())
        pq.write_table(pa.table({"product_id": [1, 2, 3, 4], "title": titles, "day": days}), tmp_path / "a.parquet")
        products, rejections = read(tmp_path / "a.parquet")
        assert [p.id for p in products] == ["1", "4"]
        assert [(r.row, r.kind) for r in rejections] == [(2, "a value cannot be read"), (3, "a value cannot be read")]

    def test_many_batches_keep_their_order(self, tmp_path: Path) -> None:
        ids = [str(n) for n in range(1000)]
        pq.write_table(pa.table({"product_id": ids, "title": ids}), tmp_path / "a.parquet", row_group_size=300)
        assert [(row, p.id) for row, p in CatalogueFile(tmp_path / "a.parquet").numbered_products()] == [
            (n + 1, str(n)) for n in range(1000)
        ]

    def test_truncated(self, tmp_path: Path) -> None:
        file = tmp_path / "a.parquet"
        pq.write_table(pa.table({"product_id": ["1"], "title": ["a"]}), file)
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(CatalogueError, match=r"a\.parquet cannot be read as Parquet"):
            CatalogueFile(file)

    def test_damaged_page_names_the_last_good_row(self, tmp_path: Path) -> None:
        file = tmp_path / "a.parquet"
        titles = [f"{n * 7919 % 1000003}" for n in range(4000)]
        pq.write_table(
            pa.table({"product_id": titles, "title": titles}), file, row_group_size=1000, compression="zstd",
            use_dictionary=False,
        )  # fmt: skip
        start = pq.ParquetFile(file).metadata.row_group(2).column(1).data_page_offset
        data = bytearray(file.read_bytes())
        data[start : start + 200] = b"\xff" * 200
        file.write_bytes(data)
        products = CatalogueFile(file).products()
        with pytest.raises(CatalogueError, match=r"a\.parquet cannot be read beyond row (19\d\d|2000)"):
            list(products)

    def test_wrong_mapping(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"sku": ["1"], "title": ["a"]}), tmp_path / "a.parquet")
        with pytest.raises(FieldMappingError, match="sku"):
            CatalogueFile(tmp_path / "a.parquet")


class Blocks:
    """A toy format: `name: value` lines, products apart by a blank line."""

    binary_columns: frozenset[str] = frozenset()
    copied_as = ""

    def __init__(self, file: Path) -> None:
        blocks = file.read_text().strip().split("\n\n")
        self._rows = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
        self.columns = list(dict.fromkeys(name for row in self._rows for name in row))
        self.rows = len(self._rows)

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        for number, row in enumerate(self._rows, start=1):
            yield number, {name: value for name, value in row.items() if name not in leave_out}

    def stored(self, column: str) -> Iterator[StoredRow]:
        for number, row in enumerate(self._rows, start=1):
            yield number, row.get(column), row

    def sink(self, file: Path, stack: ExitStack) -> Callable[[Any], object]:
        stream = stack.enter_context(file.open("w"))
        return lambda row: stream.write("".join(f"{name}: {value}\n" for name, value in row.items()) + "\n")


class TestAnotherFormat:
    """A reader is a module and a row in FORMATS."""

    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setitem(reader.FORMATS, ".blocks", Blocks)
        file = tmp_path / "shop.blocks"
        file.write_text("".join(f"product_id: {n}\ntitle: Shoe {n}\nprice: {n}.5\n\n" for n in range(60)))
        return file

    def test_is_read_and_found_in_folders(self, file: Path) -> None:
        products, rejections = read(file)
        assert [product.title for product in products] == [f"Shoe {n}" for n in range(60)]
        assert products[3].extra == {"price": 3.5}
        assert rejections == []
        assert reader.files_in(file.parent) == [file]

    def test_is_split(self, file: Path) -> None:
        report = split_catalogue(file, FieldsConfig())
        assert report.files["test"].name == "shop-test.blocks"
        parts = [list(CatalogueFile(part).products()) for part in report.files.values()]
        assert {product.id for part in parts for product in part} == {str(n) for n in range(60)}
        assert sum(map(len, parts)) == 60

    def test_is_named_where_a_format_is_unknown(self, file: Path) -> None:
        other = file.rename(file.with_suffix(".unknown"))
        with pytest.raises(CatalogueError, match=r"Known are .*\.blocks"):
            CatalogueFile(other)


@pytest.mark.parametrize("name", ["c.csv", "c.tsv", "c.jsonl", "c.json"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\n\n"])
def test_a_file_without_a_line_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogueError):
        CatalogueFile(tmp_path / name)
