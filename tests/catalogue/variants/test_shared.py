"""What the files of a split share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipita.catalogue import CatalogueFile
from clipita.catalogue.variants.shared import PLACEHOLDER, shared_by
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig

FIELDS = FieldsConfig(id="sku", title="name", image="photo", attributes=(), group="style")


def catalogue(file: Path, *rows: str) -> CatalogueFile:
    file.write_text("\n".join(["sku,name,photo,style,category_path", *rows, "", ""]))
    return CatalogueFile(file, FIELDS)


def test_ids_groups_and_images(tmp_path: Path) -> None:
    train = catalogue(tmp_path / "train.csv", "1,Hat,a.jpg,h,A", "2,Hat,b.jpg,,A", "3,Cap,https://x/c.jpg,,A")
    valid = catalogue(tmp_path / "valid.csv", "1,Hat,z.jpg,,A", "4,Hat,y.jpg,h,A", "5,Hat,a.jpg,,A", "6,Hat,,,A")
    test = catalogue(tmp_path / "test.csv", "7,Cap,https://x/c.jpg,,A", "8,Cap,https://x/c.jpg,,A", "9,Sock,,,A")
    found = {(part.what, part.first.stem, part.second.stem): part for part in shared_by([train, valid, test])}
    assert {key: part.count for key, part in found.items()} == {
        ("id", "train", "valid"): 1, ("group", "train", "valid"): 1, ("image", "train", "valid"): 1,
        ("image", "train", "test"): 2,
    }  # fmt: skip
    assert found["image", "train", "test"].examples == ("https://x/c.jpg",)
    sentence = str(found["id", "train", "valid"])
    assert sentence.startswith(f"{tmp_path / 'valid.csv'} and {tmp_path / 'train.csv'} share ids (1; products of")


def test_a_placeholder_is_no_product(tmp_path: Path) -> None:
    train = catalogue(tmp_path / "train.csv", "1,Hat,none.jpg,,A")
    rows = [f"v{number},Hat,none.jpg,,A" for number in range(PLACEHOLDER)]
    assert shared_by([train, catalogue(tmp_path / "valid.csv", *rows)]) == []
    assert shared_by([train, catalogue(tmp_path / "valid.csv", *rows[1:])])[0].count == PLACEHOLDER - 1


def test_check_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train", "valid", "other"):
        catalogue(tmp_path / f"{name}.csv", f"{name},Hat,a.jpg,,A > B", f"{name}2,Cap,{name}.jpg,,A > C")
    (tmp_path / "clipita.toml").write_text(
        '[fields]\nid = "sku"\ntitle = "name"\nimage = "photo"\nattributes = []\n'
        '[catalogue]\ntrain = "train.csv"\nvalid = "valid.csv"\n'
    )

    def check(*arguments: str) -> list[dict[str, object]]:
        run_guarded(group, ["catalogue", "check", "--no-images", "--json", *arguments])
        shared: list[dict[str, object]] = json.loads(capsys.readouterr().out)["shared"]
        return shared

    assert [(part["what"], part["second"], part["count"]) for part in check("valid.csv")] == [("image", "valid.csv", 1)]
    assert check("other.csv") == []
    assert [part["first"] for part in check("other.csv", "--against", "train.csv")] == ["train.csv"]


def test_check_counts_groups_and_rows_that_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    catalogue(tmp_path / "shop.csv", "1,Hat,,h,A", "2,Hat,,h,A", "3,Cap,,,A", ",,,h,")
    (tmp_path / "clipita.toml").write_text(
        '[fields]\nid = "sku"\ntitle = "name"\nimage = ""\nattributes = []\ngroup = "style"\nvariants = "one"\n'
    )
    assert run_guarded(group, ["catalogue", "check", "shop.csv", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [report[name] for name in ("rows", "usable", "joined", "groups")] == [4, 2, 2, 2]
