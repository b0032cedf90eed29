"""Which files of the machine a catalogue may name as images."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

from clipita.catalogue import CatalogueFile, load_image
from clipita.catalogue.check import check_catalogue
from clipita.catalogue.images import files
from clipita.catalogue.product import ImageSource
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.errors import ImageError

SECRET = "zqxj:$6$jqzvwk:19037:0:99998:7:::"
LIMIT = 10**6


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop's folder with images, beside one that is nobody's business."""
    for folder in ("shop/images", "private", "shop-other"):
        (tmp_path / folder).mkdir(parents=True)
        PIL.Image.new("RGB", (24, 24), "red").save(tmp_path / folder / "1.png")
    (tmp_path / "private" / "shadow").write_text(SECRET)
    root = tmp_path / "shop"
    (root / "out").symlink_to(tmp_path / "private")
    (root / "out.png").symlink_to(tmp_path / "private" / "1.png")
    (root / "inner.png").symlink_to("images/1.png")
    (root / "circle.png").symlink_to("circle.png")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.fixture(autouse=True)
def _no_more_roots() -> Iterator[None]:
    yield
    files.configure()


def read(location: str, *roots: Path) -> bytes:
    return files.read_file(ImageSource(location=location, roots=roots), LIMIT)


@pytest.mark.parametrize("location", [
    "images/1.png", "./images/../images/1.png", "inner.png", "{root}/images/1.png", "/images/1.png"
])  # fmt: skip
def test_files_inside_are_read(shop: Path, location: str) -> None:
    assert read(location.format(root=shop), shop).startswith(b"\x89PNG")


OUTSIDE = [
    "../private/1.png", "images/../../private/1.png", "{root}/../private/1.png", "{root}-other/1.png", "out/1.png",
    "out.png", "/etc/shadow", "/etc/no such file", "/proc/kmsg", "/proc/self/environ", "/dev/zero", "/", "..",
]  # fmt: skip


@pytest.mark.parametrize("location", OUTSIDE)
def test_files_outside_are_not_whether_they_exist_or_not(shop: Path, location: str) -> None:
    with pytest.raises(ImageError, match="outside image_root") as caught:
        read(location.format(root=shop), shop)
    assert caught.value.message.startswith(f"the image lies outside image_root: {location.format(root=shop)}; ")


def test_a_root_may_itself_be_a_link(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shop)
    assert read("images/1.png", tmp_path / "link")
    assert read(str(shop / "images/1.png"), tmp_path / "link")


@pytest.mark.parametrize("location", ["../private/1.png", "{root}/../private/1.png", "out.png"])
def test_more_folders_can_be_allowed(shop: Path, tmp_path: Path, location: str) -> None:
    files.configure([tmp_path / "private"])
    assert read(location.format(root=shop), shop)
    with pytest.raises(ImageError, match="outside image_root"):
        read("../shop-other/1.png", shop)


def test_without_any_folder_no_file_is_read(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    for location in ("images/1.png", str(shop / "images/1.png")):
        with pytest.raises(ImageError, match="no image_root is set"):
            read(location)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("pipe.png", "not a regular file"), ("images", "not a regular file"), ("circle.png", "cannot be opened"),
        ("images/1.png/2.png", "cannot be opened: images/1.png/2.png, Not a directory"), ("none.png", "does not exist"),
        ("a\0b", "cannot be opened"), ("\ud800", "cannot be opened"), ("n" * 300, "cannot be opened"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused_at_once(shop: Path, location: str, reason: str) -> None:
    start = time.monotonic()
    with pytest.raises(ImageError, match=reason) as caught:
        read(location, shop)
    assert str(shop) not in caught.value.message
    assert time.monotonic() - start < 1


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="needs the right to read the kernel's log")
def test_a_file_that_blocks_does_not_make_the_run_wait() -> None:
    ended = threading.Event()

    def drain() -> None:
        for _ in range(3):  # the first reads may find messages
            try:
                files.read_file(ImageSource(location="/proc/kmsg"), LIMIT)
            except ImageError:
                break
        ended.set()

    threading.Thread(target=drain, daemon=True).start()
    assert ended.wait(10)


def test_a_link_that_changes_after_the_check(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between check and opening cannot be met from outside, so the opening itself changes the name."""
    real, victim = os.open, shop / "images" / "1.png"

    def swap(path: Path, flags: int) -> int:
        victim.unlink()
        victim.symlink_to(shop.parent / "private" / "shadow")
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(ImageError, match="outside image_root"):
        read("images/1.png", shop)


def test_too_large(shop: Path) -> None:
    with (shop / "big.png").open("wb") as stream:
        stream.truncate(LIMIT + 1)
    with pytest.raises(ImageError, match=r"too large: big\.png has 1,000,001 bytes"):
        read("big.png", shop)


def test_no_byte_of_a_file_is_in_a_reason(shop: Path) -> None:
    (shop / "shadow.png").write_text(SECRET)
    (shop / "chunk.png").write_bytes(b"\x89PNG\r\n\x1a\n" + SECRET.encode() * 9)
    (shop / "tail.png").write_bytes((shop / "images/1.png").read_bytes()[:40] + SECRET.encode() * 9)
    rows = [{"product_id": n, "title": "x", "image": n} for n in ("shadow.png", "chunk.png", "tail.png", "out/shadow")]
    (shop / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_catalogue(CatalogueFile(shop / "feed.jsonl"))
    assert report.broken_images == 4
    reasons = " ".join(rejection.reason for rejection in report.examples)
    assert not [SECRET[at : at + 4] for at in range(len(SECRET) - 3) if SECRET[at : at + 4] in reasons]


def test_a_product_keeps_the_catalogues_own_words(shop: Path) -> None:
    (shop / "feed.jsonl").write_text('{"product_id": "1", "image": "images/1.png"}\n')
    (product,) = CatalogueFile(shop / "feed.jsonl").products()
    assert product.image is not None
    assert product.image.location == "images/1.png"
    assert load_image(product.image).size == (24, 24)


@pytest.mark.parametrize("way", ["flag", "setting", "neither"])
def test_the_command_takes_more_folders(
    shop: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "feed.jsonl").write_text('{"product_id": "1", "title": "x", "image": "../private/1.png"}\n')
    monkeypatch.chdir(tmp_path)
    if way == "setting":
        # Relative to the settings' own folder.
        (shop / "clipita.toml").write_text('[catalogue]\nimage_roots = ["../private"]\n')
        more = ["--config", str(shop / "clipita.toml")]
    else:
        more = ["--image-roots", "private"] if way == "flag" else []
    run_guarded(group, ["catalogue", "check", str(shop / "feed.jsonl"), "--json", *more])
    assert json.loads(capsys.readouterr().out)["broken_images"] == (way == "neither")
