from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita import config
from clipita.catalogue import CatalogueFile
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.cli.init import render
from clipita.option_table import about, options


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


def write_parquet(file: Path, **columns: list[object]) -> None:
    pq.write_table(pa.table(columns), file)


def test_as_written_all_defaults_hold() -> None:
    assert clipita("init") == 0
    assert config.load(environ={}) == config.Config()


def test_every_setting_uncommented_gives_its_default(here: Path) -> None:
    text = re.sub(r"(?m)^# (?=[a-z_]+ = )", "", render({}))
    tables = tomllib.loads(text)
    for section, kind in config.sections().items():
        assert set(tables[section]) == {name for name, entry in options(kind).items() if entry.default is not None}
    (here / "all.toml").write_text(text)
    assert config.load(Path("all.toml"), environ={}) == config.Config()


def test_every_setting_has_a_meaning_and_a_default_within_its_bounds() -> None:
    for section, kind in config.sections().items():
        assert about(kind)
        for name, entry in options(kind).items():
            assert entry.help.endswith((".", "?", "sentence")), f"{section}.{name}"
            if not isinstance(entry.default, Path):
                assert entry.convert(entry.default) == entry.default, f"{section}.{name}"


def test_examples_of_settings_without_default_are_valid() -> None:
    text = re.sub(r"(?m)^# Not set by default; for example: ", "", render({}))
    Path("examples.toml").write_text(text)
    settings = config.load(Path("examples.toml"), environ={})
    assert settings.opensearch.url == "https://search.internal:9200"
    assert settings.catalogue.valid == Path("valid.parquet")


def test_the_password_stays_out() -> None:
    assert not re.search(r"(?m)^#? ?password =", render({}))
    assert "CLIPITA_OPENSEARCH_PASSWORD" in render({})


def test_an_existing_file_is_kept_without_force(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "clipita.toml").write_text("[model]\ndim = 64\n")
    assert clipita("init") == 2
    assert "--force" in capsys.readouterr().err
    assert config.load(environ={}).model.dim == 64
    assert clipita("init", "--force") == 0
    assert config.load(environ={}).model.dim == config.ModelConfig().dim
    assert [file.name for file in here.iterdir()] == ["clipita.toml"]


def test_filled_in_from_a_catalogue(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data").mkdir()
    for name in ("train", "validation", "test"):
        write_parquet(
            here / f"data/my-{name}.parquet",
            sku=["1"],
            Name=['5" shoe'],
            categories=["A | B"],
            photo=["1.jpg"],
            brand=["x"],
        )
    assert clipita("init", "--catalogue", "data/my-train.parquet") == 0
    settings = config.load(environ={})
    assert settings.fields == config.FieldsConfig(
        id="sku",
        title="Name",
        category_path="categories",
        category_separator=" | ",
        attributes=("brand",),
        image="photo",
    )
    assert settings.catalogue.train == Path("data/my-train.parquet")
    assert settings.catalogue.valid == Path("data/my-validation.parquet")
    assert settings.catalogue.test == Path("data/my-test.parquet")
    (product,) = CatalogueFile(settings.catalogue.train, settings.fields).products()
    assert (product.id, product.category_path, product.attributes) == ("1", ("A", "B"), {"brand": "x"})
    assert "by its values it is brand" in capsys.readouterr().err


def test_the_usual_names_need_no_change(here: Path) -> None:
    write_parquet(
        here / "products.parquet",
        product_id=["1"],
        title=["a"],
        category_path=[["A"]],
        image=["1.jpg"],
        attributes=["{}"],
    )
    assert clipita("init", "--catalogue", "products.parquet") == 0
    assert config.load(environ={}).fields == config.FieldsConfig()


def test_what_cannot_be_guessed_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parquet(here / "products.parquet", key=["1"], title=["a"])
    assert clipita("init", "--catalogue", "products.parquet") == 0
    err = capsys.readouterr().err
    assert "no column looks like the id" in err
    assert "clipita catalogue split products.parquet" in err


def test_columns_of_other_names_are_told_by_their_values(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaves, colours = ["Schuhe/Stiefel", "Schuhe/Sandalen", "Hüte"], ["rot", "blau"]
    lines = [
        f"{number};{leaves[number % 3]};Modell {number} aus Leder;{colours[number % 2]};EUR;{number}.95;"
        f"Ein langer Text über Modell {number}, den keiner liest;bilder/{number}.JPG;https://shop.example/{number}"
        for number in range(100, 130)
    ]
    head = "Artikelnr;Warengruppe;Bezeichnung;Farbe;Waehrung;Preis;Beschreibung;Bild;Seite"
    (here / "feed.csv").write_text("\n".join([head, *lines]))
    assert clipita("init", "--catalogue", "feed.csv") == 0
    assert config.load(environ={}).fields == config.FieldsConfig(
        id="Artikelnr",
        title="Bezeichnung",
        category_path="Warengruppe",
        category_separator="/",
        attributes=("Farbe",),
        image="Bild",
    )
    assert "no column is named like the title; by its values it is Bezeichnung" in capsys.readouterr().err
    product = next(CatalogueFile(Path("feed.csv"), config.load(environ={}).fields).products())
    assert (product.id, product.category_path, product.attributes) == ("100", ("Schuhe", "Sandalen"), {"Farbe": "rot"})
    assert product.extra["Preis"] == 100.95


def test_odd_file_names_survive_toml(here: Path) -> None:
    odd = here / 'my "best" \\ tra\u00efn.jsonl'
    odd.write_text('{"product_id": 1, "title": "a"}\n')
    assert clipita("init", "--catalogue", odd.name) == 0
    assert config.load(environ={}).catalogue.train == Path(odd.name)


def test_a_broken_catalogue_writes_nothing(here: Path) -> None:
    assert clipita("init", "--catalogue", "none.parquet") == 1
    assert list(here.iterdir()) == []


def test_a_folder_in_the_way(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "clipita.toml").mkdir()
    assert clipita("init", "--force") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert [file.name for file in here.iterdir()] == ["clipita.toml"]
