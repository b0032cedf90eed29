"""Our pictures against open_clip's own transform: the same pixels wherever a user would expect the same picture."""

from __future__ import annotations

import io
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import pytest
from PIL import Image, features

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import ImageSource
from clipita.runtime.preprocess import ImageSpec, decode_size, to_pixels

Pixels = npt.NDArray[np.float64]
SIZE = 64


def photo(width: int, height: int) -> Image.Image:
    """Smooth shapes with some texture, like a product before a plain ground; seeded."""
    y, x = np.mgrid[0:height, 0:width]
    chance = np.random.default_rng(width * 10_007 + height)
    waves = [127 + 90 * np.sin(x / (9 + 5 * c) + c) * np.cos(y / (13 - 3 * c)) for c in range(3)]
    texture = chance.normal(0, 6, (height, width, 3))
    inside = ((x - width / 2) / (width / 2.5)) ** 2 + ((y - height / 2) / (height / 2.5)) ** 2 < 1
    pixels = np.where(inside[..., None], np.stack(waves, axis=-1) + texture, 250)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def ours(data: bytes, spec: ImageSpec) -> Pixels:
    pixels = to_pixels(load_image(ImageSource(data), at_least=decode_size(spec)), spec)
    assert pixels.shape == (spec.height, spec.width, 3)
    return (pixels / 255.0 - np.array(spec.mean)) / np.array(spec.std)


def theirs(image: Image.Image, spec: ImageSpec) -> Pixels:
    """open_clip.transform.image_transform_v2, as its create_model_and_transforms gives it to a user."""
    config = open_clip.transform.PreprocessCfg(
        size=(spec.height, spec.width),
        mode="RGB",
        mean=spec.mean,
        std=spec.std,
        interpolation=spec.interpolation,
        resize_mode=spec.resize,
        fill_color=spec.fill,
    )
    tensor = open_clip.transform.image_transform_v2(config, is_train=False)(image)
    return np.moveaxis(tensor.numpy().astype(np.float64), 0, -1)


def cosine(left: Pixels, right: Pixels) -> float:
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))


def agree(data: bytes, image: Image.Image, spec: ImageSpec, step: float = 1.0) -> None:
    """Equal to `step` of 255 levels a channel."""
    left, right = ours(data, spec), theirs(image, spec)
    assert cosine(left, right) > 0.99999
    assert np.abs((left - right) * np.array(spec.std) * 255).max() <= step + 1e-3


SIZES = [(1, 1), (1, 300), (300, 1), (60, 80), (64, 64), (65, 63), (200, 131), (131, 200), (640, 480)]


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 65_000)])
@pytest.mark.parametrize("frame", [(224, 224), (64, 32)])
def test_an_image_far_longer_than_wide_takes_little_memory(size: tuple[int, int], frame: tuple[int, int]) -> None:
    spec = ImageSpec(*frame)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert to_pixels(Image.new("RGB", size, "red"), spec).tolist() == [[[255, 0, 0]] * spec.width] * spec.height
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_every_way_into_the_frame(size: tuple[int, int], resize: Any, interpolation: Any) -> None:
    image, spec = photo(*size), ImageSpec(SIZE, SIZE, resize, interpolation, fill=17)
    if resize == "longest" and min(size) == 1 < max(size):  # open_clip itself fails: a side of 0 pixels
        assert np.isfinite(ours(encoded(image, "PNG"), spec)).all()
    else:
        agree(encoded(image, "PNG"), image, spec)


@pytest.mark.parametrize("size", [(60, 80), (200, 131), (640, 480)])
@pytest.mark.parametrize("frame", [(48, 64), (64, 48)])
@pytest.mark.parametrize("resize", ["longest", "squash", "shortest"])
def test_frames_that_are_not_square(size: tuple[int, int], frame: tuple[int, int], resize: Any) -> None:
    image = photo(*size)
    agree(encoded(image, "PNG"), image, ImageSpec(*frame, resize))


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 40, "subsampling": 2}, {"progressive": True}])
def test_jpeg(options: dict[str, Any]) -> None:
    data = encoded(photo(200, 150), "JPEG", **options)
    agree(data, Image.open(io.BytesIO(data)), ImageSpec(SIZE, SIZE))


def test_cmyk_jpeg() -> None:
    data = encoded(photo(200, 150).convert("CMYK"), "JPEG")
    agree(data, Image.open(io.BytesIO(data)).convert("RGB"), ImageSpec(SIZE, SIZE))


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_and_palettes(mode: str) -> None:
    data = encoded(photo(200, 150).convert(mode), "PNG")
    agree(data, Image.open(io.BytesIO(data)).convert("RGB"), ImageSpec(SIZE, SIZE))


def test_16_bit_grey_keeps_its_brightness() -> None:
    """open_clip's own conversion clips at 255 and gives a white picture; ours is what the file shows."""
    grey = np.asarray(photo(200, 150).convert("L"))
    data = encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    agree(data, Image.fromarray(grey).convert("RGB"), ImageSpec(SIZE, SIZE))


def test_alpha_lies_over_white() -> None:
    image = photo(200, 150).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    ground = Image.new("RGBA", image.size, "white")
    agree(encoded(image, "PNG"), Image.alpha_composite(ground, image).convert("RGB"), ImageSpec(SIZE, SIZE))


TURNS: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.rotate(180),
    6: lambda image: image.rotate(90, expand=True),
    8: lambda image: image.rotate(-90, expand=True),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("reduced", [False, True])
def test_exif_rotation_is_undone(orientation: int, reduced: bool) -> None:
    upright = photo(160, 120)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(TURNS[orientation](upright), "JPEG", quality=95, exif=exif)
    spec = ImageSpec(SIZE, SIZE, "squash", reduced_jpeg=reduced)
    assert cosine(ours(data, spec), theirs(upright, spec)) > 0.995


def test_an_animation_is_its_first_frame() -> None:
    first, second = photo(100, 80), photo(80, 100).resize((100, 80))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    agree(data, Image.open(io.BytesIO(data)).convert("RGB"), ImageSpec(SIZE, SIZE))
    assert cosine(ours(data, ImageSpec(SIZE, SIZE)), theirs(second, ImageSpec(SIZE, SIZE))) < 0.99


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 60}])
def test_webp(options: dict[str, Any]) -> None:
    data = encoded(photo(200, 150), "WEBP", **options)
    agree(data, Image.open(io.BytesIO(data)).convert("RGB"), ImageSpec(SIZE, SIZE))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif() -> None:
    data = encoded(photo(200, 150), "AVIF", quality=80)
    agree(data, Image.open(io.BytesIO(data)).convert("RGB"), ImageSpec(SIZE, SIZE))


@pytest.mark.parametrize("size", [(1000, 1000), (1000, 700), (700, 1000), (260, 2000), (500, 500), (130, 130)])
@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
def test_reduced_jpegs_look_the_same(size: tuple[int, int], resize: Any) -> None:
    data = encoded(photo(*size), "JPEG", quality=90)
    spec = ImageSpec(SIZE, SIZE, resize, reduced_jpeg=True)
    assert cosine(ours(data, spec), theirs(Image.open(io.BytesIO(data)), spec)) > 0.999


def test_a_reduced_jpeg_is_really_reduced_and_still_covers_the_frame() -> None:
    data = encoded(photo(1000, 700), "JPEG")
    assert load_image(ImageSource(data)).size == (1000, 700)
    small = load_image(ImageSource(data), at_least=(224, 224)).size
    assert small[0] < 1000
    assert min(small) >= 224
    assert load_image(ImageSource(encoded(photo(1000, 700), "PNG")), at_least=(224, 224)).size == (1000, 700)
