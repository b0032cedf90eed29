from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded

REAL = Path(__file__).parents[2].parent / "shared/data/fashion-products"


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (20, 20), "red").save(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_text("no picture")
    file = tmp_path / "shop.csv"
    file.write_text("sku,name,category_path,image\n1,Shoe [red],A > B,1.jpg\n2,Boot,A > C,2.jpg\n,Hat,A,1.jpg\n")
    return file


FIELDS = ("--id-field", "sku", "--title-field", "name")


def test_report_and_exit_code(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("catalogue", "check", shop, *FIELDS) == 3
    out, err = capsys.readouterr()
    for words in (
        "rows",
        "level 1: 1, level 2: 2",
        "the id is missing",
        "Row 3, id 2: the image is not of a known format",
    ):
        assert words in out
    assert "2 of 3 rows cannot be used" in err
    assert "--rejected FILE" in err


def test_json_is_all_of_stdout(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("catalogue", "check", shop, *FIELDS, "--json") == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["usable"], report["broken_images"]) == (3, 1, 1)


def test_rejected_file_holds_all(shop: Path, tmp_path: Path) -> None:
    target = tmp_path / "bad.jsonl"
    assert clipita("catalogue", "check", shop, *FIELDS, "--rejected", target) == 3
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert sorted((line["row"], line["id"]) for line in lines) == [(3, "2"), (4, None)]
    assert all(line["file"] == str(shop) and line["reason"] for line in lines)


def test_no_images(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("catalogue", "check", shop, *FIELDS, "--no-images", "--json") == 3
    assert json.loads(capsys.readouterr().out)["broken_images"] is None


def test_clean_catalogue_exits_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"product_id": 1, "title": "Shoe"}\n')
    assert clipita("catalogue", "check", "a.jsonl", "--rejected", "bad.jsonl") == 0
    assert (tmp_path / "bad.jsonl").read_bytes() == b""


def test_the_catalogue_is_never_overwritten(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = shop.read_bytes()
    assert clipita("catalogue", "check", shop, *FIELDS, "--rejected", shop) == 2
    assert shop.read_bytes() == before
    assert "names the catalogue itself" in capsys.readouterr().err


def test_unwritable_rejected_file(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("catalogue", "check", shop, *FIELDS, "--rejected", tmp_path / "none" / "bad.jsonl") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_mapping_from_the_settings_file_and_flag_above_it(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "clipita.toml").write_text('[fields]\nid = "sku"\ntitle = "nonsense"\n')
    assert clipita("catalogue", "check", shop) == 2
    assert clipita("catalogue", "check", shop, "--title-field", "name") == 3


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("none.parquet",), 1, "There is no catalogue file none.parquet"),
    (("shop.csv",), 2, "Did you mean 'sku'"),
    (("shop.csv", "--id-field", "sku"), 2, "'name' looks like it"),
    ((), 2, "Missing argument"),
])  # fmt: skip
def test_failures_are_one_line(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert clipita("catalogue", "check", *arguments) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real catalogue is not at {REAL}")
def test_real_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert clipita("catalogue", "check", REAL / "test.parquet", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["usable"], report["broken_images"]) == (3972, 3972, 0)
    assert set(report["tree"]["nodes_by_level"]) == {"1", "2", "3"}
