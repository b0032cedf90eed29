"""Exports of shop systems, read as their presets say."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita import config
from clipita.catalogue import CatalogueFile, Product
from clipita.catalogue.guessing.presets import PRESETS, preset_fields
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.option_table import options

FOREIGN = Path(__file__).parents[3].parent / "shared/data/foreign"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments: object) -> int:
    return run_guarded(group, ["init", "--force", *map(str, arguments)])


def read(file: Path) -> list[Product]:
    return list(CatalogueFile(file, config.load(environ={}).fields).products())


@pytest.mark.parametrize("system", PRESETS)
def test_without_a_file_the_whole_preset_is_written(system: str) -> None:
    assert init("--from", system) == 0
    fields = config.load(environ={}).fields
    for role, names in PRESETS[system].columns.items():
        assert getattr(fields, role) == names[0]
    assert set(preset_fields(system)) <= set(options(config.FieldsConfig))


def test_shopify(here: Path) -> None:
    file = here / "export.csv"
    file.write_text(
        "Handle,Title,Body (HTML),Vendor,Type,Product Category,Option1 Value,Variant Price,Image Src\n"
        "top,Varsity Top,Warm,Acme,,Apparel > Tops,S,60,https://cdn/a.jpg\ntop,,,,,,M,61,\n"
    )
    assert init("--from", "shopify", "--catalogue", file) == 0
    [top] = read(file)
    assert (top.id, top.title, top.category_path) == ("top", "Varsity Top", ("Apparel", "Tops"))
    assert top.attributes == {"Vendor": "Acme"}
    assert [entry["Variant Price"] for entry in top.extra["variants"]] == [60, 61]


def test_woocommerce(here: Path) -> None:
    file = here / "export.csv"
    file.write_text(
        "ID,Type,SKU,Name,Categories,Images,Parent,Attribute 1 name,Attribute 1 value(s)\n"
        '1,variable,tee,Tee,Clothing > Tees,https://cdn/a.jpg,,Size,"S, M"\n2,variation,,Tee - S,,,tee,Size,S\n'
    )
    assert init("--from", "woocommerce", "--catalogue", file) == 0
    [tee] = read(file)
    assert (tee.id, tee.category_path) == ("1", ("Clothing", "Tees"))
    assert [entry["attributes"] for entry in tee.extra["variants"]] == [{"Attribute 1 value(s)": "S"}]


def test_magento(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "export.csv"
    file.write_text("sku,name,categories,base_image,color\nMB,Bag,Default/Gear/Bags,/m/b.jpg,Red\n")
    assert init("--from", "magento", "--catalogue", file) == 0
    assert "set image_root under [catalogue]" in capsys.readouterr().err
    [bag] = read(file)
    assert (bag.category_path, bag.attributes) == (("Default", "Gear", "Bags"), {"color": "Red"})
    # The file has no list of variants.
    assert config.load(environ={}).fields.group == ""


def test_google_with_blanks_in_names(here: Path) -> None:
    file = here / "feed.tsv"
    file.write_text(
        "id\ttitle\timage link\tproduct type\titem group id\ng1\tCharger\thttps://x/1.jpg\tPower > Chargers\tg\n"
    )
    assert init("--from", "google", "--catalogue", file) == 0
    [charger] = read(file)
    assert (charger.category_path, charger.extra["group"]) == (("Power", "Chargers"), "g")


def test_prestashop_with_other_marks_in_names(here: Path) -> None:
    file = here / "export.csv"
    file.write_text(
        "Product ID,Name *,Categories (x;y;z...),Image URLs (x;y;z...),Brand\n1,Nano,Players,https://x/1.jpg,Acme\n"
    )
    assert init("--from", "prestashop", "--catalogue", file) == 0
    [nano] = read(file)
    assert (nano.id, nano.title, nano.category_path) == ("1", "Nano", ("Players",))
    assert nano.attributes == {"Brand": "Acme"}


def test_a_file_of_another_system_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shop.csv").write_text("sku,name\n1,Hat\n")
    assert init("--from", "shopify", "--catalogue", "shop.csv") == 2
    err = capsys.readouterr().err
    assert "shop.csv is no export of shopify: it has no column 'Handle'" in err
    assert "Leave out --from" in err
    assert not (here / "clipita.toml").exists()


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="the exports are not here")
@pytest.mark.parametrize(
    ("name", "system", "id_", "path"),
    [
        ("05-google-feed.tsv", "google", "g1", ("Electronics", "Power", "Chargers")),
        ("06-html-as-category.csv", "prestashop", "1", ("Players",)),
        ("15-shopify.csv", "shopify", "varsity-top", ("Tops",)),
    ],
)
def test_exports(name: str, system: str, id_: str, path: tuple[str, ...]) -> None:
    assert init("--from", system, "--catalogue", FOREIGN / name) == 0
    first = read(FOREIGN / name)[0]
    assert (first.id, first.category_path) == (id_, path)
