"""Colours of the sample shop: what attributes name, what parts are made of, and what stands behind a product."""

from __future__ import annotations

from random import Random
from typing import TypeAlias

RGB: TypeAlias = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "Black": (34, 34, 38),
    "White": (247, 247, 245),
    "Grey": (138, 141, 146),
    "Silver": (192, 196, 202),
    "Navy": (30, 42, 92),
    "Blue": (42, 104, 204),
    "Light Blue": (148, 196, 236),
    "Teal": (16, 132, 132),
    "Green": (48, 146, 72),
    "Olive": (112, 114, 56),
    "Yellow": (246, 208, 58),
    "Orange": (238, 128, 36),
    "Red": (210, 38, 46),
    "Maroon": (122, 24, 44),
    "Pink": (242, 150, 180),
    "Purple": (122, 68, 164),
    "Brown": (118, 74, 44),
    "Beige": (224, 204, 168),
    "Gold": (214, 172, 78),
    "Oak": (204, 164, 110),
    "Walnut": (98, 64, 44),
}

MATERIALS: dict[str, RGB] = {
    "ink": (28, 28, 32),
    "dark": (62, 62, 68),
    "white": (248, 248, 246),
    "metal": (178, 183, 190),
    "brass": (206, 168, 92),
    "wood": (186, 138, 88),
    "leaf": (70, 140, 76),
    "screen": (38, 48, 66),
    "rubber": (236, 234, 228),
    "gum": (176, 126, 78),
    "lamp": (255, 240, 196),
    "wax": (244, 236, 214),
    "stitch": (214, 166, 88),
}

_WALLS: list[RGB] = [
    (255, 255, 255), (250, 250, 250), (244, 244, 245), (238, 239, 241), (246, 241, 233),
    (233, 238, 243), (240, 234, 236), (234, 240, 233), (228, 228, 226), (250, 246, 238),
]  # fmt: skip
_WALLS_BEHIND_LIGHT: list[RGB] = [
    (214, 218, 222), (206, 204, 200), (220, 210, 198), (198, 210, 220), (224, 206, 206), (204, 214, 202),
]  # fmt: skip

_ACCENTS_OF_DARK = ["White", "Beige", "Yellow", "Light Blue", "Pink", "Silver", "Orange"]
_ACCENTS_OF_LIGHT = ["Navy", "Red", "Black", "Teal", "Green", "Purple", "Brown", "Blue"]


def luminance(colour: RGB) -> float:
    """Relative brightness in [0, 1] (ITU-R BT.601 weights)."""
    red, green, blue = colour
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def shifted(colour: RGB, factor: float) -> RGB:
    """Darker for a factor below 1; above 1, mixed with white by what exceeds 1."""
    if factor <= 1:
        return tuple(round(channel * factor) for channel in colour)  # type: ignore[return-value]
    return tuple(round(channel + (255 - channel) * (factor - 1)) for channel in colour)  # type: ignore[return-value]


def jittered(colour: RGB, random: Random) -> RGB:
    """One dye lot is not like the next: a little brighter or darker, a little to one side."""
    gain = random.uniform(0.92, 1.06)
    return tuple(  # type: ignore[return-value]
        max(0, min(255, round(channel * gain + random.uniform(-7, 7)))) for channel in colour
    )


def accent_for(colour: RGB, random: Random) -> RGB:
    """A second colour that stands out from the first."""
    names = _ACCENTS_OF_DARK if luminance(colour) < 0.5 else _ACCENTS_OF_LIGHT
    return COLOURS[random.choice(names)]


def background_for(colour: RGB, random: Random) -> RGB:
    """A light backdrop on which the product is seen."""
    return random.choice(_WALLS_BEHIND_LIGHT if luminance(colour) > 0.78 else _WALLS)
