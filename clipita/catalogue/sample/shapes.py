"""The vocabulary of the drawings: outlines, lines, ovals and boxes, written as short strings of points.

Points are `x,y` in a frame of about [-1, 1] with y pointing down; the renderer fits every drawing to its picture, so
only proportions matter. A point is a corner unless `~` follows it: then the outline passes through it as a smooth
curve (centripetal Catmull-Rom spline, Yuksel, Schaefer and Keyser 2011).

A paint is a name (`main` is the product's colour and carries its pattern, `accent` its second colour; the others are
in palette.MATERIALS) and an optional suffix: `-` darker, `--` much darker, `+` lighter, `~` half transparent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]

CORNER_RADIUS = 0.025
_CURVE_STEPS = 7
_OVAL_POINTS = 40


@dataclass(frozen=True, eq=False)
class Part:
    """A filled outline, or a stroke where `width` is above 0. `points` has shape [n, 2]."""

    paint: str
    points: Points
    width: float = 0.0
    closed: bool = True


@dataclass(frozen=True, eq=False)
class Choice:
    """One of several groups of parts, each as likely as the others; a group may be empty."""

    groups: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True)
class Knob:
    """One proportion that differs from product to product, drawn from [low, high].

    `y` scales what lies below the pivot, `x` what lies farther from the middle than it, `flare` widens with the
    distance below it.
    """

    kind: Literal["x", "y", "flare"]
    pivot: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Drawing:
    """How one category looks.

    Attributes:
        parts: painted in this order.
        knobs: the proportions that vary.
        stance: `flat` lies on a surface, `stand` stands on a floor, `hang` floats before a wall.
        gloss: hard and shiny; otherwise soft, with creases.
        tilt: most degrees it is turned.
        flip: may face either side.
        scale: size of patterns relative to the picture.
    """

    parts: tuple[Part | Choice, ...]
    knobs: tuple[Knob, ...] = ()
    stance: Literal["flat", "stand", "hang"] = "flat"
    gloss: bool = False
    tilt: float = 5.0
    flip: bool = False
    scale: float = 1.0


Item: TypeAlias = Part | Choice | tuple[Part, ...]


def drawing(
    *items: Item,
    knobs: tuple[Knob, ...] = (),
    stance: Literal["flat", "stand", "hang"] = "flat",
    gloss: bool = False,
    tilt: float = 5.0,
    flip: bool = False,
    scale: float = 1.0,
) -> Drawing:
    """Put parts, pairs and choices together."""
    parts: list[Part | Choice] = []
    for item in items:
        parts.extend(item if isinstance(item, tuple) else (item,))
    return Drawing(tuple(parts), knobs, stance, gloss, tilt, flip, scale)


def outline(paint: str, path: str, radius: float = CORNER_RADIUS) -> Part:
    """A filled shape."""
    return Part(paint, _closed(_parse(path), radius))


def half(paint: str, path: str, radius: float = CORNER_RADIUS) -> Part:
    """A filled shape of which `path` is the right half, from top to bottom; the left half mirrors it."""
    nodes = _parse(path)
    mirrored = [(-x, y, smooth) for x, y, smooth in reversed(nodes) if x > 0]
    return Part(paint, _closed(nodes + mirrored, radius))


def line(paint: str, path: str, width: float = 0.03) -> Part:
    """A stroke with round ends."""
    return Part(paint, _open(_parse(path)), width, closed=False)


def oval(paint: str, x: float, y: float, rx: float, ry: float | None = None) -> Part:
    """A filled ellipse."""
    angles = np.linspace(0, 2 * np.pi, _OVAL_POINTS, endpoint=False)
    return Part(paint, np.stack([x + rx * np.cos(angles), y + (rx if ry is None else ry) * np.sin(angles)], axis=1))


def ring(paint: str, x: float, y: float, rx: float, ry: float | None = None, width: float = 0.06) -> Part:
    """A stroked ellipse."""
    return replace(oval(paint, x, y, rx, ry), width=width)


def box(paint: str, left: float, top: float, right: float, bottom: float, radius: float = 0.05) -> Part:
    """A filled rectangle with round corners."""
    return Part(paint, _closed([(x, y, False) for x, y in _corners(left, top, right, bottom)], radius))


def pair(*parts: Part) -> tuple[Part, ...]:
    """The parts and their mirror images about the middle axis."""
    return tuple(copy for part in parts for copy in (replace(part, points=part.points * (-1.0, 1.0)), part))


def moved(part: Part, x: float, y: float) -> Part:
    """The part shifted."""
    return replace(part, points=part.points + np.array([x, y]))


def either(*groups: Part | tuple[Part, ...]) -> Choice:
    """One of the groups."""
    return Choice(tuple(group if isinstance(group, tuple) else (group,) for group in groups))


def maybe(*parts: Part | tuple[Part, ...]) -> Choice:
    """The parts in about half of the products."""
    flat = tuple(single for part in parts for single in (part if isinstance(part, tuple) else (part,)))
    return Choice((flat, ()))


def below(pivot: float, low: float, high: float) -> Knob:
    """What lies below the pivot is made shorter or longer."""
    return Knob("y", pivot, low, high)


def outside(pivot: float, low: float, high: float) -> Knob:
    """What lies farther out than the pivot is made narrower or wider."""
    return Knob("x", pivot, low, high)


def flare(pivot: float, low: float, high: float) -> Knob:
    """The drawing narrows (below 0) or widens (above 0) from the pivot downwards."""
    return Knob("flare", pivot, low, high)


_Node: TypeAlias = tuple[float, float, bool]


def _parse(path: str) -> list[_Node]:
    nodes = []
    for word in path.split():
        x, y = word.rstrip("~").split(",")
        nodes.append((float(x), float(y), word.endswith("~")))
    return nodes


def _corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _closed(nodes: list[_Node], radius: float) -> Points:
    corners = [position for position, node in enumerate(nodes) if not node[2]]
    if not corners:
        points = np.array([node[:2] for node in nodes])
        spline = _spline(np.concatenate([points[-2:], points, points[:3]]))
        return spline[2 * _CURVE_STEPS : (2 + len(nodes)) * _CURVE_STEPS]
    turned = nodes[corners[0] :] + nodes[: corners[0]]
    return _round_corners(*_runs([*turned, turned[0]]), radius)


def _open(nodes: list[_Node]) -> Points:
    ends = [(*nodes[0][:2], False), *nodes[1:-1], (*nodes[-1][:2], False)]
    points, _ = _runs(ends)
    return np.concatenate([points, [ends[-1][:2]]])


def _runs(nodes: list[_Node]) -> tuple[Points, list[bool]]:
    """Flatten from corner to corner; the last node, a corner, is left out. Says which points are corners."""
    pieces: list[Points] = []
    is_corner: list[bool] = []
    start = 0
    for end in range(1, len(nodes)):
        if nodes[end][2]:
            continue
        run = np.array([node[:2] for node in nodes[start : end + 1]])
        piece = _spline(run)[:-1] if len(run) > 2 else run[:1]
        pieces.append(piece)
        is_corner.extend([True] + [False] * (len(piece) - 1))
        start = end
    return np.concatenate(pieces), is_corner


def _spline(points: Points) -> Points:
    """A centripetal Catmull-Rom spline through all points, ends included."""
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(padded, axis=0), axis=1)) + 1e-9)])
    pieces = []
    for first in range(len(points) - 1):
        a, b, c, d = padded[first : first + 4]
        s, t, u, v = knots[first : first + 4]
        at = np.linspace(t, u, _CURVE_STEPS, endpoint=False)[:, None]
        ab = ((t - at) * a + (at - s) * b) / (t - s)
        bc = ((u - at) * b + (at - t) * c) / (u - t)
        cd = ((v - at) * c + (at - u) * d) / (v - u)
        abc = ((u - at) * ab + (at - s) * bc) / (u - s)
        bcd = ((v - at) * bc + (at - t) * cd) / (v - t)
        pieces.append(((u - at) * abc + (at - t) * bcd) / (u - t))
    return np.concatenate([*pieces, points[-1:]])


def _round_corners(points: Points, is_corner: list[bool], radius: float) -> Points:
    rounded: list[Points] = []
    for position, point in enumerate(points):
        if not is_corner[position] or radius <= 0:
            rounded.append(point[None])
            continue
        into, out = points[position - 1] - point, points[(position + 1) % len(points)] - point
        start, end = (point + side * min(radius / (np.hypot(*side) + 1e-9), 0.45) for side in (into, out))
        at = np.linspace(0, 1, 4)[:, None]
        rounded.append((1 - at) ** 2 * start + 2 * at * (1 - at) * point + at**2 * end)
    return np.concatenate(rounded)
