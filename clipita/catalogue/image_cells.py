"""Image cells as sources, one or several."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clipita.catalogue.cell_values import MAX_DEPTH, clean, parse_json_cell
from clipita.catalogue.product import ImageSource
from clipita.errors import ImageError, ProductError

MAX_LOCATION = 4096

NO_IMAGE = frozenset(("", "-", "n/a", "na", "none", "null", "nan", "no_selection", "no image", "no-image"))
"""Cells that shops write for no image, in lower case."""
BETWEEN_IMAGES = ("\n", "|", ";", ",", " ")
IMAGE_SUFFIX = r"\.(jpe?g|png|webp|gif|avif|bmp|tiff?)"
_LOCATION = re.compile(rf"(?i)(https?:)?//\S+$|\S+{IMAGE_SUFFIX}([?#]\S*)?$")
_DATA = re.compile(r"(?i)data:\S+$")


def image_sources(value: Any, column: str, most: int) -> tuple[tuple[ImageSource, ...], int]:
    """The images of a cell in its order, each once; locations are kept as written, `//host/x` with https: before it.

    One that cannot be an image (`ImageSource.problem`) keeps its place beside others.

    Args:
        value: null, bytes, a path, an http(s) URL, a base64 data: URI, {"bytes", "path"}, several of these in one text,
            or a list of any of them. Null and `NO_IMAGE` are no image.
        column: named in errors.
        most: how many are kept.

    Returns:
        The images, and how many more the cell has.

    Raises:
        ImageError: none of the images can be one.
    """
    kept: list[ImageSource] = []
    more = 0
    for source in _each(value, column):
        if source in kept:
            continue
        if len(kept) < most:
            kept.append(source)
        else:
            more += 1
    if kept and kept[0].problem and all(source.problem for source in kept):
        raise ImageError(kept[0].problem)
    return tuple(kept), more


def _each(value: Any, column: str, depth: int = 0) -> Iterator[ImageSource]:
    """The images of a cell one by one, so that no more than the kept ones are in memory."""
    match value:
        case None:
            return
        case bytes():
            if value:
                yield ImageSource(data=value)
            return
        case str():
            yield from _in_text(value, column, depth)
            return
        case Mapping() if "bytes" in value or "path" in value:
            data, path = value.get("bytes"), value.get("path")
            if isinstance(data, bytes) and data:
                yield ImageSource(data=data, location=path if isinstance(path, str) else None)
            elif data or not isinstance(path, str | None):
                yield _unusable(f"the image has no known form: {column} holds bytes or a path of a wrong type")
            else:
                yield from _each(path, column, depth)
            return
        case list() | tuple() if depth < MAX_DEPTH:
            for item in value:
                yield from _each(item, column, depth + 1)
            return
    yield _unusable(f"the image has no known form: {column} holds a {type(value).__name__}")


def _in_text(cell: str, column: str, depth: int) -> Iterator[ImageSource]:
    try:
        parsed = parse_json_cell(cell, list, column)
    except ProductError as error:
        yield _unusable(f"the image has no known form: {error.message}")
        return
    if not isinstance(parsed, str):
        yield from _each(parsed, column, depth + 1)
        return
    for location in _split(cell.strip()):
        if location.lower() not in NO_IMAGE:
            yield _of_location(location, column)


def _split(cell: str) -> list[str]:
    """Several locations in one cell, where each of them is a URL or an image file; else the cell."""
    for mark in BETWEEN_IMAGES:
        if mark not in cell:
            continue
        parts = [part.strip() for part in cell.split(mark)]
        if all(map(_stands_alone, parts)):
            return parts
    return [cell]


def _stands_alone(part: str) -> bool:
    # A longer text would keep the pattern busy for hours.
    is_location = len(part) <= MAX_LOCATION and _LOCATION.match(part) is not None
    return is_location or part.lower() in NO_IMAGE or _DATA.match(part) is not None


def _of_location(location: str, column: str) -> ImageSource:
    if location[:5].lower() == "data:":
        head, comma, body = location.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            return _unusable(f"the image is a data URI without base64: {column} is {location[:40]!r}")
        try:
            return ImageSource(data=base64.b64decode(re.sub(r"\s+", "", body), validate=True))
        except (binascii.Error, ValueError) as error:
            return _unusable(f"the image's data URI is not valid base64: {column}, {error}")
    location = f"https:{location}" if location.startswith("//") else location
    if len(location) > MAX_LOCATION:
        return _unusable(
            f"the image location is longer than {MAX_LOCATION} characters: {column} is {location[:40]!r}…; "
            "encoded bytes need the prefix 'data:image/jpeg;base64,'"
        )
    if clean(location) != location:
        return _unusable(f"the image location holds a NUL or half a surrogate pair: {location[:60]!r}")
    return ImageSource(location=location)


def _unusable(problem: str) -> ImageSource:
    return ImageSource(problem=problem)
