"""Patterns: pictures of cloth in two colours, out of which the renderer cuts a product's main parts.

In every pattern the first colour covers well over half of the area, so that it stays the product's colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from clipita.catalogue.sample.palette import RGB, shifted

Grid: TypeAlias = NDArray[np.float32]
Weave: TypeAlias = Callable[[Image.Image, RGB, RGB, float, Random], None]


def pattern_image(name: str, size: int, main: RGB, accent: RGB, scale: float, random: Random) -> Image.Image:
    """A square picture of the pattern.

    Args:
        name: a key of PATTERNS, or `Plain`.
        size: edge in pixels.
        main: the colour that covers most.
        accent: the other colour.
        scale: 1 suits clothing; smaller gives a finer pattern.
        random: draws phase, angle and width.
    """
    cloth = Image.new("RGB", (size, size), main)
    if name != "Plain":
        PATTERNS[name](cloth, main, accent, scale, random)
    return cloth


def _grids(size: int) -> tuple[Grid, Grid]:
    axis = np.linspace(0, 1, size, dtype=np.float32)
    return axis[None, :], axis[:, None]


def _paste(cloth: Image.Image, colour: RGB, mask: NDArray[np.bool_]) -> None:
    cloth.paste(colour, mask=Image.fromarray(np.broadcast_to(mask, cloth.size).astype(np.uint8) * 255))


def _bands(along: Grid, count: float, share: float, random: Random) -> NDArray[np.bool_]:
    return (along * count + random.random()) % 1 < share


def _striped(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    x, y = _grids(cloth.width)
    angle = random.choice([0.0, 0.0, math.pi / 2, math.pi / 4])
    along = x * math.sin(angle) + y * math.cos(angle)
    _paste(cloth, accent, _bands(along, random.uniform(9, 15) / scale, random.uniform(0.25, 0.4), random))


def _checked(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    x, y = _grids(cloth.width)
    count, share = random.uniform(6, 10) / scale, random.uniform(0.22, 0.34)
    columns, rows = _bands(x, count, share, random), _bands(y, count, share, random)
    half: RGB = tuple((2 * m + a) // 3 for m, a in zip(main, accent, strict=True))  # type: ignore[assignment]
    _paste(cloth, half, columns | rows)
    _paste(cloth, accent, columns & rows)


def _dotted(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    x, y = _grids(cloth.width)
    count = random.uniform(8, 13) / scale
    u, v = (x + y) * count + random.random(), (x - y) * count + random.random()
    _paste(cloth, accent, (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < random.uniform(0.04, 0.075))


def _zigzag(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    x, y = _grids(cloth.width)
    teeth = random.uniform(8, 13) / scale
    wave = np.abs((x * teeth) % 1 - 0.5) / teeth
    _paste(cloth, accent, _bands(y + wave, teeth * 0.8, 0.33, random))


def _floral(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    draw = ImageDraw.Draw(cloth)
    step = cloth.width * random.uniform(0.1, 0.14) * scale
    leaf, heart = (74, 128, 70), shifted(accent, 0.65)
    cells = math.ceil(cloth.width / step)
    for cell in range(cells * cells):
        x = (cell % cells + random.uniform(0.25, 0.75) + (cell // cells % 2) * 0.3) * step
        y = (cell // cells + random.uniform(0.25, 0.75)) * step
        petal, turn = step * random.uniform(0.13, 0.2), random.uniform(0, 2)
        _disc(draw, x + 2.2 * petal * math.cos(turn + 0.6), y + 2.2 * petal * math.sin(turn + 0.6), petal * 0.8, leaf)
        for number in range(5):
            angle = turn + number * math.tau / 5
            _disc(draw, x + petal * math.cos(angle), y + petal * math.sin(angle), petal * 0.8, accent)
        _disc(draw, x, y, petal * 0.55, heart)


def _printed(cloth: Image.Image, main: RGB, accent: RGB, scale: float, random: Random) -> None:
    draw, middle = ImageDraw.Draw(cloth), cloth.width / 2
    radius = cloth.width * random.uniform(0.09, 0.13)
    corners = random.choice([0, 3, 4, 5, 6])
    x, y = middle + random.uniform(-4, 4), middle - cloth.width * random.uniform(-0.02, 0.06)
    if corners == 0:
        _disc(draw, x, y, radius, accent)
        _disc(draw, x, y, radius * 0.6, main)
        _disc(draw, x, y, radius * 0.35, accent)
        return
    reach = [radius * (1.15 if point % 2 == 0 else random.uniform(0.5, 0.7)) for point in range(corners * 2)]
    angles = [math.pi * point / corners - math.pi / 2 for point in range(corners * 2)]
    draw.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(reach, angles, strict=True)], fill=accent)
    for number in range(random.randint(0, 2)):
        top = y + radius * (1.3 + 0.35 * number)
        draw.rectangle((x - radius, top, x + radius, top + radius * 0.16), fill=accent)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: RGB) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


PATTERNS: dict[str, Weave] = {
    "Striped": _striped,
    "Checked": _checked,
    "Dotted": _dotted,
    "Zigzag": _zigzag,
    "Floral": _floral,
    "Printed": _printed,
}
