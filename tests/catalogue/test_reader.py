from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue import CatalogueFile, Product, Rejection
from clipita.catalogue.formats.rows import numbered_lines
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, ProductError

REAL = Path(__file__).parents[2].parent / "shared/data/fashion-products"
ROWS = [
    {"product_id": "1", "title": "Shoe", "category_path": ["Footwear", "Shoes"], "image": "1.jpg", "price": 9.5},
    {"product_id": "2", "title": "Boot", "category_path": ["Footwear"], "image": "https://shop/2.jpg", "price": 20.0},
]
TABLE = """product_id|title|category_path|image|price
1|Shoe|Footwear > Shoes|1.jpg|9.5
2|Boot|Footwear|https://shop/2.jpg|20.0
"""


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


class TestFormats:
    @pytest.mark.parametrize(
        "name", ["a.parquet", "a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.JSONL.GZ", "a.csv", "a.tsv", "a.csv.gz"]
    )
    def test_all_give_the_same_products(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        if "parquet" in name:
            pq.write_table(pa.Table.from_pylist(ROWS), file)
        elif "json" in name.lower():
            write_jsonl(file, ROWS)
            if name.endswith("GZ"):
                file.write_bytes(gzip.compress(file.read_bytes()))
        else:
            write_csv(file, TABLE.replace("|", "\t" if "tsv" in name else ","))
        catalogue = CatalogueFile(file)
        assert catalogue.rows == 2
        first, second = catalogue.products()
        assert (first.id, first.title, first.category_path) == ("1", "Shoe", ("Footwear", "Shoes"))
        assert first.image is not None
        assert (first.image.location, first.image.path) == ("1.jpg", tmp_path / "1.jpg")
        assert second.image is not None
        assert second.image.location == "https://shop/2.jpg"
        assert second.extra == {"price": 20.0}
        assert catalogue.extra_columns == ("price",)

    def test_image_root(self, tmp_path: Path) -> None:
        file = write_jsonl(tmp_path / "a.jsonl", [{**ROWS[0]}, {**ROWS[1], "image": "/abs/2.jpg"}])
        images = [product.image for product in CatalogueFile(file, image_root=tmp_path / "pictures").products()]
        assert [image.path for image in images if image] == [tmp_path / "pictures/1.jpg", Path("/abs/2.jpg")]

    def test_unknown_suffix_lists_the_known(self, tmp_path: Path) -> None:
        file = tmp_path / "a.docx"
        file.write_bytes(b"PK")
        with pytest.raises(CatalogueError, match=r"not of a known catalogue format.*\.parquet.*\.jsonl.*\.csv"):
            CatalogueFile(file)

    def test_zipped_parquet_is_no_known_format(self, tmp_path: Path) -> None:
        file = tmp_path / "a.parquet.gz"
        file.write_bytes(b"x")
        with pytest.raises(CatalogueError, match="not of a known catalogue format"):
            CatalogueFile(file)


class TestUnreadableFiles:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="There is no catalogue file"):
            CatalogueFile(tmp_path / "none.parquet")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="is a folder"):
            CatalogueFile(tmp_path)

    def test_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.jsonl")
        with pytest.raises(CatalogueError, match="not a regular file"):
            CatalogueFile(tmp_path / "a.jsonl")

    def test_no_permission(self, tmp_path: Path) -> None:
        file = write_jsonl(tmp_path / "a.jsonl", ROWS)
        file.chmod(0)
        code = (
            "import os, sys; from clipita.catalogue import CatalogueFile\n"
            "from clipita.errors import CatalogueError; from pathlib import Path\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "try: CatalogueFile(Path(sys.argv[1]))\n"
            "except CatalogueError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
        assert "cannot be opened: Permission denied" in done.stdout

    @pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.csv"])
    def test_empty_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        with pytest.raises(CatalogueError, match="is empty"):
            CatalogueFile(tmp_path / name)

    def test_no_rows(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"product_id": pa.array([], pa.string())}), tmp_path / "a.parquet")
        write_csv(tmp_path / "a.csv", "product_id,title\n")
        write_csv(tmp_path / "a.jsonl", "\n \n\n")
        for name in ("a.parquet", "a.csv", "a.jsonl"):
            with pytest.raises(CatalogueError, match="holds no product"):
                CatalogueFile(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz"])
    def test_truncated_gz_names_the_line(self, tmp_path: Path, name: str) -> None:
        text = "product_id,title\n" if "csv" in name else ""
        lines = (
            f"{n},{n * 7919 % 1000003}"
            if "csv" in name
            else json.dumps({"product_id": n, "title": f"{n * 7919 % 1000003}"})
            for n in range(40_000)
        )
        data = gzip.compress((text + "\n".join(lines)).encode())
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(CatalogueError, match=rf"{name} cannot be read beyond line [1-9]\d+") as caught:
            CatalogueFile(tmp_path / name)
        assert "copy it again" in str(caught.value)

    def test_not_gz(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl.gz").write_bytes(b'{"product_id": 1}\n')
        with pytest.raises(CatalogueError, match="beyond line 0: Not a gzipped file"):
            CatalogueFile(tmp_path / "a.jsonl.gz")

    def test_utf16(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "a.csv", "product_id,title\n1,Füße 靴\n", "utf-16")
        assert [product.title for product in CatalogueFile(tmp_path / "a.csv").products()] == ["Füße 靴"]

    def test_over_long_lines_are_skipped_to_their_end(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        file.write_bytes(b"short\n" + b"x" * 3_000_000 + b"\nnext\n" + b"y" * 2_000_000)
        assert list(numbered_lines(file, limit=100)) == [(1, b"short\n"), (2, None), (3, b"next\n"), (4, None)]


class TestRows:
    def test_bad_rows_are_reported_one_by_one(self, tmp_path: Path) -> None:
        rows: list[Any] = [
            ROWS[0],
            {**ROWS[1], "product_id": None},
            {**ROWS[1], "category_path": 5},
            "{broken",
            "[1, 2]",
            {**ROWS[1], "product_id": 1},
            ROWS[1],
            "\udcff",
        ]
        file = write_jsonl(tmp_path / "a.jsonl", rows)
        products, rejections = read(file)
        assert [product.id for product in products] == ["1", "2"]
        assert [(r.row, r.id, r.kind) for r in rejections] == [
            (2, None, "the id is missing"),
            (3, "2", "the category path is neither a list nor text"),
            (4, None, "the line is not valid JSON"),
            (5, None, "the line is not a JSON object"),
            (6, "1", "the id occurs twice"),
            (8, None, "the line is not UTF-8"),
        ]
        assert rejections[4].reason.endswith("row 1 has it already")
        assert {r.file for r in rejections} == {str(file)}
        assert json.loads(rejections[0].to_json_line())["row"] == 2

    def test_without_a_callback_the_first_bad_row_raises(self, tmp_path: Path) -> None:
        products = CatalogueFile(write_jsonl(tmp_path / "a.jsonl", [ROWS[0], "{"])).products()
        assert next(products).id == "1"
        with pytest.raises(ProductError, match=r"a\.jsonl, row 2: the line is not valid JSON"):
            next(products)

    def test_an_id_of_a_rejected_row_is_free(self, tmp_path: Path) -> None:
        products, rejections = read(write_jsonl(tmp_path / "a.jsonl", [{**ROWS[0], "title": ["x"]}, ROWS[0]]))
        assert [product.id for product in products] == ["1"]
        assert [rejection.row for rejection in rejections] == [1]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real catalogue is not at {REAL}")
def test_real_catalogue() -> None:
    catalogue = CatalogueFile(REAL / "test.parquet")
    products = list(catalogue.products())
    assert len(products) == catalogue.rows == 3972
    assert all(product.title and product.image and product.image.data and product.category_path for product in products)
    assert set(products[0].attributes) == {"gender", "colour", "season", "year", "usage"}
    assert catalogue.extra_columns == ("price",)
