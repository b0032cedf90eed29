from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import features

from clipita.catalogue import ImageSource, load_image
from clipita.catalogue.images import decode as images
from clipita.errors import ImageError

RED = (200, 30, 40)


def encoded(picture: PIL.Image.Image, format_: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format_, **options)
    return stream.getvalue()


def plain(size: tuple[int, int] = (40, 30), colour: Any = RED, mode: str = "RGB") -> PIL.Image.Image:
    return PIL.Image.new(mode, size, colour)


def corner(picture: PIL.Image.Image) -> tuple[int, ...]:
    pixel = picture.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def load(data: bytes) -> PIL.Image.Image:
    return load_image(ImageSource(data=data))


def bomb(width: int, height: int) -> bytes:
    """A valid 1-bit grey PNG of any size, in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class TestFormats:
    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
    def test_rgb_of_the_right_colour(self, format_: str) -> None:
        if format_ == "AVIF" and not features.check("avif"):
            pytest.skip("this Pillow was built without AVIF")
        picture = load(encoded(plain(), format_))
        assert (picture.mode, picture.size) == ("RGB", (40, 30))
        assert np.abs(np.asarray(picture).astype(int) - RED).max() <= 6

    def test_animation_gives_its_first_frame(self) -> None:
        data = encoded(plain(), "GIF", save_all=True, append_images=[plain(colour=(0, 255, 0))])
        assert np.abs(np.array(corner(load(data))) - RED).max() <= 6

    def test_alpha_lies_over_white(self) -> None:
        assert corner(load(encoded(plain(colour=(0, 0, 0, 0), mode="RGBA"), "PNG"))) == (255, 255, 255)
        assert corner(load(encoded(plain(colour=(0, 0, 0, 127), mode="RGBA"), "PNG"))) == (128, 128, 128)
        assert corner(load(encoded(plain(colour=(0, 0), mode="LA"), "PNG"))) == (255, 255, 255)

    def test_palette_with_a_transparent_colour(self) -> None:
        picture = plain(colour=0, mode="P")
        picture.putpalette([*RED, 0, 0, 0])
        assert corner(load(encoded(picture, "PNG"))) == RED
        assert corner(load(encoded(picture, "PNG", transparency=0))) == (255, 255, 255)

    def test_cmyk(self) -> None:
        assert corner(load(encoded(plain(colour=(0, 0, 0, 0), mode="CMYK"), "JPEG"))) == (255, 255, 255)

    @pytest.mark.parametrize("format_", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled(self, format_: str) -> None:
        values = np.full((4, 4), 0x8000, np.uint16)
        assert corner(load(encoded(PIL.Image.fromarray(values), format_))) == (128, 128, 128)

    def test_float_tiff_is_refused(self) -> None:
        with pytest.raises(ImageError, match="32 bits"):
            load(encoded(PIL.Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))

    @pytest.mark.parametrize(
        ("orientation", "corner_colour", "size"),
        [
            (1, RED, (40, 30)),
            (3, (0, 0, 0), (40, 30)),
            (6, (0, 0, 0), (30, 40)),
            (8, (0, 0, 0), (30, 40)),
            (5, RED, (30, 40)),
        ],
    )
    def test_exif_rotation(self, orientation: int, corner_colour: tuple[int, ...], size: tuple[int, int]) -> None:
        picture = plain(colour=(0, 0, 0))
        picture.paste(RED, (0, 0, 10, 10))
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        loaded = load(encoded(picture, "PNG", exif=exif))
        assert loaded.size == size
        assert corner(loaded) == corner_colour
        marked = {6: (size[0] - 1, 0), 8: (0, size[1] - 1), 3: (size[0] - 1, size[1] - 1)}.get(orientation, (0, 0))
        assert loaded.getpixel(marked) == RED

    def test_garbled_exif_costs_only_the_rotation(self) -> None:
        data = encoded(plain(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
        assert load(data).size == (40, 30)


class TestLargeImages:
    MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("transparency", [None, 3])
    def test_strips_are_the_whole(self, mode: str, transparency: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (90, 70, 4), np.uint8)
        picture = PIL.Image.fromarray(noise)
        if mode == "I;16":
            picture = PIL.Image.fromarray(noise[..., :2].copy().view(np.uint16)[..., 0])
        elif mode == "P":
            picture = picture.convert("RGB").quantize(16)
        elif mode != "RGBA":
            picture = picture.convert("RGBA" if mode == "LA" else "RGB").convert(mode)
        known = {} if transparency is None or mode not in {"P", "L"} else {"transparency": transparency}
        data = encoded(picture, "PNG", **known)
        whole = np.asarray(load(data))
        monkeypatch.setattr(images, "LARGE", 500)
        np.testing.assert_array_equal(np.asarray(load(data)), whole)

    def test_they_are_decoded_one_at_a_time_and_their_memory_is_given_back(self) -> None:
        code = (
            "import io, re, PIL.Image\nfrom concurrent.futures import ThreadPoolExecutor\n"
            "from pathlib import Path\nfrom clipita.catalogue import ImageSource\n"
            "from clipita.catalogue.images.decode import opened_image\n"
            "stream = io.BytesIO(); PIL.Image.new('RGBA', (7000, 7000)).save(stream, 'PNG')\n"
            "def use(_):\n with opened_image(ImageSource(stream.getvalue())) as image: image.resize((224, 224))\n"
            "with ThreadPoolExecutor(8) as pool: list(pool.map(use, range(8)))\n"
            # Not the resource module: its peak is that of the parent process, too.
            "status = Path('/proc/self/status').read_text()\n"
            "print(*(int(re.search(name + r':\\s+(\\d+)', status)[1]) // 1024 for name in ('VmHWM', 'VmRSS')))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peak, after = map(int, done.stdout.split())
        assert peak < 900
        assert after < 200


class TestRefusals:
    @pytest.mark.parametrize("size", [(20_000, 20_000), (12_000, 10_000), (8_000, 7_000)])
    def test_bomb_is_refused_unopened(
        self, tmp_path: Path, size: tuple[int, int], recwarn: pytest.WarningsRecorder
    ) -> None:
        file = tmp_path / "bomb.png"
        file.write_bytes(bomb(*size))
        assert file.stat().st_size < 200_000
        tracemalloc.start()
        try:
            with pytest.raises(ImageError, match="too many pixels"):
                load_image(ImageSource(location=str(file)))
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()
        assert not recwarn.list

    @pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
    def test_too_long(self, size: tuple[int, int]) -> None:
        with pytest.raises(ImageError, match="too long"):
            load(bomb(*size))

    def test_an_error_of_any_type_while_it_is_used(self) -> None:
        with (
            pytest.raises(ImageError, match=r"cannot be decoded: its bytes is damaged \(OverflowError\)"),
            images.opened_image(ImageSource(encoded(plain(), "PNG"))),
        ):
            raise OverflowError("too wide")

    def test_the_bomb_is_a_real_picture(self) -> None:
        assert load(bomb(800, 700)).size == (800, 700)

    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
    def test_truncated(self, format_: str) -> None:
        noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
        data = encoded(noise, format_)
        with pytest.raises(ImageError, match=r"cannot be decoded|not of a known format"):
            load(data[: len(data) // 2])

    def test_text_named_jpg(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_text("<html>404</html>")
        with pytest.raises(ImageError, match=r"not of a known format: .*a\.jpg looks like a web page; known"):
            load_image(ImageSource(location=str(tmp_path / "a.jpg")))

    def test_formats_beyond_the_list(self) -> None:
        for format_ in ("PPM", "ICO", "EPS"):
            with pytest.raises(ImageError, match="not of a known format"):
                load(encoded(plain(), format_))

    def test_places(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jpg").touch()
        os.mkfifo(tmp_path / "pipe.jpg")
        for location, reason in [
            (tmp_path / "none.jpg", "does not exist"),
            (tmp_path, "not a regular file"),
            (tmp_path / "pipe.jpg", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (tmp_path / "empty.jpg", "empty"),
            (tmp_path / "empty.jpg/1.jpg", "cannot be opened"),
            ("nul\0.jpg", "cannot be opened"),
            ("file:///etc/hostname", "not an http"),
            ("ftp://shop/1.jpg", "not an http"),
            ("", "missing"),
        ]:
            with pytest.raises(ImageError, match=reason):
                load_image(ImageSource(location=str(location)))
        with pytest.raises(ImageError, match="missing"):
            load_image(ImageSource())

    def test_too_many_bytes(self, tmp_path: Path) -> None:
        file = tmp_path / "big.jpg"
        with file.open("wb") as stream:
            stream.truncate(images.MAX_BYTES + 1)
        with pytest.raises(ImageError, match="too large"):
            load_image(ImageSource(location=str(file)))
        with pytest.raises(ImageError, match="too large"):
            load(b"\xff" * (images.MAX_BYTES + 1))


_SEEDS = {
    name: encoded(PIL.Image.fromarray(np.arange(24 * 24 * 3, dtype=np.uint8).reshape(24, 24, 3)), name)
    for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
}


class TestHostileBytes:
    @settings(max_examples=300, deadline=None)
    @given(
        name=st.sampled_from(sorted(_SEEDS)),
        edits=st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=8),
        cut=st.integers(0, 4000),
    )
    def test_only_image_errors(self, name: str, edits: list[tuple[int, bytes]], cut: int) -> None:
        data = bytearray(_SEEDS[name])
        for position, piece in edits:
            start = position % len(data)
            data[start : start + len(piece)] = piece
        if cut % 3 == 0:
            del data[cut % len(data) :]
        with warnings.catch_warnings(record=True) as leaked, contextlib.suppress(ImageError):
            warnings.simplefilter("always")
            picture = load(bytes(data))
            assert picture.mode == "RGB"
            assert picture.width * picture.height <= images.MAX_PIXELS
        assert not leaked

    def test_threads_leave_the_warning_filters_as_they_were(self) -> None:
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as threads:
            sizes = {picture.size for picture in threads.map(load, [_SEEDS["JPEG"], _SEEDS["PNG"]] * 100)}
        assert sizes == {(24, 24)}
        assert list(warnings.filters) == before
