"""From a drawing to a picture: pose it, paint it at twice the size, light it, and set it before a backdrop."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from clipita.catalogue.sample.palette import MATERIALS, RGB, accent_for, background_for, jittered, shifted
from clipita.catalogue.sample.patterns import pattern_image
from clipita.catalogue.sample.shapes import Choice, Drawing, Knob, Part, Points

EDGE = 160
"""Width and height of a picture in pixels."""

_SUPERSAMPLING = 2
_CANVAS = EDGE * _SUPERSAMPLING
_COARSE = 40
"""Light, shadow and backdrop are smooth: they are worked out on a coarse grid of this edge."""

_QUALITY = 88
_SUFFIXES = {"": 1.0, "-": 0.8, "--": 0.58, "+": 1.28}
_TRANSLUCENT = 165

Coarse: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture shows besides the shape: the main colour and the pattern's name."""

    colour: RGB
    pattern: str = "Plain"


def render_jpeg(drawing: Drawing, look: Look, random: Random) -> bytes:
    """Draw one product picture; the same arguments give the same bytes.

    Args:
        drawing: the category's shape.
        look: colour and pattern.
        random: pose, proportions, dye, light and backdrop.

    Returns:
        A JPEG file of EDGE x EDGE pixels.
    """
    main = jittered(look.colour, random)
    accent = jittered(accent_for(main, random), random)
    parts, scale = _posed(drawing, random)
    cloth = None
    if look.pattern != "Plain":
        cloth = pattern_image(look.pattern, _CANVAS, main, accent, drawing.scale, random)
    canvas, mask = _painted(parts, scale, {**MATERIALS, "main": main, "accent": accent}, cloth)
    picture = _lit(canvas, mask, drawing, background_for(main, random), random)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _posed(drawing: Drawing, random: Random) -> tuple[list[Part], float]:
    """Choose the parts, vary the proportions, and fit the drawing to the canvas; also pixels per unit."""
    parts: list[Part] = []
    for item in drawing.parts:
        parts.extend(random.choice(item.groups) if isinstance(item, Choice) else (item,))
    points = np.concatenate([part.points for part in parts])
    for knob in drawing.knobs:
        points = _turned(points, knob, random.uniform(knob.low, knob.high))
    points = points * (random.uniform(0.93, 1.07), random.uniform(0.95, 1.05))
    if drawing.flip and random.random() < 0.5:
        points = points * (-1.0, 1.0)
    angle = math.radians(random.gauss(0, 0.5) * drawing.tilt)
    cosine, sine = math.cos(angle), math.sin(angle)
    points = points @ np.array([[cosine, sine], [-sine, cosine]])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = _CANVAS * random.uniform(0.72, 0.88) / float((high - low).max() + 0.06)
    shift = np.array([random.gauss(0, 0.012), random.gauss(0, 0.012)]) * _CANVAS
    points = (points - (low + high) / 2) * scale + _CANVAS / 2 + shift
    bounds = np.cumsum([len(part.points) for part in parts])[:-1]
    placed = np.split(points, bounds)
    return [Part(part.paint, xy, part.width, part.closed) for part, xy in zip(parts, placed, strict=True)], scale


def _turned(points: Points, knob: Knob, value: float) -> Points:
    x, y = points[:, 0], points[:, 1]
    if knob.kind == "y":
        return np.stack([x, np.where(y > knob.pivot, knob.pivot + (y - knob.pivot) * value, y)], axis=1)
    if knob.kind == "x":
        reach = np.abs(x)
        wide = np.sign(x) * (knob.pivot + (reach - knob.pivot) * value)
        return np.stack([np.where(reach > knob.pivot, wide, x), y], axis=1)
    return np.stack([x * (1 + value * np.maximum(y - knob.pivot, 0)), y], axis=1)


def _painted(
    parts: list[Part], scale: float, colours: dict[str, RGB], cloth: Image.Image | None
) -> tuple[Image.Image, Image.Image]:
    """The flat-coloured object and its coverage mask, both at canvas size."""
    # The canvas starts in the main colour, so that scaling down leaves no halo of another colour around the object.
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), colours["main"])
    mask = Image.new("L", (_CANVAS, _CANVAS), 0)
    pencil, stencil = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    edge = max(2, round(0.012 * scale))
    for part in parts:
        name = part.paint.rstrip("-+~")
        suffix = part.paint[len(name) :]
        opacity = _TRANSLUCENT if suffix == "~" else 255
        colour = shifted(colours[name], _SUFFIXES["" if suffix == "~" else suffix])
        flat = part.points.ravel().tolist()
        if part.width > 0:
            width = max(2, round(part.width * scale))
            for draw, fill in ((pencil, colour), (stencil, 255)):
                _stroke(draw, flat, fill, width, part.closed)
            continue
        if part.paint == "main" and cloth is not None:
            _cut(canvas, cloth, part.points)
        else:
            pencil.polygon(flat, fill=colour)
        stencil.polygon(flat, fill=opacity)
        pencil.line(flat + flat[:2], fill=shifted(colour, 0.76), width=edge)
    return canvas, mask


def _stroke(draw: ImageDraw.ImageDraw, flat: list[float], fill: RGB | int, width: int, closed: bool) -> None:
    draw.line(flat + flat[:4] if closed else flat, fill=fill, width=width, joint="curve")
    if not closed:
        for x, y in (flat[:2], flat[-2:]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=fill)


def _cut(canvas: Image.Image, cloth: Image.Image, points: Points) -> None:
    left, top = (max(0, int(low)) for low in points.min(axis=0))
    right, bottom = (min(_CANVAS, int(high) + 2) for high in points.max(axis=0))
    if right <= left or bottom <= top:
        return
    stencil = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(stencil).polygon((points - (left, top)).ravel().tolist(), fill=255)
    canvas.paste(cloth.crop((left, top, right, bottom)), (left, top), stencil)


def _lit(canvas: Image.Image, mask: Image.Image, drawing: Drawing, wall: RGB, random: Random) -> Image.Image:
    soft_image = mask.reduce(_CANVAS // _COARSE).filter(ImageFilter.GaussianBlur(1.4))
    soft = (np.asarray(soft_image, dtype=np.float32) / 255).astype(np.float32)
    side = random.choice([-1.0, 1.0]) * random.uniform(0.4, 1.0)
    light = _spread(_light(soft, side, drawing.gloss, random))[..., None]
    backdrop = _backdrop(soft, side, drawing.stance, wall, random)
    cover = np.asarray(mask.reduce(_SUPERSAMPLING), dtype=np.float32)[..., None] / 255
    thing = np.asarray(canvas.reduce(_SUPERSAMPLING), dtype=np.float32) * light
    pixels = backdrop + (np.minimum(thing, 255) - backdrop) * cover
    return Image.fromarray(pixels.astype(np.uint8))


def _light(soft: Coarse, side: float, gloss: bool, random: Random) -> Coarse:
    """Brightness of the object's surface: as if it bulged, lit from above and from `side` (-1 left, 1 right)."""
    down, right = np.gradient(soft)
    light = 1.02 + np.clip(0.75 * (down + side * -right * 0.8), -0.2, 0.16) + (soft - 0.9) * 0.12
    if gloss:
        x = np.linspace(-1, 1, _COARSE, dtype=np.float32)
        band = x[None, :] + x[:, None] * random.uniform(-0.5, 0.5) + side * -random.uniform(0.15, 0.4)
        return (light + 0.16 * np.exp(-((band / 0.16) ** 2))).astype(np.float32)
    creases = Image.new("L", (8, 8))
    creases.putdata([random.randrange(256) for _ in range(64)])
    folds = np.asarray(creases.resize((_COARSE, _COARSE), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    return (light + (folds - 0.5) * 0.16).astype(np.float32)


def _spread(coarse: Coarse) -> Coarse:
    image = Image.fromarray(coarse).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32)


def _backdrop(soft: Coarse, side: float, stance: str, wall: RGB, random: Random) -> NDArray[np.float32]:
    """The background with the object's shadow on it, [EDGE, EDGE, 3]."""
    y = np.linspace(0, 1, _COARSE, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, _COARSE, dtype=np.float32)[None, :]
    tone = 1 - random.uniform(0.0, 0.07) * ((x - 0.5) ** 2 + (y - 0.45) ** 2) * 2 - random.uniform(0, 0.05) * y
    if stance == "stand":
        tone = tone - _contact_shadow(soft, x, y, random)
        if random.random() < 0.4:
            tone = tone - random.uniform(0.03, 0.09) * (y > random.uniform(0.62, 0.8))
    else:
        drop = 2 if stance == "flat" else 3
        shadow = np.roll(soft, (drop, round(-side * drop)), axis=(0, 1))
        tone = tone - random.uniform(0.16, 0.3) * shadow
    coarse = np.clip(np.asarray(wall, dtype=np.float32) * tone[..., None], 0, 255)
    image = Image.fromarray(coarse.astype(np.uint8)).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32)


def _contact_shadow(soft: Coarse, x: Coarse, y: Coarse, random: Random) -> Coarse:
    rows = np.flatnonzero(soft.max(axis=1) > 0.35)
    floor = int(rows[-1])
    columns = np.flatnonzero(soft[max(0, floor - 4) : floor + 1].max(axis=0) > 0.35)
    middle = (columns[0] + columns[-1]) / 2 / (_COARSE - 1)
    reach = (columns[-1] - columns[0] + 2) / 2 / (_COARSE - 1) * 1.12
    depth = random.uniform(0.025, 0.045)
    distance = ((x - middle) / reach) ** 2 + ((y - floor / (_COARSE - 1)) / depth) ** 2
    shadow: Coarse = random.uniform(0.3, 0.45) * np.exp(-distance)
    return shadow
