"""A catalogue with every kind of broken row: what can be used is there, what cannot is named, exit code 3.

A product whose image is broken is there with the vector of its words, and the image is named apart.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from PIL import Image

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.opensearch.local.node import NodeStatus

pytestmark = pytest.mark.integration

LONG = "a very long title " * 6000


def png_bomb() -> bytes:
    """20,000 x 20,000 black pixels in 50 kB; unpacked as RGB they take 1.2 GB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501) * 20_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def rows(folder: Path) -> list[dict[str, Any] | str]:
    Image.linear_gradient("L").convert("RGB").save(folder / "good.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "good.jpg").read_bytes()[:700])
    (folder / "text.jpg").write_text("<html>404 not found</html>")
    (folder / "bomb.png").write_bytes(png_bomb())
    (folder / "empty.jpg").touch()
    inline = "data:image/jpeg;base64," + base64.b64encode((folder / "good.jpg").read_bytes()).decode()
    return [
        {"product_id": "good", "title": "plate", "image": "good.jpg", "price": 1, "size": {"width": {"mm": 1}}},
        {"product_id": "inline", "title": "plate", "image": inline},
        {"product_id": "truncated", "title": "plate", "image": "truncated.jpg"},
        {"product_id": "text", "title": "plate", "image": "text.jpg"},
        {"product_id": "bomb", "title": "plate", "image": "bomb.png"},
        {"product_id": "no file", "title": "plate", "image": "nowhere.jpg"},
        {"product_id": "empty file", "title": "plate", "image": "empty.jpg"},
        {"product_id": "null title", "title": None, "image": "good.jpg"},
        {"product_id": "emoji", "title": "👟🔥 Läufer ﷽ ‏", "image": "good.jpg"},
        {"product_id": "long", "title": LONG},
        {"product_id": "good", "title": "the same id again"},
        {"product_id": "nothing", "title": "  ", "price": 3},
        {"product_id": "", "title": "no id"},
        {"product_id": "path", "title": "x", "category_path": ["Home", "", "Plates"]},
        '{"product_id": "cut off", "title":',
        {"product_id": "clash", "title": "x", "size": {"width": 1}},
        {"product_id": "last", "title": "plate", "price": 2},
    ]


IMAGE_REASONS = {
    "truncated": "the image cannot be decoded",
    "text": "the image is not of a known format",
    "bomb": "the image has too many pixels",
    "no file": "the image file does not exist",
    "empty file": "the image is empty",
}
PRESENT = {"good", "inline", "null title", "emoji", "long", "last", *IMAGE_REASONS}
REASONS = {
    "nothing": "the product has no title, no image and no attribute",
    "path": "a category name is blank",
    "clash": "OpenSearch refused the document",
}


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "hostile.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows(tmp_path)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def command(catalogue: Path, tiny_bundle: Path, node: NodeStatus, alias: str) -> Callable[..., int]:
    def run(*more: str) -> int:
        arguments = ["ingest", str(catalogue), "--model", str(tiny_bundle), "--index", alias, "--url", node.url, *more]
        return run_guarded(group, arguments)

    return run


def test_bad_rows_are_named_and_all_others_are_there(
    command: Callable[..., int],
    catalogue: Path,
    client: OpenSearch,
    alias: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("--json") == 3
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["counts"] == {"written": 11, "updated": 0, "unchanged": 0, "rejected": 5, "failed": 1}
    assert (report["products"], report["left_out"], report["encoded"]) == (17, 6, 12)
    assert report["image_warnings"] == 5
    assert report["image_reasons"] == dict.fromkeys(IMAGE_REASONS.values(), 1)
    assert "6 products were left out; the reasons are in rejected.jsonl" in err
    assert "5 images could not be used; the reasons are in image-warnings.jsonl" in err
    found = client.search(index=alias, body={"size": 50})["hits"]["hits"]
    assert all("product_vector" in hit["_source"] for hit in found)
    titles = {hit["_id"]: hit["_source"].get("title") for hit in found}
    assert set(titles) == PRESENT
    assert titles["good"] == "plate"
    assert titles["null title"] is None
    assert titles["emoji"] == "👟🔥 Läufer ﷽ ‏"
    assert titles["long"] == LONG.strip()
    lines = [json.loads(line) for line in Path("rejected.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert {line["file"] for line in lines} == {str(catalogue)}
    warned = {line["id"]: line for line in map(json.loads, Path("image-warnings.jsonl").read_text().splitlines())}
    assert set(warned) == set(IMAGE_REASONS)
    assert all(reason in warned[id_]["reason"] for id_, reason in IMAGE_REASONS.items())
    assert warned["truncated"]["row"] == 3
    told = {line["id"]: line for line in lines}
    for id_, reason in REASONS.items():
        assert reason in told[id_]["reason"]
        assert told[id_]["outcome"] == ("failed" if id_ == "clash" else "rejected")
    by_row = {line["row"]: line["reason"] for line in lines}
    assert by_row[11] == "the id occurs twice: row 1 has it already"
    assert "the id is missing" in by_row[13]
    assert "not valid JSON" in by_row[15]


def test_second_run_says_the_same_and_writes_nothing(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 3
    files = [Path("rejected.jsonl"), Path("image-warnings.jsonl")]
    first = [sorted(file.read_text().splitlines()) for file in files]
    capsys.readouterr()
    assert command("--json") == 3
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"written": 0, "updated": 0, "unchanged": 11, "rejected": 5, "failed": 1}
    assert (report["image_warnings"], report["encoded"]) == (5, 1)
    assert [sorted(file.read_text().splitlines()) for file in files] == first


def test_mended_row_goes_in_and_the_list_of_rejects_goes_away(
    command: Callable[..., int], catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 3
    whole = PRESENT - set(IMAGE_REASONS)
    kept = [line for line in catalogue.read_text(encoding="utf-8").splitlines() if _id(line) in whole]
    kept.remove(next(line for line in kept if "the same id again" in line))
    mended = {"product_id": "truncated", "title": "plate", "image": "good.jpg"}
    catalogue.write_text("\n".join([*kept, json.dumps(mended)]) + "\n", encoding="utf-8")
    capsys.readouterr()
    assert command("--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"written": 1, "updated": 0, "unchanged": 6, "rejected": 0, "failed": 0}
    assert report["image_warnings"] == 0
    assert not Path("rejected.jsonl").exists()
    assert not Path("image-warnings.jsonl").exists()


def test_catalogue_of_bad_rows_alone_is_an_error(
    command: Callable[..., int], catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.write_text('{"product_id": "1", "title": "  ", "price": 3}\n')
    assert command() == 1
    assert "Not one of 1 products is in the index" in capsys.readouterr().err
    assert "no title, no image and no attribute" in Path("rejected.jsonl").read_text()


def _id(line: str) -> str | None:
    try:
        found = json.loads(line)["product_id"]
    except json.JSONDecodeError:
        return None
    return str(found)


def test_what_was_written_is_told_even_where_the_categories_fail(
    command: Callable[..., int], client: OpenSearch, alias: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client.index(index=f"{alias}-categories", body={"name": "somebody else's"})
    assert command() == 1
    _, err = capsys.readouterr()
    assert f"{alias}-categories" in err
    assert "17 products into" in err
    assert "Not finished: the same command goes on from here." in err
