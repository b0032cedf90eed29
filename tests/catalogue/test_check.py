from __future__ import annotations

import io
import json
from pathlib import Path

import orjson
import PIL.Image
import pytest

from clipita.catalogue import CatalogueFile, Rejection
from clipita.catalogue.check import CheckReport, check_catalogue
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig


def jpeg(colour: str = "red") -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (20, 20), colour).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Ten rows: four good, two with broken images, four rejected."""
    (tmp_path / "good.jpg").write_bytes(jpeg())
    (tmp_path / "cut.jpg").write_bytes(jpeg()[:200])
    rows = [
        {"product_id": 1, "title": "Red shoe", "category_path": ["Footwear", "Shoes"], "image": "good.jpg", "price": 1},
        {"product_id": 2, "title": "Boot", "category_path": ["Footwear", "Boots"], "attributes": {"colour": "Red"}},
        {"product_id": 3, "title": None, "category_path": ["Footwear", "Shoes"], "image": "good.jpg"},
        {"product_id": 4, "title": "Mystery", "image": "good.jpg", "attributes": {"colour": "Red", "size": 4}},
        {"product_id": 5, "title": "Cut", "category_path": ["Hats"], "image": "cut.jpg"},
        {"product_id": 6, "title": "Gone", "category_path": ["Hats"], "image": "none.jpg"},
        {"product_id": 1, "title": "Again"},
        {"product_id": 2, "title": "Again"},
        {"title": "No id"},
        {"product_id": 9, "title": "Gap", "category_path": ["Hats", None, "Caps"]},
    ]
    file = tmp_path / "shop.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_counts(shop: Path) -> None:
    seen: list[Rejection] = []
    steps: list[int] = []
    report = check_catalogue(CatalogueFile(shop), on_reject=seen.append, on_rows=steps.append)
    assert (report.rows, report.usable, report.duplicates, report.broken_images) == (10, 4, 2, 2)
    assert report.rejected == {"the id occurs twice": 2, "the id is missing": 1, "a category name is blank": 1}
    assert {name: (missing.count, missing.percent) for name, missing in report.missing.items()} == {
        "title": (1, 16.67),
        "image": (1, 16.67),
        "attributes": (4, 66.67),
        "category": (1, 16.67),
    }
    assert report.attribute_names == {"colour": 2, "size": 1}
    assert report.titles is not None
    assert (report.titles.shortest, report.titles.median, report.titles.longest) == (3, 4.0, 8)
    assert report.tree.nodes_by_level == {1: 2, 2: 2}
    assert (report.tree.nodes, report.tree.leaves) == (4, 3)
    assert report.tree.largest[0] in {("Footwear > Shoes", 2), ("Hats", 2)}
    assert report.tree.smallest[0] == ("Footwear > Boots", 1)
    assert report.extra_columns == ["price"]
    assert not report.clean
    assert sorted(rejection.row for rejection in seen) == [5, 6, 7, 8, 9, 10]
    assert steps[-1] == 10
    broken = {r.id: r for r in report.examples if r.reason.startswith("the image")}
    assert broken["5"].row == 5
    assert "cannot be decoded" in broken["5"].reason
    assert "does not exist" in broken["6"].reason


def test_report_survives_json(shop: Path) -> None:
    report = orjson.loads(orjson.dumps(check_catalogue(CatalogueFile(shop)).as_json()))
    assert report["tree"]["nodes_by_level"] == {"1": 2, "2": 2}
    assert report["examples"][0]["reason"]


def test_without_images_none_is_opened(shop: Path) -> None:
    report = check_catalogue(CatalogueFile(shop), images=False)
    assert report.broken_images is None
    assert report.usable == 6


def test_images_of_one_product_that_are_broken_beside_others_or_too_many(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"product_id": 1, "title": "a", "image": ["cut.jpg", "good.jpg", "none.jpg"]},
        {"product_id": 2, "title": "b", "image": ["cut.jpg", "none.jpg"]},
        {"product_id": 3, "title": "c", "image": ["good.jpg", *(f"https://h/{number}.jpg" for number in range(500))]},
        {"product_id": 4, "title": "d", "image": [7, "good.jpg"]},
    ]
    shop.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen: list[Rejection] = []
    report = check_catalogue(CatalogueFile(shop, FieldsConfig(images_per_product=1)), on_reject=seen.append)
    assert (report.cut_images, report.products_by_images) == (3, {1: 3})
    # Of each only the first image is used, as if the others were not there.
    assert [(rejection.id, rejection.kind) for rejection in seen] == [
        ("4", "the image has no known form"),
        ("1", "the image cannot be decoded"),
        ("2", "the image cannot be decoded"),
    ]
    del rows[2]
    shop.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_catalogue(CatalogueFile(shop))
    assert (report.usable, report.broken_images, report.image_warnings, report.cut_images) == (2, 1, 3, 0)
    assert run_guarded(group, ["catalogue", "check", str(shop)]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "3 images cannot be used; their products have others." in told
    assert "2: 2, 3: 1" in told
    assert "Row 3, id 4: the image has no known form" in told


def test_an_url_with_a_port_that_cannot_be_is_one_broken_image(tmp_path: Path) -> None:
    file = tmp_path / "ports.jsonl"
    rows = [{"product_id": 1, "title": "a", "image": "http://127.0.0.1:99999/1.jpg"}, {"product_id": 2, "title": "b"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_catalogue(CatalogueFile(file))
    assert (report.usable, report.broken_images) == (1, 1)
    assert "has no port 99999" in report.examples[0].reason


def test_half_a_surrogate_pair_anywhere_does_not_end_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = "\\ud83d"
    lines = [
        f'{{"product_id": "1", "title": "a", "{half}": 3, "attributes": {{"{half}": "x"}}}}',
        f'{{"product_id": "2", "title": "{half}", "category_path": ["{half}"]}}',
        f'{{"product_id": "3{half}", "title": "c"}}',
        f'{{"product_id": "4", "image": "{half}"}}',
    ]
    file = tmp_path / "b\udcff.jsonl"
    file.write_text("\n".join(lines))
    for more in (["--json", "--rejected", str(tmp_path / "rejected.jsonl")], []):
        assert run_guarded(group, ["catalogue", "check", str(file), *more]) == 3
    assert json.loads(capsys.readouterr().out.partition("\n}")[0] + "}")["extra_columns"] == ["\ufffd"]
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 2


def test_a_full_disk_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"title": "no id"}\n{"product_id": "1", "title": "x"}\n{"title": "no id"}\n')
    assert run_guarded(group, ["catalogue", "check", str(file), "--rejected", "/dev/full"]) == 2
    assert "/dev/full cannot be written: No space left on device. Free some" in capsys.readouterr().err


def checked(file: Path, text: str) -> CheckReport:
    file.write_text(text)
    return check_catalogue(CatalogueFile(file))


def test_overlooked_separator_is_remarked(tmp_path: Path) -> None:
    report = checked(tmp_path / "a.csv", "product_id,title,category_path\n1,a,Shoes/Boots\n2,b,Shoes/Sandals\n")
    assert any('--category-separator "/"' in remark for remark in report.remarks)


def test_a_single_category_is_remarked(tmp_path: Path) -> None:
    report = checked(tmp_path / "a.csv", "product_id,title,category_path\n1,a,Shoes\n2,b,Shoes\n")
    assert report.clean
    assert any("one category" in remark for remark in report.remarks)


def test_catalogue_without_categories_is_remarked(tmp_path: Path) -> None:
    report = checked(tmp_path / "a.csv", "product_id,title\n1,a\n")
    assert report.clean
    assert report.tree.nodes == 0
    assert any("training needs categories" in remark for remark in report.remarks)


def test_all_rejected(tmp_path: Path) -> None:
    report = checked(tmp_path / "a.csv", "product_id,title\n,a\n,b\n")
    assert (report.rows, report.usable, report.titles) == (2, 0, None)
    assert report.rejected == {"the id is missing": 2}


def test_examples_are_few(tmp_path: Path) -> None:
    report = checked(tmp_path / "a.csv", "product_id,title\n" + ",a\n" * 1000)
    assert report.rejected == {"the id is missing": 1000}
    assert [rejection.row for rejection in report.examples] == [2, 3, 4, 5, 6]


def test_values_of_another_type_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("product_id,title,price\n1,a,10 €\n2,b,20 €\n3,c,call us\n")
    report = check_catalogue(CatalogueFile(tmp_path / "a.csv"))
    assert report.clean
    assert report.remarks == [
        "price is of the type number: values that are not are left out, 1 in all.",
        "No product has a category: training needs categories.",
    ]


def test_products_in_several_categories(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text('product_id,title,category_path\n1,a,"S/Men,S/Eco"\n2,b,S/Men\n3,c,\n')
    fields = FieldsConfig(category_separator="/", path_separator=",")
    report = check_catalogue(CatalogueFile(file, fields))
    assert report.products_by_paths == {0: 1, 1: 1, 2: 1}
    assert report.as_json()["products_by_paths"] == {"0": 1, "1": 1, "2": 1}
    assert (report.tree.nodes_by_level, report.tree.largest) == ({1: 1, 2: 2}, [("S > Men", 2), ("S > Eco", 1)])
