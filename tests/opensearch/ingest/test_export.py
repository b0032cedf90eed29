"""The shop's own index written out as catalogue files, for a shop that has no feed."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers
from PIL import Image

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.reader import CatalogueFile
from clipita.catalogue.split import PARTS
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.opensearch.local.node import NodeStatus

pytestmark = pytest.mark.integration
COUNT = 1200
FIELDS = [
    "--title-field", "name", "--category-field", "shelf", "--category-separator", "/", "--image-field", "photo.url",
    "--attribute-field", "maker", "--attribute-field", "specs.*",
]  # fmt: skip


def document(number: int) -> dict[str, Any]:
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (number % 256, 90, 200)).save(data, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    found = {
        "name": f"Läufer {number}",
        "maker": ["Acme", "Globex"][number % 2],
        "specs": {"colour": ["red", "blue"][number % 2]},
        "photo": {"url": uri if number % 3 else [f"pictures/{number}.jpg", uri]},
    }
    return found if number % 100 == 7 else {**found, "shelf": f"Home/Leaf {number % 5}"}


@pytest.fixture
def shop_index(client: OpenSearch, alias: str) -> str:
    name = f"{alias}-shop"
    actions = ({"_index": name, "_id": f"sku {n}", "_source": document(n)} for n in range(COUNT))
    helpers.bulk(client, actions)
    client.indices.refresh(index=name)
    return name


def export(
    node: NodeStatus, name: str, folder: Path, capfd: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, Any]]:
    words = ["index", "export", name, str(folder), "--url", node.url, *FIELDS, "--json", *more]
    code = run_guarded(group, words)
    out = capfd.readouterr().out
    return code, json.loads(out) if code == 0 else {}


def ids(file: Path) -> set[str]:
    return {product.id for product in CatalogueFile(file).products(lambda _: None)}


def test_every_product_with_a_category_is_in_one_of_the_files(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    code, report = export(node, shop_index, folder, capfd, "--image-root", str(tmp_path))
    assert (code, report["documents"], report["without_category"], report["unusable"]) == (0, COUNT, 12, 0)
    files = {split: ids(folder / f"{split}.jsonl.gz") for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in files.items()} == report["written"]
    assert set.union(*files.values()) == {f"sku {n}" for n in range(COUNT) if n % 100 != 7}
    assert sum(map(len, files.values())) == COUNT - 12
    assert 0.7 < len(files["train"]) / COUNT < 0.9
    assert all(0.05 < len(files[split]) / COUNT < 0.15 for split in ("valid", "test"))


def test_parts_are_those_of_catalogue_split(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(node, shop_index, tmp_path / "shop", capfd)
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps({"product_id": f"sku {n}", "title": "a"}) + "\n" for n in range(COUNT)))
    assert run_guarded(group, ["catalogue", "split", str(feed)]) == 0
    without_category = {f"sku {n}" for n in range(7, COUNT, 100)}
    for part in PARTS:
        assert ids(tmp_path / "shop" / f"{part}.jsonl.gz") == ids(tmp_path / f"feed-{part}.jsonl") - without_category


def test_documents_of_one_group_are_in_one_part(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, report = export(node, shop_index, tmp_path / "shop", capfd, "--group-field", "shelf")
    assert code == 0
    written = {
        part: {product.extra["group"] for product in CatalogueFile(tmp_path / f"shop/{part}.jsonl.gz").products()}
        for part, count in report["written"].items()
        if count
    }
    assert sorted(name for shelves in written.values() for name in shelves) == [f"Home/Leaf {n}" for n in range(5)]


def test_another_seed_gives_other_parts(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(node, shop_index, tmp_path / "shop", capfd)
    export(node, shop_index, tmp_path / "other", capfd, "--seed", "1")
    tests = [ids(tmp_path / name / "test.jsonl.gz") for name in ("shop", "other")]
    assert len(tests[0] & tests[1]) < 0.3 * len(tests[0])


def test_products_are_what_their_documents_say(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(node, shop_index, tmp_path / "shop", capfd, "--image-root", str(tmp_path))
    products = {p.id: p for p in CatalogueFile(tmp_path / "shop" / "train.jsonl.gz").products(lambda _: None)}
    assert len(products) > 800
    for id_, product in products.items():
        number = int(id_.split()[1])
        assert product.title == f"Läufer {number}"
        assert product.category_path == ("Home", f"Leaf {number % 5}")
        assert product.attributes == {"maker": ["Acme", "Globex"][number % 2], "colour": ["red", "blue"][number % 2]}
        assert product.image is not None
        if number % 3:
            assert load_image(product.image).getpixel((3, 3)) == (number % 256, 90, 200)
        else:
            assert product.image.location == str(tmp_path / "pictures" / f"{number}.jpg")
            assert load_image(product.images[1]).getpixel((3, 3)) == (number % 256, 90, 200)


def test_a_sample_is_spread_out_and_keeps_its_splits(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(node, shop_index, tmp_path / "all", capfd)
    _, few = export(node, shop_index, tmp_path / "few", capfd, "--products", "300")
    assert 240 < sum(few["written"].values()) < 360
    for split in ("train", "valid", "test"):
        assert ids(tmp_path / "few" / f"{split}.jsonl.gz") < ids(tmp_path / "all" / f"{split}.jsonl.gz")


def test_nothing_is_replaced_unasked_and_nothing_half_stays(
    node: NodeStatus, shop_index: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    export(node, shop_index, folder, capfd)
    before = (folder / "train.jsonl.gz").read_bytes()
    assert export(node, shop_index, folder, capfd)[0] == 2
    assert (folder / "train.jsonl.gz").read_bytes() == before
    assert export(node, shop_index, folder, capfd, "--force")[0] == 0
    assert sorted(file.name for file in folder.iterdir()) == ["test.jsonl.gz", "train.jsonl.gz", "valid.jsonl.gz"]
    assert export(node, f"{shop_index}-absent", tmp_path / "other", capfd)[0] == 1
    assert not (tmp_path / "other").exists()
