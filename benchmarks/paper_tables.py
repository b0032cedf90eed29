"""The tables of docs/paper.md: what benchmarks/paper.py measured beside the figures that the paper prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Result = dict[str, Any]

SETUPS = ("all", "general", "specific")
OWN_LABELS = "default, the set-up's labels"
"""The default recipe, learning from one category a product. In the set-up "all" it learns from whole paths as ever."""
SHOWN = ("P@1", "P@10", "mAP@10", "R-precision")
PRINTED: dict[tuple[str, str], tuple[float, float, float, float]] = {
    ("all", "bm25"): (0.01, 0.01, 0.01, 0.01),
    ("all", "zero-shot"): (0.01, 0.06, 0.09, 0.05),
    ("all", "clip-i"): (3.30, 3.79, 7.25, 3.67),
    ("all", "clip-ia"): (2.50, 3.29, 6.24, 3.27),
    ("all", "clip-ita"): (9.90, 13.43, 20.53, 13.42),
    ("general", "bm25"): (2.94, 4.71, 8.28, 4.48),
    ("general", "zero-shot"): (14.70, 15.01, 18.78, 9.35),
    ("general", "clip-i"): (17.85, 16.78, 20.14, 13.02),
    ("general", "clip-ia"): (21.42, 22.78, 26.29, 20.74),
    ("general", "clip-ita"): (35.71, 30.95, 34.28, 25.79),
    ("specific", "bm25"): (0.02, 0.01, 0.01, 0.01),
    ("specific", "zero-shot"): (33.36, 26.93, 36.77, 25.29),
    ("specific", "clip-i"): (14.06, 11.53, 17.90, 11.22),
    ("specific", "clip-ia"): (35.30, 29.32, 39.27, 28.86),
    ("specific", "clip-ita"): (45.85, 40.02, 49.87, 39.69),
}
"""The paper's tables, percent, in the order of SHOWN; `zero-shot` is its MPNet row, titles without training."""
PRINTED_SUBSETS = {"seen": (51.89, 41.58), "unseen": (27.92, 26.45)}
"""mAP@10 and R-precision of its CLIP-ITA in set-up specific."""
PRINTED_ONE_LEVEL = 68
"""Percent of its shallower wrong hits, set-up specific, that lie exactly one level up."""
SYSTEMS = (
    ("none", "bm25", "BM25"),
    ("none", "zero-shot", "text tower, no training"),
    ("paper", "clip-i", "CLIP-I"),
    ("paper", "clip-ia", "CLIP-IA"),
    ("paper", "clip-ita", "CLIP-ITA"),
    ("paper", "clip-it", "CLIP-IT"),
    ("paper", "clip-t", "CLIP-T"),
    ("default", "clip-ita", "clipita's default recipe"),
    (OWN_LABELS, "clip-ita", "clipita's default recipe, the set-up's own labels"),
)


def retrieval(result: Result) -> str:
    """Ours and the paper's, set-up by set-up."""
    heads = [f"{name} {whose}" for whose in ("here", "paper") for name in SHOWN]
    lines = _head(["set-up", "model", *heads])
    for setup in SETUPS:
        for recipe, system, name in _systems(setup):
            rows = _chosen(result["rows"], recipe=recipe, system=system, setup=setup, draw=None)
            ours = [f"{_mean(rows, measure):.1f}{_spread(rows, measure)}" for measure in SHOWN]
            printed = PRINTED.get((setup, system)) if recipe in ("none", "paper") else None
            theirs = [f"{value:.2f}" for value in printed] if printed else ["–"] * len(SHOWN)
            lines.append(_line([setup, name, *ours, *theirs]))
        ceiling = f"{result['ceilings'][setup]:.1f}"
        lines.append(_line([setup, "*ceiling: the path is known, the draw is not*", "", "", "", ceiling, *[""] * 4]))
    return "\n".join(lines) + f"\n\n{_times(result['seeds'])}{_made(result)}"


def subsets(result: Result) -> str:
    """CLIP-ITA on categories that training saw and on those that it did not."""
    lines = _head(["set-up", "categories", "mAP@10 here", "R-precision here", "mAP@10 paper", "R-precision paper"])
    for setup in ("all", "specific"):
        for subset in ("seen", "unseen"):
            rows = [row for row in _chosen(result["rows"], setup=setup, subset=subset) if row["draw"] is not None]
            ours = [f"{_mean(rows, name):.1f}{_spread(rows, name)}" for name in ("mAP@10", "R-precision")]
            printed = PRINTED_SUBSETS[subset] if setup == "specific" else None
            lines.append(_line([setup, subset, *ours, *([f"{x:.2f}" for x in printed] if printed else ["–", "–"])]))
    return (
        "\n".join(lines)
        + f"\n\nCLIP-ITA, the paper's loss; {result['draws']} draws of {result['held_out']} leaves times "
        f"{_seeds(result['seeds'])}, ± half the range{_made(result)}"
    )


def errors(result: Result) -> str:
    """Where wrong hits lie."""
    kinds = ("other tree", "same tree, shallower", "same tree, same level", "same tree, deeper")
    lines = _head(["set-up", "model", "wrong hits", *kinds, "of the shallower: one level up"])
    for setup in SETUPS:
        for recipe, system, name in _systems(setup):
            found = _chosen(result["errors"], recipe=recipe, system=system, setup=setup, draw=None)
            shares = [_percent([entry["share of wrong hits"][kind] for entry in found]) for kind in kinds]
            one_up = _percent([entry["share of the shallower exactly one level up"] for entry in found])
            wrong = _percent([100 * entry["wrong"] / entry["hits"] if entry["hits"] else None for entry in found])
            lines.append(_line([setup, name, wrong, *shares, one_up]))
    return (
        "\n".join(lines) + "\n\nPercent. Looked at are the first min(10, relevant products) hits of each query; BM25 "
        f"may find fewer. The paper, set-up specific: mostly other trees; of the shallower {PRINTED_ONE_LEVEL} exactly "
        "one level up."
    )


def _systems(setup: str) -> Iterator[tuple[str, str, str]]:
    """In the set-up "all" the default recipe learns from the whole path as ever."""
    return (entry for entry in SYSTEMS if setup != "all" or entry[0] != OWN_LABELS)


def _chosen(rows: Iterable[Result], **wanted: Any) -> list[Result]:
    found = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    if not found:
        raise LookupError(f"paper.json has no row with {wanted}")
    return found


def _mean(rows: Sequence[Result], name: str) -> float:
    return float(sum(row[name] for row in rows) / len(rows))


def _spread(rows: Sequence[Result], name: str) -> str:
    values = [row[name] for row in rows]
    return f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else ""


def _percent(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.0f}" if known else "–"


def _head(names: Sequence[str]) -> list[str]:
    return [_line(names), _line(["---", "---", *["---:"] * (len(names) - 2)])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _made(result: Result) -> str:
    machine = result["machine"]
    return f" (`{result['command']}`, {machine['cpu']}, {machine['cores']} cores; commit {result['commit'][:7]})."


def _times(seeds: int) -> str:
    return "One training each" if seeds == 1 else f"Mean of {seeds} seeds, ± half their range"


def _seeds(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"
