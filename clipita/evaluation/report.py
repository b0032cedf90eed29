"""The evaluation report: one HTML file, query by query, two systems side by side, right and wrong hits marked.

The file is self-contained: its content policy forbids to load scripts, styles or images. This module gathers what is
shown as plain data; report.html renders it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeVar

from clipita import markup
from clipita.catalogue.product import CategoryPath
from clipita.evaluation.measures import MEASURES, bootstrap_interval
from clipita.evaluation.mistakes import count_errors, looked_at, shared_levels
from clipita.evaluation.pages import PageEnds
from clipita.evaluation.protocol import RELEVANCE, SystemResult, TreeProtocol
from clipita.evaluation.summary import compare

HITS = 8
"""Hits shown per system."""
MAX_QUERIES = 300
"""Queries whose hits are shown; of a larger tree those with the largest gains and losses."""
GAIN = "mAP@10"
"""The measure by which two systems are compared on one query (there it is AP@10)."""
SHOWN = 6
"""Categories that each of best, worst and most improved lists."""
STRIP = 4
"""Images beside each of them."""
MAP_SIZE = 60
"""Rows that the confusion map has at most; of a larger tree it shows the roots."""
PAIRS = 12
SIGNIFICANT = 0.05
# A transparent pixel: the image itself is the element's background, so that each is stored once in the style sheet.
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

Column = TypeVar("Column")


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes:
        left: the system in the left column, which is the baseline.
        right: the system beside it; the same as `left` where only one was measured.
        facts: label and text, for the head of the page.
        ends: where the right system's pages end, if it was measured.
    """

    protocol: TreeProtocol
    results: Sequence[SystemResult]
    left: SystemResult
    right: SystemResult
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    ends: PageEnds | None = None

    @property
    def paired(self) -> bool:
        """Whether there are two systems to compare."""
        return self.left is not self.right

    def gain(self, index: int) -> float:
        """AP@10 of the right system minus that of the left, in percentage points."""
        return float(self.right.measures[GAIN][index] - self.left.measures[GAIN][index])

    def order(self) -> list[int]:
        """Indices of all queries, the largest gain first."""
        return sorted(range(len(self.protocol.queries)), key=lambda index: (-round(self.gain(index), 6), index))

    def shown(self) -> set[int]:
        """Indices of the queries whose hits are shown."""
        order = sorted(self.order(), key=lambda index: -abs(round(self.gain(index), 6)))
        return set(order[:MAX_QUERIES])

    def extremes(self) -> tuple[list[int], list[int], list[int]]:
        """Indices of the best, the worst and the most improved queries; among equal ones those of more products."""
        values = self.right.measures["R-precision"]
        gains = values - self.left.measures["R-precision"]
        by_size = sorted(range(len(values)), key=lambda index: -len(self.protocol.queries[index].relevant))
        improved = [index for index in sorted(by_size, key=lambda index: -gains[index]) if gains[index] > 0]
        best = sorted(by_size, key=lambda index: -values[index])
        worst = sorted(by_size, key=lambda index: values[index])
        return best[:SHOWN], worst[:SHOWN], improved[:SHOWN]

    def page_ends(self) -> list[tuple[str, list[tuple[str, int, float]]]]:
        """Pages that end too early and too late: query, products that belong there, and products shown to each."""
        if self.ends is None:
            return []
        sizes = self.ends.size
        order = sorted(range(len(sizes)), key=lambda index: (sizes[index], -len(self.protocol.queries[index].relevant)))
        wrong = [index for index in order if not self.ends.within[index]]
        rows = {index: (self.protocol.queries[index], float(sizes[index])) for index in wrong}
        early = [index for index in wrong if sizes[index] < 1][:PAIRS]
        late = [index for index in reversed(wrong) if sizes[index] > 1][:PAIRS]
        return [
            (title, [(rows[index][0].text, len(rows[index][0].relevant), rows[index][1]) for index in chosen])
            for title, chosen in (("Too early", early), ("Too late", late))
        ]

    def image_ids(self) -> list[str]:
        """Ids of the products whose images are shown, each once, in the order of their first appearance."""
        shown = self.shown()
        below = (
            int(position)
            for index in self.order()
            if index in shown
            for result in (self.left, self.right)
            for position in result.rankings[index][:HITS]
        )
        above = (
            int(position)
            for chosen in self.extremes()
            for index in chosen
            for position in self.right.rankings[index][:STRIP]
        )
        return [self.protocol.ids[position] for position in dict.fromkeys([*below, *above])]


def choose_pair(results: Sequence[SystemResult]) -> tuple[SystemResult, SystemResult]:
    """The two systems to compare: live BM25 and hybrid, or else offline BM25 and the first trained model."""
    results = [result for result in results if result.system.without is None]
    by_kind = {(result.system.mode, result.system.where): result for result in reversed(results)}
    live = by_kind.get(("lexical", "live"))
    if live is not None and ("hybrid", "live") in by_kind:
        return live, by_kind["hybrid", "live"]
    left = by_kind.get(("lexical", "offline"), results[0])
    trained = [result for result in results if result.system.mode == "vector" and result.system.where == "offline"]
    named = [result for result in trained if not result.system.name.startswith("zero-shot")]
    return left, (named or trained or [left])[0]


def render(report: Report, thumbnails: Mapping[str, bytes]) -> str:
    """The page; thumbnails map product ids to small JPEGs, and a product without one gets a placeholder."""
    script = files("clipita.evaluation").joinpath("report.js").read_text(encoding="utf-8")
    with_image = [product_id for product_id in report.image_ids() if product_id in thumbnails]
    classes = {product_id: f"p{number}" for number, product_id in enumerate(with_image)}
    protocol, results, right = report.protocol, report.results, report.right
    groups = protocol.groups()
    gains = [report.gain(index) for index in range(len(protocol.queries))]
    return markup.render(
        "clipita.evaluation",
        "report.html",
        {
            "report": report,
            "script": script,
            "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            "images": {classes[name]: base64.b64encode(thumbnails[name]).decode() for name in with_image},
            "pixel": PIXEL,
            "hits": HITS,
            "relevance": RELEVANCE,
            "measures": list(MEASURES),
            "summary": _means(results, list(MEASURES), lambda result, name: result.mean(name)),
            "intervals": [bootstrap_interval(result.measures["R-precision"]) for result in results],
            "comparisons": compare(results),
            "systems": {result.system.key: result.system for result in results},
            "significant": SIGNIFICANT,
            "groups": groups,
            "by_group": _means(results, list(groups), lambda result, name: result.mean("R-precision", groups[name])),
            "highlights": _highlights(report, classes),
            "mistakes": [(result.system, count_errors(protocol, result)) for result in results],
            "confusions": [
                {"asked": asked[-1], "got": got[-1] if got else "no category", "count": count,
                 "relation": _relation(asked, got)}
                for (asked, got), count in count_errors(protocol, right).confusions.most_common(PAIRS)
            ],
            "map": _confusion_map(protocol, right),
            "categories": [
                (query, protocol.is_seen(query) is False, [float(r.measures["R-precision"][i]) for r in results])
                for i, query in enumerate(protocol.queries)
            ],
            "better": sum(gain > 0.05 for gain in gains),
            "worse": sum(gain < -0.05 for gain in gains),
            "shown": len(report.shown()),
            "queries": _queries(report, classes),
        },
    )  # fmt: skip


def _means(
    results: Sequence[SystemResult], columns: Sequence[Column], mean: Callable[[SystemResult, Column], float]
) -> list[tuple[SystemResult, list[tuple[float, bool]]]]:
    """For each system the values of a table, and whether each is the best of its column."""
    rows = [[mean(result, column) for column in columns] for result in results]
    best = [max(values) for values in zip(*rows, strict=True)]
    return [
        (result, [(value, value >= highest - 1e-9) for value, highest in zip(row, best, strict=True)])
        for result, row in zip(results, rows, strict=True)
    ]


def _highlights(report: Report, classes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The best, the worst and, beside a baseline, the most improved categories, with their first hits."""
    values = report.right.measures["R-precision"]
    gains = values - report.left.measures["R-precision"]
    titles = ["Best", "Worst"] + [f"Most improved against {report.left.system.label}"] * report.paired
    return [
        {
            "title": title,
            "items": [
                {
                    "index": index,
                    "name": report.protocol.queries[index].text,
                    "figure": f"{values[index]:.0f}" if title in ("Best", "Worst") else f"{gains[index]:+.0f}",
                    "hits": _hits(report.protocol, report.right, index, STRIP, classes),
                }
                for index in chosen
            ],
        }
        for title, chosen in zip(titles, report.extremes(), strict=False)
    ]


def _hits(
    protocol: TreeProtocol, result: SystemResult, index: int, count: int, classes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The first hits of a query; `image` is the class of a product's image, or None."""
    relevant = set(protocol.queries[index].relevant.tolist())
    return [
        {
            "product": protocol.products[position],
            "right": position in relevant,
            "image": classes.get(protocol.ids[position]),
        }
        for position in result.rankings[index][:count].tolist()
    ]


def _queries(report: Report, classes: Mapping[str, str]) -> list[dict[str, Any]]:
    shown = report.shown()
    pair = [report.left, report.right] if report.paired else [report.left]
    return [
        {
            "index": index,
            "query": report.protocol.queries[index],
            "gain": report.gain(index),
            "left": float(report.left.measures[GAIN][index]),
            "right": float(report.right.measures[GAIN][index]),
            "columns": [
                (
                    result,
                    float(result.measures["R-precision"][index]),
                    _hits(report.protocol, result, index, HITS, classes),
                )
                for result in pair
            ]
            if index in shown
            else None,
        }
        for index in report.order()
    ]


def _confusion_map(protocol: TreeProtocol, result: SystemResult) -> dict[str, Any]:
    """Asked categories against those of their wrong hits, both cut to two levels, ordered by tree."""
    depth = 2 if len({path[:2] for query in protocol.queries for path in query.paths}) <= MAP_SIZE else 1
    wrong: dict[CategoryPath, Counter[CategoryPath]] = {}
    looked: Counter[CategoryPath] = Counter()
    right: Counter[CategoryPath] = Counter()
    for query, hits in zip(protocol.queries, looked_at(protocol, result), strict=True):
        for hit in hits:
            row = (hit[0] if hit else query.paths[0])[:depth]
            looked[row] += 1
            if hit is None:
                right[row] += 1
            else:
                wrong.setdefault(row, Counter())[hit[1][:depth]] += 1
    rows = sorted(row for row in looked if wrong.get(row))
    columns = sorted({got for row in rows for got in wrong[row] if got != row})
    edges = _edges(columns)
    return {
        "columns": list(zip(columns, edges, strict=True)),
        "rows": [
            {
                "path": row,
                "edge": edge,
                "looked": looked[row],
                "cells": [
                    ("ok", right[row]),
                    ("own", wrong[row][row]),
                    *(
                        (f"{'tree' if path[:1] == row[:1] else 'far'} {rule}".strip(), path != row and wrong[row][path])
                        for path, rule in zip(columns, edges, strict=True)
                    ),
                ],
            }
            for row, edge in zip(rows, _edges(rows), strict=True)
        ],
    }


def _edges(paths: Sequence[CategoryPath]) -> list[str]:
    """For each path the class `edge` where the next tree begins, which draws a rule."""
    return ["edge" if at and path[:1] != paths[at - 1][:1] else "" for at, path in enumerate(paths)]


def _relation(asked: CategoryPath, got: CategoryPath) -> str:
    shared = shared_levels(asked, got)
    if not got:
        return "the product has no category"
    if not shared:
        return f"another tree ({got[0]})"
    if shared == len(got):
        return "a category above it"
    if shared == len(asked):
        return "a category below it"
    return "its sibling" if shared == len(asked) - 1 == len(got) - 1 else f"also below {asked[shared - 1]}"
