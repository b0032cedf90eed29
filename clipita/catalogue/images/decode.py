"""Safe decoding: bytes, a file or a URL become RGB pixels, or an ImageError.

Catalogues contain truncated files, HTML error pages named .jpg, and images that unpack to gigabytes. Formats are an
allow-list, size is checked before anything is decoded, and whatever a decoder raises becomes an ImageError.
"""

from __future__ import annotations

import ctypes
import functools
import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from clipita.catalogue.images.download import download, shown
from clipita.catalogue.images.files import read_file
from clipita.catalogue.product import ImageSource
from clipita.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

MAX_BYTES = 20 * 10**6
MAX_PIXELS = 50 * 10**6
MAX_SIDE = 65_535
"""Pixels; the limit of JPEG. Pillow keeps two pointers per row, which of a tall and narrow image take gigabytes."""
MAX_STRETCH = 0.002
LARGE = 4 * 2**20
"""Pixels beyond which images are decoded one at a time."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""AVIF only where Pillow was built with it."""

_ORIENTATION = 0x0112
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def load_image(source: ImageSource, at_least: tuple[int, int] | None = None) -> Image:
    """The image as 8-bit RGB, upright (EXIF orientation applied), alpha laid over white.

    Animations and multi-page files give their first frame. 16-bit grey is scaled to 8 bits; colour profiles are not
    applied. Safe to call from several threads.

    Args:
        source: bytes, or else a file path or http(s) URL.
        at_least: width and height that suffice: a larger JPEG is decoded at a half, a quarter or an eighth of its
            size (libjpeg's scaled decoding), the smallest that still covers them, at a fraction of the cost.

    Raises:
        ImageError: no such file, a URL that gives no image, more than `MAX_BYTES`, `MAX_PIXELS` or `MAX_SIDE`, not one
            of `FORMATS`, truncated or damaged.
    """
    with _refused(source), ExitStack() as stack:
        return _decoded(source, at_least, stack)


@contextmanager
def opened_image(source: ImageSource, at_least: tuple[int, int] | None = None) -> Iterator[Image]:
    """The image of `load_image` for a while; whatever fails in the body is this image's error too.

    Raises:
        ImageError: as `load_image`, or an error of any type in the body.
    """
    with _refused(source), ExitStack() as stack:
        image = _decoded(source, at_least, stack)
        # Before the memory of a large one is given back.
        stack.callback(image.close)
        yield image


def pixels_of(source: ImageSource) -> int:
    """Pixels of an image that is given as bytes, by its header alone; 0 where the header cannot be read."""
    import PIL.Image

    try:
        with _quiet_pillow, PIL.Image.open(io.BytesIO(source.data or b""), formats=_formats()) as image:
            return int(image.width * image.height)
    except Exception:  # noqa: BLE001 - decoding says what is wrong
        return 0


@contextmanager
def _refused(source: ImageSource) -> Iterator[None]:
    """Make whatever fails an error of this image: on hostile bytes Pillow raises nearly any type."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        # Not in the error's own words: those of Pillow may quote the file.
        raise ImageError(f"the image cannot be decoded: {_name(source)} is damaged ({type(error).__name__})") from error


def _encoded(source: ImageSource) -> bytes:
    if source.problem is not None:
        raise ImageError(source.problem)
    if source.data is not None:
        data = source.data
    elif not source.location:
        raise ImageError("the image is missing: neither bytes nor a location")
    elif scheme := _SCHEME.match(source.location):
        if scheme[1].lower() not in {"http", "https"}:
            raise ImageError(f"the image's location is not an http(s) URL: {shown(source.location)}")
        data = download(source.location, MAX_BYTES)
    else:
        data = read_file(source, MAX_BYTES)
    if not data:
        raise ImageError(f"the image is empty: {_name(source)}")
    if len(data) > MAX_BYTES:
        raise ImageError(f"the image is too large: {_name(source)} has {len(data):,} bytes, the limit is {MAX_BYTES:,}")
    return data


def _decoded(source: ImageSource, at_least: tuple[int, int] | None, stack: ExitStack) -> Image:
    data = _encoded(source)
    with _quiet_pillow:
        return _upright(data, _name(source), at_least, stack)


def _upright(data: bytes, name: str, at_least: tuple[int, int] | None, stack: ExitStack) -> Image:
    import PIL.Image

    try:
        image: Image = PIL.Image.open(io.BytesIO(data), formats=_formats())
    except PIL.UnidentifiedImageError:
        raise ImageError(
            f"the image is not of a known format: {name}{_guess(data)}; known are {', '.join(_formats())}"
        ) from None
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"the image has too many pixels: {name}, {error}") from None
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"the image has too many pixels: {name} is {width:,} x {height:,}, the limit is {MAX_PIXELS:,}"
            )
        if max(width, height) > MAX_SIDE:
            raise ImageError(
                f"the image is too long: {name} is {width:,} x {height:,}, the limit of a side is {MAX_SIDE:,}"
            )
        if at_least is not None and image.format == "JPEG":
            _reduce(image, max(at_least))  # of both sides: the EXIF orientation may still swap them
        if image.width * image.height > LARGE:
            stack.enter_context(_one_large_image())
        image.load()
        turn = _turn(image)
        rgb = _rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


_large_image = threading.Lock()


@contextmanager
def _one_large_image() -> Iterator[None]:
    """Decode one large image at a time in this process: each may take 500 MB, which are given back."""
    with _large_image:
        try:
            yield
        finally:
            # Otherwise the C library keeps freed memory for the thread that asked for it.
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)


def _guess(data: bytes) -> str:
    """What a file that is no image may be; never its bytes, which may be somebody's secret."""
    return " looks like a web page" if data.lstrip()[:1] == b"<" else ""


def _reduce(image: Image, side: int) -> None:
    """Let libjpeg decode at an eighth, a quarter or a half, where both sides keep `side` pixels.

    libjpeg rounds a side up; a scale that stretches the image by more than `MAX_STRETCH` is skipped.
    """
    width, height = image.size
    for scale in (8, 4, 2):
        stretch = max(-length % scale / length for length in (width, height))
        if min(width, height) >= side * scale and stretch <= MAX_STRETCH:
            image.draft(None, (width // scale, height // scale))
            return


def _rgb(image: Image) -> Image:
    """Any mode as RGB; a large image in strips, so that no second copy of it exists in a third mode."""
    import PIL.Image

    if image.mode == "RGB" and not image.has_transparency_data:
        # Converting to the same mode would copy the image.
        return image
    width, height = image.size
    if width * height <= LARGE:
        return _converted(image, image.format)
    result = PIL.Image.new("RGB", image.size)
    step = max(1, LARGE // (4 * width))
    for top in range(0, height, step):
        strip = image.crop((0, top, width, min(top + step, height)))
        result.paste(_converted(strip, image.format), (0, top))
    return result


def _converted(image: Image, format_: str | None) -> Image:
    import PIL.Image

    if image.mode.startswith("I;16") or (image.mode == "I" and format_ == "PNG"):
        import numpy as np

        # Pillow's own conversion clips 16-bit grey at 255, which turns nearly all of it white.
        values = np.asarray(image).clip(0, 65535) >> 8
        return PIL.Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ImageError(f"the image has 32 bits per pixel, which have no defined brightness: {format_}")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = PIL.Image.new("RGBA", layer.size, "white")
        return PIL.Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _turn(image: Image) -> Transpose | None:
    """What undoes the camera's rotation (EXIF 2.32, tag 0x0112)."""
    from PIL.Image import Transpose

    try:
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about rotation
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)


@functools.cache
def _formats() -> tuple[str, ...]:
    import PIL.Image
    from PIL import features

    PIL.Image.init()
    usable = [name for name in FORMATS if name in PIL.Image.OPEN]
    return tuple(name for name in usable if name != "AVIF" or features.check("avif"))


def _name(source: ImageSource) -> str:
    return shown(source.location) if source.location else "its bytes"


class _QuietPillow:
    """Silences Pillow's warnings (oversized images, odd tags) while any thread decodes.

    `warnings.catch_warnings` swaps the process's filters and restores them, which goes wrong when threads overlap; so
    the first thread in swaps them and the last one out restores them. Our own, lower limit refuses oversized images.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._swap: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._swap = warnings.catch_warnings()
                self._swap.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._swap.__exit__(None, None, None)


_quiet_pillow = _QuietPillow()
