"""One catalogue as three: every row is in one of them, as it stood."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue.reader import open_source
from clipita.catalogue.split import PARTS, in_sample, part_of
from clipita.cli import group
from clipita.cli.failure import run_guarded

ROWS = 300


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parts(suffix: str) -> dict[str, list[dict[str, object]]]:
    return {
        part: [dict(row) for _, row in open_source(Path(f"shop-{part}{suffix}")).records() if isinstance(row, dict)]
        for part in PARTS
    }


def check(found: dict[str, list[dict[str, object]]], wanted: list[dict[str, object]], key: str) -> None:
    assert all(part_of(str(row[key])) == part for part, rows in found.items() for row in rows)
    assert sorted((row for rows in found.values() for row in rows), key=lambda row: str(row[key])) == wanted
    assert len(found["train"]) > 0.7 * len(wanted)
    assert len(found["valid"]) > 0.05 * len(wanted) < len(found["test"])


def test_the_rule_stays_what_trained_models_rest_on() -> None:
    parts = "".join(part_of(f"sku {number}")[1] for number in range(40))
    assert parts == "arrerrrererrrrrrarrrrrrrarrreerrrrrrrrrr"
    again = [part_of(f"sku {number}") for number in range(10_000)]
    assert 0.78 < again.count("train") / len(again) < 0.82
    other = [part_of(f"sku {number}", seed=1) for number in range(10_000)]
    # Two independent splits agree on 0.8² + 2 * 0.1² of the products.
    assert 0.63 < sum(a == b for a, b in zip(again, other, strict=True)) / len(again) < 0.69


def test_a_larger_sample_holds_a_smaller_one() -> None:
    ids = [f"sku {number}" for number in range(5_000)]
    few, more = ({id_ for id_ in ids if in_sample(id_, share)} for share in (0.1, 0.3))
    assert few < more
    assert 0.08 < len(few) / len(ids) < 0.12
    assert all(in_sample(id_, 1.0) for id_ in ids)
    assert 0.05 < sum(part_of(id_) == "test" for id_ in few) / len(few) < 0.15


def test_parquet_with_pictures(here: Path) -> None:
    rows = [
        {"product_id": f"p{number:03d}", "tags": ["a", None], "image": {"bytes": bytes(50), "path": None}}
        for number in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": "{}"}), here / "shop.parquet")
    assert clipita("catalogue", "split", "shop.parquet") == 0
    check(parts(".parquet"), rows, "product_id")
    assert pq.read_schema(here / "shop-test.parquet").metadata == {b"huggingface": b"{}"}
    assert pq.ParquetFile(here / "shop-train.parquet").metadata.num_row_groups == 1


def test_csv_keeps_every_cell_as_it_was_written(here: Path) -> None:
    rows = [{"sku": f"{number:04d}", "name": f'"a";\n{number}', "price": "1.50"} for number in range(ROWS)]
    lines = ['"{sku}";"{name}";{price}'.format(**row | {"name": row["name"].replace('"', '""')}) for row in rows]
    (here / "shop.csv").write_text("\n".join(["sku;name;price", *lines]) + "\n", newline="")
    assert clipita("catalogue", "split", "shop.csv", "--id-field", "sku") == 0
    found = parts(".csv")
    check(found, rows, "sku")
    assert "1.50" in (here / "shop-test.csv").read_text()


def test_compressed_json_lines_become_plain_and_a_broken_line_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"product_id": number, "title": "Läufer 👟", "odd": {"a": [1, None]}} for number in range(1000, 1000 + ROWS)
    ]
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    with gzip.open(here / "shop.jsonl.gz", "wt") as stream:
        stream.write("\n".join([*lines, '{"product_id": ', '{"title": "no id"}']))
    assert clipita("catalogue", "split", "shop.jsonl.gz") == 3
    check(parts(".jsonl"), rows, "product_id")
    err = capsys.readouterr().err
    assert "Row 301: the line is not valid JSON" in err
    assert "Row 302: the id is missing" in err
    assert "2 rows are in none of the files" in err


def test_train_finds_the_others_and_an_earlier_split_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shop.jsonl").write_text("".join(f'{{"product_id": {number}, "title": "a"}}\n' for number in range(50)))
    assert clipita("catalogue", "split", "shop.jsonl", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert sum(counts[part]["products"] for part in PARTS) == 50
    assert clipita("init", "--catalogue", "shop-train.jsonl") == 0
    assert 'valid = "shop-valid.jsonl"' in (here / "clipita.toml").read_text()
    assert 'test = "shop-test.jsonl"' in (here / "clipita.toml").read_text()
    assert clipita("catalogue", "split", "shop.jsonl") == 2
    assert "--force" in capsys.readouterr().err
    assert clipita("catalogue", "split", "shop.jsonl", "--force") == 0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [("sku,name\n1,a\n", 2, "no column 'product_id' for the id"), ("", 1, "is empty")],
)
def test_what_cannot_be_split(here: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, words: str) -> None:
    (here / "shop.csv").write_text(text)
    assert clipita("catalogue", "split", "shop.csv") == code
    assert words in capsys.readouterr().err
    assert [file.name for file in here.iterdir()] == ["shop.csv"]


def test_a_damaged_file_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = gzip.compress(b"".join(b'{"product_id": %d, "title": "a"}\n' % number for number in range(20_000)))
    (here / "shop.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert clipita("catalogue", "split", "shop.jsonl.gz") == 1
    assert "cannot be read beyond line" in capsys.readouterr().err
    assert [file.name for file in here.iterdir()] == ["shop.jsonl.gz"]


VARIANTS = "".join(
    f"MH{product:02d}-{size},Hoodie {product}-{size},img/mh{product:02d}.jpg,{product}\n"
    for product in range(30)
    for size in ("XS", "S", "M")
)


def stems(suffix: str = ".csv") -> dict[str, set[str]]:
    return {part: {str(row["sku"]).partition("-")[0] for row in rows} for part, rows in parts(suffix).items()}


@pytest.mark.parametrize("flags", [(), ("--group-field", "style")])
def test_variants_of_one_product_are_in_one_part(
    here: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    (here / "shop.csv").write_text("sku,name,base_image,style\n" + VARIANTS)
    assert clipita("catalogue", "split", "shop.csv", "--id-field", "sku", *flags) == 0
    found = stems()
    assert sum(map(len, found.values())) == 30
    assert not found["train"] & found["valid"] | found["train"] & found["test"] | found["valid"] & found["test"]
    assert ("Rows of one base_image stay together" in capsys.readouterr().err) is not bool(flags)


def test_without_a_group_the_id_alone_decides(here: Path) -> None:
    (here / "shop.csv").write_text("sku,name,base_image,style\n" + VARIANTS)
    assert clipita("catalogue", "split", "shop.csv", "--id-field", "sku", "--group-field", "") == 0
    for part, rows in parts(".csv").items():
        assert {part_of(str(row["sku"])) for row in rows} == {part}


def test_parents_stay_with_their_variants_in_every_format(here: Path) -> None:
    rows = [{"sku": f"p{number}", "name": "Hat", "parent_sku": ""} for number in range(60)]
    rows += [{"sku": f"p{number}-v", "name": "Hat", "parent_sku": f"p{number}"} for number in range(60)]
    (here / "shop.json").write_text(json.dumps({"products": rows}))
    pq.write_table(pa.Table.from_pylist(rows), here / "shop.parquet")
    for file, suffix in (("shop.json", ".jsonl"), ("shop.parquet", ".parquet")):
        assert clipita("catalogue", "split", file, "--id-field", "sku") == 0
        found = stems(suffix)
        assert sum(map(len, found.values())) == 60


def test_an_id_that_repeats_is_refused_with_the_one_that_does_not(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "shop.csv").write_text("sku,product_online,name\n" + "".join(f"MH{n},1,Hoodie {n}\n" for n in range(40)))
    assert clipita("catalogue", "split", "shop.csv", "--id-field", "product_online") == 2
    err = capsys.readouterr().err
    assert "product_online is not an id: its 40 rows have 1 different value in it" in err
    assert "Did you mean 'sku'?" in err
    assert [file.name for file in here.iterdir()] == ["shop.csv"]


def test_a_part_that_would_be_empty_is_an_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shop.csv").write_text("sku,name\n" + "".join(f"{number},Hat\n" for number in range(2)))
    assert clipita("catalogue", "split", "shop.csv", "--id-field", "sku") == 2
    err = capsys.readouterr().err
    assert "shop.csv cannot be split: no product would be in" in err
    assert [file.name for file in here.iterdir()] == ["shop.csv"]
