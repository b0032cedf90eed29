"""The tuning curve as an SVG picture."""

from __future__ import annotations

from html import escape

from clipita.opensearch.tuning import Tuning

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 56, 48
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#16202c}.soft{fill:#556170}.grid{stroke:#dfe4ea}"
    ".curve{fill:none;stroke:#2456c7;stroke-width:2.5}.half{stroke-dasharray:6 4;stroke-width:1.5}"
)


def draw(tuning: Tuning) -> str:
    """An SVG of the measure over the weight, with both halves as lines and the chosen weight marked."""
    values = [*tuning.curve.values(), tuning.lexical, tuning.vector]
    low, high = min(values), max(values)
    margin = max(0.5, (high - low) * 0.08)
    low, high = low - margin, high + margin

    def x(weight: float) -> float:
        return LEFT + weight * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    lines = []
    for step in range(5):
        value = low + (high - low) * step / 4
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        lines.append(f'<text class="soft" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    lines += [
        f'<text class="soft" x="{x(weight):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{weight:g}</text>'
        for weight in (0, 0.2, 0.4, 0.6, 0.8, 1)
    ]
    for name, value, colour in (("BM25", tuning.lexical, "#b3361b"), ("vector", tuning.vector, "#10713f")):
        lines.append(
            f'<line class="half" stroke="{colour}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/><text x="{LEFT + 6}" y="{y(value) - 5:.1f}" style="fill:{colour}">'
            f"{name} alone {value:.1f}</text>"
        )
    points = " ".join(f"{x(weight):.1f},{y(value):.1f}" for weight, value in tuning.curve.items())
    top = tuning.curve[tuning.best.weight]
    lines.append(f'<polyline class="curve" points="{points}"/>')
    lines.append(f'<circle cx="{x(tuning.best.weight):.1f}" cy="{y(top):.1f}" r="5" fill="#2456c7"/>')
    best = tuning.best
    title = (
        f"{tuning.measure} over the weight of the vector: best {top:.1f} at {best.weight:g} "
        f"(pivot {best.pivot:g}, {', '.join(best.fields)})"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{LEFT}" y="28" style="font-weight:600">{escape(title)}</text>{"".join(lines)}'
        f'<text class="soft" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"weight of the vector (0 is BM25 alone)</text></svg>\n"
    )
