"""Images and texts as the towers read them; one implementation for training, export and serving.

The transforms are those of open_clip's `image_transform_v2` (inference) and tokenizers, without torch.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from clipita.errors import BundleError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_ASPECT = 32
"""Longer side to shorter side; what an even longer image shows beyond lies outside the frame anyway."""
MAX_TEXT = 20_000
"""Characters of a text that are read; the longest context of a tower holds a fraction of them."""

Resize = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True)
class ImageSpec:
    """How an image becomes pixels.

    Attributes:
        height: rows of the result.
        width: columns of the result.
        resize: `shortest` fills the frame and crops, `longest` fits inside and pads, `squash` stretches.
        interpolation: `bicubic` or `bilinear`.
        fill: grey value of the padding, 0-255.
        mean: a channel's mean after scaling to [0, 1]; applied inside the graph.
        std: a channel's standard deviation, likewise.
        reduced_jpeg: whether a JPEG far larger than the frame is decoded at a half, a quarter or an eighth of its
            size (libjpeg's scaled inverse transform), which costs a fraction and changes the vector hardly.
    """

    height: int
    width: int
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: int = 0
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    reduced_jpeg: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageSpec:
        """The spec of a manifest's entry."""
        return cls(**{**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])})


def decode_size(spec: ImageSpec) -> tuple[int, int] | None:
    """Width and height that a JPEG must keep when it is decoded at a reduced size; None: it is not reduced."""
    return (spec.width, spec.height) if spec.reduced_jpeg else None


def to_pixels(image: Image, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Resize and crop an image of mode RGB to uint8 [height, width, 3]."""
    from PIL.Image import Resampling

    resample = Resampling.BILINEAR if spec.interpolation == "bilinear" else Resampling.BICUBIC
    if spec.resize == "shortest":
        image = _middle(image)
    resized = image.resize(_resized_size(image, spec), resample)
    return _crop_or_pad(np.asarray(resized, dtype=np.uint8), spec)


def _middle(image: Image) -> Image:
    """The middle of an image that is longer than `MAX_ASPECT`: one of 1 x 60,000 pixels would be resized to 12 GB."""
    width, height = image.size
    across, down = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
    if (across, down) == (width, height):
        return image
    left, top = (width - across) // 2, (height - down) // 2
    return image.crop((left, top, left + across, top + down))


def _resized_size(image: Image, spec: ImageSpec) -> tuple[int, int]:
    width, height = image.size
    if spec.resize == "squash":
        return spec.width, spec.height
    if spec.resize == "shortest" and spec.width == spec.height:
        # torchvision's Resize with one number truncates the longer side.
        if width <= height:
            return spec.width, max(1, int(spec.width * height / width))
        return max(1, int(spec.height * width / height)), spec.height
    ratios = (height / spec.height, width / spec.width)
    ratio = max(ratios) if spec.resize == "longest" else min(ratios)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _crop_or_pad(pixels: npt.NDArray[np.uint8], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    rows, columns = max(0, spec.height - height), max(0, spec.width - width)
    if rows or columns:
        margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
        pixels = np.pad(pixels, margins, constant_values=spec.fill)
        height, width = pixels.shape[:2]
    top, left = round((height - spec.height) / 2.0), round((width - spec.width) / 2.0)
    return np.ascontiguousarray(pixels[top : top + spec.height, left : left + spec.width])


def _repair(text: str) -> str:
    """Repair mojibake and HTML entities, and collapse white space."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split())
    import ftfy  # a tenth of a query's start, and most queries need no repair

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _canonical(text: str) -> str:
    bare = _repair(text).replace("_", " ").translate(str.maketrans("", "", string.punctuation))
    return " ".join(bare.lower().split())


CLEANERS: Mapping[str, Callable[[str], str]] = {
    "lower": lambda text: _repair(text).lower(),
    "whitespace": _repair,
    "canonicalize": _canonical,
}
"""Text cleaning by the names that open_clip's tokenizers use."""


@dataclass(frozen=True)
class TextSpec:
    """How a text becomes token ids.

    Attributes:
        clean: a key of CLEANERS.
        context_length: the most tokens the tower takes, special ones included.
        pad_id: fills the shorter rows of a batch.
        pad_to: `longest` where the tower ignores padding (a causal or masked one), else `context`.
    """

    clean: Literal["lower", "whitespace", "canonicalize"]
    context_length: int
    pad_id: int
    pad_to: Literal["longest", "context"]


class Tokenizer:
    """Texts to token ids, with the `tokenizers` library alone; the definition is the text of a tokenizer.json."""

    def __init__(self, definition: str, spec: TextSpec) -> None:
        from tokenizers import Tokenizer as Backend

        self.definition = definition
        self.spec = spec
        self._clean = CLEANERS[spec.clean]
        self._backend = Backend.from_str(definition)
        self._backend.enable_truncation(max_length=spec.context_length)
        self._backend.no_padding()

    @classmethod
    def load(cls, file: Path, spec: TextSpec) -> Tokenizer:
        """Read a bundle's tokenizer.json.

        Raises:
            BundleError: the installed `tokenizers` cannot read it.
        """
        try:
            return cls(file.read_text(encoding="utf-8"), spec)
        except Exception as error:  # the Rust side raises a bare Exception
            raise BundleError(
                f"{file} cannot be read as a tokenizer: {error}.",
                hint="Upgrade the package tokenizers, or export the model again.",
            ) from error

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids, int64 [len(texts), L]; L is the longest text's number of tokens, or the context length."""
        return self.pad(self.rows(texts))

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, truncated and not padded."""
        # A lone surrogate cannot be handed to the Rust side; U+FFFD stands for it.
        clean = [self._clean(text[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")) for text in texts]
        return [encoding.ids for encoding in self._backend.encode_batch(clean)]

    def pad(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
        """Rows as one array, int64 [len(rows), L], as `__call__` gives it."""
        length = self.spec.context_length if self.spec.pad_to == "context" else max(map(len, rows), default=1)
        ids = np.full((len(rows), max(1, length)), self.spec.pad_id, dtype=np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
        return ids
