"""Files that are no catalogue, or an odd one: what `clipita init` and `clipita catalogue check` make of each."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipita.cli import group
from clipita.cli.failure import run_guarded

HEAD = "product_id,title,category_path,image,price\n"
HTML = "\ufeff\n<!DOCTYPE html>\n<html><head><title>502</title></head><body>Bad gateway, sorry</body></html>\n"
ENTITIES = "a.xml declares entities"
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
FEED = "<rss><channel><item><id>1</id><title>{}</title></item></channel></rss>"


def zipped(name: str, text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, text)
    return stream.getvalue()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str]:
        code = run_guarded(group, list(arguments))
        return code, "".join(capsys.readouterr())

    return run


REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "an HTML page as CSV": ("a.csv", HTML, "is an HTML page, not a catalogue. Open it"),
    "an HTML page as text": ("a.txt", HTML.lstrip("\ufeff\n"), "is an HTML page"),
    "an HTML page as JSON Lines": ("a.jsonl", HTML, "is an HTML page"),
    "an HTML page as a document": ("a.json", HTML, "is an HTML page"),
    "an HTML page as a feed": ("a.xml", "<HTML lang='en'><body>Error</body></HTML>", "is an HTML page"),
    "an HTML page as Parquet": ("a.parquet", HTML, "is an HTML page"),
    "an XML bomb": ("a.xml", f'<!DOCTYPE r [<!ENTITY a0 "lol">{LAUGHS}]>{FEED.format("&a9;")}', ENTITIES),
    "an external entity": (
        "a.xml", f'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>{FEED.format("&a;")}', ENTITIES
    ),
    "a feed without products": ("a.xml", "<rss><channel></channel></rss>", "holds no product"),
    "a zip named .csv": ("a.csv", zipped("a.csv", HEAD), "is a zip archive, whatever its name says"),
    "two columns of one name": ("a.csv", "product_id,title,title\n1,a,b\n", "more than one column named title"),
    "two columns of one name, with tabs": ("a.tsv", "id\tname\tname\n1\ta\tb\n", "one column named name"),
    "a header alone": ("a.csv", HEAD, "holds no product"),
    "a header alone with tabs": ("a.tsv", HEAD.replace(",", "\t"), "holds no product"),
    "an empty array": ("a.json", "[]", "no array of objects"),
    "nothing": ("a.csv", "", "is empty"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_catalogue_is_told_at_once(
    run: Callable[..., Any], tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for command in (("init", "--catalogue", name), ("catalogue", "check", name)):
        code, out = run(*command)
        assert code == 1, out
        assert said in out
    assert not (tmp_path / "clipita.toml").exists()


def csv_rows(paths: list[str]) -> str:
    return HEAD + "".join(f'{n},plate {n},"{path}",,{n}\n' for n, path in enumerate(paths, start=1))


def checked(run: Callable[..., Any], name: str, *options: str) -> Any:
    """The report of a file that `init` was shown."""
    code, out = run("init", "--catalogue", name, "--force")
    assert code == 0, out
    _, out = run("catalogue", "check", name, "--no-images", "--json", *options)
    return json.loads(out[: out.rindex("}") + 1])


def test_ten_thousand_categories_in_one_cell(run: Callable[..., Any], tmp_path: Path) -> None:
    many = [f"Shop > C{n}" for n in range(10_000)]
    two = [f"Shop > C{n}|Shop > D{n}" for n in range(40)]
    (tmp_path / "a.csv").write_text(csv_rows(["|".join(many), *two]))
    report = checked(run, "a.csv")
    assert report["rejected"] == {"the product has more than 64 category paths": 1}
    assert report["usable"] == report["products_by_paths"]["2"] == 40
    assert report["examples"][0]["reason"].endswith("category_path has 10,000")


def test_a_path_of_fifty_levels(run: Callable[..., Any], tmp_path: Path) -> None:
    deep = " > ".join(f"L{n}" for n in range(50))
    (tmp_path / "a.csv").write_text(csv_rows([deep, *["A > B", "A > C"] * 5]))
    report = checked(run, "a.csv")
    assert report["rejected"] == {"the category path has more than 32 levels": 1}
    assert report["tree"]["nodes"] == 3


def test_a_cycle_of_names(run: Callable[..., Any], tmp_path: Path) -> None:
    """A category is its path, so that a name below itself is another one."""
    (tmp_path / "a.csv").write_text(csv_rows(["A > B > A", "B > A > B", "A > A", "A", "B", "A > B"] * 2))
    report = checked(run, "a.csv")
    assert report["rejected"] == {}
    assert report["tree"]["nodes_by_level"] == {"1": 2, "2": 3, "3": 2}


def test_a_price_of_call_us(run: Callable[..., Any], tmp_path: Path) -> None:
    prices = ["call us" if n % 3 else f"{n}.50 €" for n in range(1, 20)]
    lines = "".join(f"{n},plate {n},A > B,,{price}\n" for n, price in enumerate(prices))
    (tmp_path / "a.csv").write_text(HEAD + lines, encoding="utf-8")
    report = checked(run, "a.csv")
    assert report["attribute_names"] == {}
    assert report["column_types"] == {"price": "text"}
    (remark,) = [one for one in report["remarks"] if one.startswith("price ")]
    assert remark == (
        "price is of the type text: 13 of 19 values are no numbers, such as 'call us'. A search offers no range and no "
        "sort of it."
    )
    # Where most are prices, the others are left out.
    (tmp_path / "b.csv").write_text(HEAD + lines.replace("call us", "9.50 €", 9), encoding="utf-8")
    report = checked(run, "b.csv")
    assert report["column_types"] == {"price": "number"}
    assert "price is of the type number: values that are not are left out, 4 in all." in report["remarks"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_five_hundred_urls_of_pictures(run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    urls = [f"https://img.invalid/{n}.jpg" for n in range(500)]
    if name == "a.csv":
        (tmp_path / name).write_text(HEAD + "".join(f'{n},plate {n},A > B,"{", ".join(urls)}",1\n' for n in range(8)))
    else:
        rows = [{"product_id": n, "title": f"plate {n}", "category_path": ["A"], "image": urls} for n in range(8)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = checked(run, name)
    assert report["usable"] == 8
    assert report["missing"]["image"]["count"] == 0


def test_a_taxonomy_of_another_language(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "taxonomy.txt").write_text("# Version\n276 - Elektronik > Netzteile\n8 - Kunst\n", encoding="utf-8")
    cells = ["276", "Electronics > Chargers"] * 4
    (tmp_path / "a.csv").write_text(csv_rows(cells))
    report = checked(run, "a.csv")
    assert any(one.startswith("Categories are called by numbers, such as 276") for one in report["remarks"])
    settings = tmp_path / "clipita.toml"
    settings.write_text(settings.read_text().replace("[fields]\n", '[fields]\ntaxonomy = "taxonomy.txt"\n'))
    _, out = run("catalogue", "check", "a.csv", "--no-images", "--json")
    report = json.loads(out[: out.rindex("}") + 1])
    assert report["tree"]["nodes"] == 4
    (remark,) = [one for one in report["remarks"] if "taxonomy" in one]
    assert remark.startswith("The taxonomy does not have the root 'Electronics', and others are its own")
    # A file that is no taxonomy.
    (tmp_path / "names.txt").write_text("Elektronik > Netzteile\n", encoding="utf-8")
    settings.write_text(settings.read_text().replace("taxonomy.txt", "names.txt"))
    code, out = run("catalogue", "check", "a.csv", "--no-images")
    assert code == 2
    assert "Line 1 of the taxonomy" in out


def test_pictures_by_kind_of_trouble(run: Callable[..., Any], tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:200])
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    (tmp_path / "empty.jpg").touch()
    Image.new("1", (70_000, 10)).save(tmp_path / "long.png")
    cells = ["good.png", "cut.png", "page.jpg", "empty.jpg", "long.png", "none.jpg", "gone.jpg", "../../etc/shadow",
             "ftp://shop.test/a.jpg", "http://127.0.0.1/a.jpg", "N/A", '"data:image/png,abc"']  # fmt: skip
    rows = [f"{n},plate {n},A > B,{cell},{n}\n" for n, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text(HEAD + "".join(rows))
    assert run("init", "--catalogue", "a.csv")[0] == 0
    code, out = run("catalogue", "check", "a.csv", "--json")
    report = json.loads(out[: out.rindex("}") + 1])
    assert code == 3
    assert report["broken_images"] == sum(report["image_troubles"].values()) == 9
    assert report["image_troubles"]["the image file does not exist"] == 2
    assert len(report["image_troubles"]) == 8
    assert report["rejected"] == {"the image is a data URI without base64": 1}
    _, out = run("catalogue", "check", "a.csv")
    assert "2  the image file does not exist" in out
    assert "price (number)" in out


def test_a_column_that_ingest_refuses(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "sku,name,title,category_path\n" + "".join(f"{n},lamp {n},<b>{n}</b>,A > B\n" for n in range(9))
    )
    _, out = run("catalogue", "check", "a.csv", "--id-field", "sku", "--title-field", "name")
    assert "its column 'title' has a name that clipita writes itself" in out
