"""What several sections of the report show alike."""

from __future__ import annotations

from html import escape

from clipita.evaluation.protocol import System, SystemResult

# A transparent pixel: the picture itself is the element's background, so that each is stored once in the style sheet.
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def label(result: SystemResult) -> str:
    """A system's name for people: `clip-ita hybrid`; for the modes that go without saying, the name alone."""
    system = result.system
    gap = f" without {system.without}" if system.without else ""
    return f"{system.name} {system.mode}{gap}" if system.mode == "hybrid" else f"{system.name}{gap}"


def system_cell(system: System) -> str:
    """A system as the head of a table's row."""
    gap = f' <span class="chip">without {escape(system.without)}</span>' if system.without else ""
    return (
        f'<th scope="row">{escape(system.name)} <span class="chip">{escape(system.mode)}</span> '
        f'<span class="chip {escape(system.where)}">{escape(system.where)}</span>{gap}</th>'
    )


def value_cell(value: float, best: float, more: str = "") -> str:
    """A percentage with its bar; the best one of a column is marked."""
    mark = ' class="best"' if value >= best - 1e-9 else ""
    return f'<td{mark} style="--v:{value:.1f}"><span>{value:.1f}</span>{more}</td>'


def plural(count: int, one: str, many: str) -> str:
    """The word that fits the number."""
    return one if count == 1 else many
