"""Parquet files of a few kilobytes that stand for gigabytes."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.formats.parquet_pages import plan, read_places
from clipita.catalogue.split import split_catalogue
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, UsageError

ROWS = 64
READ = """
import re, sys
from pathlib import Path
import pyarrow.parquet
from clipita.catalogue import CatalogueFile
from clipita.errors import CatalogueError
# Not the resource module: its peak is that of the parent process, too.
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before, rejected = peak(), []
try:
    read = sum(1 for _ in CatalogueFile(Path(sys.argv[1])).products(rejected.append))
    print(peak() - before, read, len(rejected), rejected[0].reason if rejected else "")
except CatalogueError as error:
    print(peak() - before, error.message)
"""


def repeated(value: str, count: int = ROWS) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([value]))


def lists(values: Any, each: int) -> Any:
    return pa.ListArray.from_arrays(pa.array(range(0, len(values) + 1, each), pa.int32()), values)


def write(file: Path, columns: dict[str, Any], **options: Any) -> Path:
    count = len(next(iter(columns.values())))
    table = pa.table({"product_id": [str(n) for n in range(count)], "title": ["shoe"] * count, **columns})
    pq.write_table(table, file, compression="zstd", store_schema=False, **options)
    assert file.stat().st_size < 60_000
    return file


def hostile(kind: str, file: Path) -> Path:
    match kind:
        case "zeros":
            return write(file, {"extra": lists(pa.array(np.zeros(ROWS * 2**20, np.int8)), 2**20)})
        case "nulls":
            return write(file, {"extra": lists(pa.nulls(ROWS * 2**20, pa.string()), 2**20)})
        case "a dictionary with a text of 60 MB":
            return write(file, {"extra": repeated("x" * 60_000_000)})
        case "a dictionary with a text of 40 MB":
            return write(file, {"extra": repeated("x" * 40_000_000)})
        case "texts of 1 MB in 40 dictionaries":
            return write(file, {f"extra {n}": repeated("x" * 1_000_000) for n in range(40)})
        case "lists of a text in a dictionary":
            return write(file, {"extra": lists(repeated("x" * 1_000_000, ROWS * 3000), 3000)})
        case "a page":
            return write(file, {"extra": ["x" * 60_000_000] * 10}, use_dictionary=False)
        case "many pages":
            texts = ["x" * 30_000_000] * 12
            return write(file, {"extra": texts}, use_dictionary=False, write_batch_size=1, data_page_size=1)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("zeros", "column 'extra.list.element' holds 67,108,864 values in one row group"),
        ("nulls", "column 'extra.list.element' holds 67,108,864 values in one row group"),
        ("a dictionary with a text of 60 MB", "0 64 a cell is too large: extra has 60,000,000 bytes"),
        ("a dictionary with a text of 40 MB", "0 64 a cell is too large: extra has 40,000,000 bytes"),
        ("texts of 1 MB in 40 dictionaries", "0 64 the texts are too long: 40,000,005 characters"),
        ("lists of a text in a dictionary", "0 64 a cell is too large: extra has 3,000,000,000 bytes"),
        ("a page", "column 'extra' holds a page"),
        ("many pages", "0 12 the texts are too long: 30,000,00"),
    ],
)
def test_memory_stays_small(tmp_path: Path, kind: str, outcome: str) -> None:
    file = hostile(kind, tmp_path / "feed.parquet")
    done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    megabytes, _, result = done.stdout.strip().partition(" ")
    assert outcome in result, done.stderr
    assert int(megabytes) < 500


def test_statistics_that_do_not_fit_the_schema_end_no_process(tmp_path: Path) -> None:
    file = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"product_id": ["1"], "title": ["shoe"]}), file)
    optional, required = b"\x15\x0c\x25\x02\x18\x05title", b"\x15\x0c\x25\x00\x18\x05title"
    assert optional in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(optional, required))
    done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be read" in done.stdout


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9] + b"\xff" + data[-8:], lambda data: data[:-700] + data[-500:]]
)
def test_a_damaged_footer(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"product_id": ["1"], "title": ["shoe"]}), file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CatalogueError, match="cannot be read"):
        list(CatalogueFile(file).products())


@pytest.mark.parametrize(
    "content", [b"", b"\x49\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x49\xf1" + b"\xff" * 9 + b"\x01"]
)
def test_a_footer_of_nonsense(content: bytes) -> None:
    with pytest.raises(CatalogueError, match="the footer is damaged"):
        read_places(io.BytesIO(content + len(content).to_bytes(4, "little") + b"PAR1"))


def test_a_part_of_such_a_file_is_copied_within_the_same_limits(tmp_path: Path) -> None:
    file = hostile("a dictionary with a text of 40 MB", tmp_path / "feed.parquet")
    with pytest.raises(UsageError, match=rf"none of the {ROWS} rows can be read: a cell is too large"):
        split_catalogue(file, FieldsConfig())


def test_dictionaries_do_not_change_what_is_read(tmp_path: Path) -> None:
    """Values of a large dictionary, in every nesting, are those of a file without one."""
    texts = [f"{n} " + "x" * 3000 for n in range(20)]
    columns = {
        "extra": [texts[n % 20] for n in range(9000)],
        "lists": [[texts[n % 20], None, texts[n % 7]] for n in range(9000)],
        "struct": [{"a": texts[n % 20], "b": [texts[n % 3]]} for n in range(9000)],
        "map": pa.array([[("k", texts[n % 20])] for n in range(9000)], pa.map_(pa.string(), pa.string())),
        "letter": pa.array(["a", None, "b"] * 3000).dictionary_encode(),
        "number": pa.array([1, None, 2] * 3000).dictionary_encode(),
    }
    table = pa.table({"product_id": range(9000), "title": ["t"] * 9000, **columns})
    found = []
    for use_dictionary in (True, False):
        file = tmp_path / f"{use_dictionary}.parquet"
        pq.write_table(table, file, use_dictionary=use_dictionary)
        found.append(list(CatalogueFile(file).products()))
        with file.open("rb") as stream:
            made = plan(stream, pq.read_metadata(file).schema, read_places(stream)[0], table.schema.names)
        assert bool(made.dictionaries) == use_dictionary
        assert not made.row_by_row
    assert found[0] == found[1]
    assert found[0][1].extra["lists"] == [texts[1], None, texts[1]]


@pytest.mark.parametrize("options", [{}, {"data_page_version": "2.0"}, {"compression": "none"}, {"row_group_size": 70}])
def test_images_and_vectors_are_read_in_batches(tmp_path: Path, options: dict[str, Any]) -> None:
    chance = np.random.default_rng(0)
    columns = {"image": [chance.bytes(20_000) for _ in range(300)], "vector": list(chance.random((300, 768)))}
    pq.write_table(pa.table({"product_id": range(300), **columns}), tmp_path / "a.parquet", **options)
    with (tmp_path / "a.parquet").open("rb") as stream:
        made = plan(
            stream, pq.read_metadata(tmp_path / "a.parquet").schema, read_places(stream)[0], ["image", "vector"]
        )
    assert not made.row_by_row
    assert [
        product.image and product.image.data for product in CatalogueFile(tmp_path / "a.parquet").products()
    ] == columns["image"]


def test_a_damaged_header_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"product_id": ["p1"], "title": ["a"]}), file, compression="none")
    data = bytearray(file.read_bytes())
    data[4:12] = b"\xff" * 8
    file.write_bytes(data)
    with pytest.raises(CatalogueError, match="the header of a page of column 'product_id' is damaged"):
        list(CatalogueFile(file).products())
