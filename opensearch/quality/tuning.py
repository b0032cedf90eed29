"""Weights, pivot, fields and page ends of the hybrid search, found on a validation catalogue; the curve as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clipita import markup
from clipita.catalogue.product import CategoryPath
from clipita.errors import UsageError
from clipita.evaluation import measures as metrics
from clipita.evaluation.pages import cross_validated, fit_tree
from clipita.evaluation.protocol import TreeProtocol, top
from clipita.evaluation.thresholds import Thresholds
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.fusion import FUSIONS, Fusion
from clipita.opensearch.search.options import MAX_WINDOW

WEIGHTS = tuple(round(step / 20, 2) for step in range(21))
PIVOTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RANK_CONSTANT = 60
FOLDS = 5
SEED = 0
PAYS = 0.2
"""Points by which hybrid must beat the better half to pay for the second search."""
MATCHED = 1e-30
"""A score of 0 of a product that a clause finds, by filters alone for instance: 0 itself is a product not found."""
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4)
"""Pivots to try of a clause of the shop's own, as shares of the best score that it usually gives."""

Fields = tuple[str, ...]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """One point of the grid."""

    fields: Fields
    weight: float
    pivot: float


@dataclass(frozen=True)
class Parts:
    """What the two halves say of one query; arrays by the product's position.

    Attributes:
        bm25: fields to BM25 scores [products]; 0 where no word matches.
        cosine: [products]; -inf where the index did not return the product.
        free: as `cosine`, of the text as if it named no known category; None where the model cannot say.
    """

    bm25: Mapping[Fields, Scores] = field(repr=False)
    cosine: Scores = field(repr=False)
    free: Scores | None = field(default=None, repr=False)

    def fused(self, setting: Setting, fusion: Fusion) -> Scores:
        """The score that the cluster gives; -inf where a product is not found."""
        bm25 = self.bm25[setting.fields]
        if fusion.native:
            # The plugin takes a score of 0 for no match.
            bm25 = np.where(bm25 > MATCHED, bm25, 0.0)
        return fusion.scores(bm25, self.cosine, setting.weight, setting.pivot, RANK_CONSTANT)

    def lexical(self, fields: Fields) -> Scores:
        """BM25 alone."""
        bm25 = self.bm25[fields]
        return np.where(bm25 > 0, bm25, -np.inf)


@dataclass(frozen=True)
class Tuning:
    """What was found; measures are means over categories, in percent.

    Attributes:
        measure: what was maximised.
        fusion: the one that was tuned.
        best: chosen on all validation categories.
        hybrid: of held-out categories, with the settings that the others chose.
        chosen: those settings, fold by fold.
        lexical: BM25 alone, with its best fields.
        vector: the vector alone.
        default: hybrid with the settings that were in force.
        curve: weight to the measure, with the best fields and pivot.
        weight_unknown: the best weight of queries that name no known category, None where the model cannot say.
        thresholds: where pages end.
        page: how well they do, see `PageEnds.means`; fitted on one half of the products and judged on the other.
        queries: how many categories.
        products: how many products.
        error: standard error of the mean difference between hybrid and the better half.
    """

    measure: str
    fusion: str
    best: Setting
    hybrid: float
    chosen: tuple[Setting, ...]
    lexical: float
    vector: float
    default: float
    curve: dict[float, float]
    weight_unknown: float | None
    thresholds: Thresholds = field(repr=False)
    page: dict[str, float]
    queries: int
    products: int
    error: float

    @property
    def pays(self) -> bool:
        """Whether hybrid is worth its second search."""
        return self.hybrid > max(self.lexical, self.vector) + PAYS

    @property
    def verdict(self) -> str:
        """What follows, in a sentence."""
        better, name = max((self.lexical, "lexical"), (self.vector, "vector"))
        gain = self.hybrid - better
        if self.pays:
            return f"Hybrid pays: {gain:+.1f} points (± {self.error:.1f}) over the mode {name} on held-out categories."
        return (
            f"Hybrid does not pay here: {gain:+.1f} points (± {self.error:.1f}) over the mode {name} alone, which "
            f"costs one search less: mode = {name!r}."
        )


def collect(
    search: ProductSearch,
    protocol: TreeProtocol,
    field_sets: Sequence[Fields],
    on_query: Callable[[], None] = lambda: None,
) -> list[Parts]:
    """Ask the index for both halves of all queries, among the protocol's products.

    Where the search's settings hold a clause of the shop's own, its scores take the place of BM25.

    Raises:
        UsageError: more products than a search can return, so that the halves would be cut.
        QueryError: the cluster refuses the clause.
        ClusterError: the index does not answer.
    """
    if len(protocol.ids) > MAX_WINDOW:
        raise UsageError(
            f"The catalogue has {len(protocol.ids):,} products; a search returns {MAX_WINDOW:,} at most.",
            hint="Tune on a sample of it: a few thousand products are enough.",
        )
    alone: Any = {"raw_filters": [{"ids": {"values": protocol.ids}}], "boosts": (), "understand": False}
    collected = []
    anchored = search.vectors.anchored([query.text for query in protocol.queries])

    def cosines(text: str, vector: Sequence[float] | None) -> Scores:
        found = search.scores(text, mode="vector", depth=MAX_WINDOW, vector=vector, **alone)
        # 1 + cosine from cosine 0 on, 1 / (1 - cosine) below.
        turned = {name: score - 1 if score >= 1 else 1 - 1 / score for name, score in found.items()}
        return _by_position(protocol, turned, -np.inf)

    def words(text: str, fields: Fields) -> Scores:
        found = search.scores(text, mode="lexical", fields=fields, depth=MAX_WINDOW, **alone)
        return _by_position(protocol, {name: max(score, MATCHED) for name, score in found.items()}, 0.0)

    for row, query in enumerate(protocol.queries):
        bm25 = {fields: words(query.text, fields) for fields in field_sets}
        free = None if anchored is None else cosines(query.text, anchored[row])
        collected.append(Parts(bm25, cosines(query.text, None), free))
        on_query()
    return collected


def tune(
    protocol: TreeProtocol,
    parts: Sequence[Parts],
    default: Setting,
    measure: str = "mAP@10",
    on_setting: Callable[[], None] = lambda: None,
    fusion: str = "saturation",
    pivots: Sequence[float] | None = None,
    paths: Sequence[CategoryPath] = (),
) -> Tuning:
    """Find the best settings.

    Args:
        protocol: the queries.
        parts: from `collect`.
        default: what is in force; of settings equally good the one nearest to it is taken.
        measure: one of `metrics.MEASURES`.
        on_setting: is called after each point of the grid.
        fusion: by name.
        pivots: those to try; None means those of `pivots_of` for BM25.
        paths: categories that need a threshold too.

    Raises:
        UsageError: fewer categories than folds.
    """
    if len(protocol.queries) < FOLDS:
        raise UsageError(
            f"{len(protocol.queries)} categories are too few to tune on.",
            hint=f"Give a catalogue with {FOLDS} or more.",
        )
    field_sets = list(parts[0].bm25)
    grid = [
        Setting(fields, weight, pivot)
        for fields in field_sets
        for pivot in pivots or pivots_of(fusion, default.pivot)
        for weight in sorted(WEIGHTS, key=lambda weight: abs(weight - default.weight))
    ]
    values = np.empty((len(grid), len(parts)))
    for row, setting in enumerate(grid):
        values[row] = _values(protocol, parts, measure, setting, FUSIONS[fusion])
        on_setting()
    held_out, chosen = _cross_validated(values, grid)
    best = grid[int(values.mean(axis=1).argmax())]
    lexical = {fields: _lexical(protocol, parts, measure, fields) for fields in field_sets}
    best_lexical = max(lexical.values(), key=lambda row: float(row.mean()))
    vector = _values(protocol, parts, measure, Setting(field_sets[0], 1.0, 1.0), FUSIONS["saturation"])
    better = best_lexical if best_lexical.mean() > vector.mean() else vector
    free = [part.free for part in parts if part.free is not None]
    return Tuning(
        measure=measure,
        fusion=fusion,
        best=best,
        hybrid=float(held_out.mean()),
        chosen=chosen,
        lexical=float(best_lexical.mean()),
        vector=float(vector.mean()),
        default=float(_values(protocol, parts, measure, default, FUSIONS[fusion]).mean()),
        curve=_curve(grid, values, best),
        weight_unknown=_unknown(protocol, parts, measure, best, FUSIONS[fusion]),
        thresholds=fit_tree(protocol.queries, paths, lambda row: parts[row].cosine, free.__getitem__ if free else None),
        page=cross_validated(protocol, "hybrid", lambda row: parts[row].cosine).means(range(len(parts))),
        queries=len(parts),
        products=len(protocol.ids),
        error=float((held_out - better).std(ddof=1) / math.sqrt(len(parts))),
    )


def _unknown(
    protocol: TreeProtocol, parts: Sequence[Parts], measure: str, best: Setting, fusion: Fusion
) -> float | None:
    """The best weight for the same queries as if training had not seen their categories."""
    free = [Parts(part.bm25, part.free) for part in parts if part.free is not None]
    if len(free) < len(parts):
        return None
    settings = [replace(best, weight=weight) for weight in WEIGHTS]
    means = [float(_values(protocol, free, measure, setting, fusion).mean()) for setting in settings]
    return WEIGHTS[int(np.argmax(means))]


def _cross_validated(values: Scores, grid: Sequence[Setting]) -> tuple[Scores, tuple[Setting, ...]]:
    """The measure of each query with the setting that the other folds chose, and those settings."""
    count = values.shape[1]
    folds = np.random.default_rng(SEED).permutation(count) % FOLDS
    held_out = np.empty(count)
    chosen = []
    for fold in range(FOLDS):
        inside = folds == fold
        row = int(values[:, ~inside].mean(axis=1).argmax())
        held_out[inside] = values[row, inside]
        chosen.append(grid[row])
    return held_out, tuple(chosen)


def _curve(grid: Sequence[Setting], values: Scores, best: Setting) -> dict[float, float]:
    rows = {setting.weight: row for row, setting in enumerate(grid) if replace(setting, weight=best.weight) == best}
    return {weight: float(values[rows[weight]].mean()) for weight in WEIGHTS}


def pivots_of(fusion: str, default: float, parts: Sequence[Parts] = ()) -> tuple[float, ...]:
    """The pivots to try: a fusion of ranked lists has none.

    `parts` come from a clause of the shop's own, whose scores may be of any size, unlike those of BM25.
    """
    if FUSIONS[fusion].native:
        return (default,)
    best = [float(scores.max()) for part in parts for scores in part.bm25.values()]
    best = [score for score in best if score > MATCHED]
    if not best:
        return PIVOTS
    return tuple(float(f"{float(np.median(best)) * share:.3g}") for share in SHARES)


def _values(protocol: TreeProtocol, parts: Sequence[Parts], measure: str, setting: Setting, fusion: Fusion) -> Scores:
    return _measured(protocol, (part.fused(setting, fusion) for part in parts), measure)


def _lexical(protocol: TreeProtocol, parts: Sequence[Parts], measure: str, fields: Fields) -> Scores:
    return _measured(protocol, (part.lexical(fields) for part in parts), measure)


def _measured(protocol: TreeProtocol, scores: Iterable[Scores], measure: str) -> Scores:
    """The measure of each query, in percent."""
    relevant = np.zeros(len(protocol.ids), dtype=bool)
    found = []
    for query, row in zip(protocol.queries, scores, strict=True):
        relevant[:] = False
        relevant[query.relevant] = True
        ranking = top(row.astype(np.float32), query.depth)
        found.append(100 * metrics.MEASURES[measure](relevant[ranking], len(query.relevant)))
    return np.array(found)


def _by_position(protocol: TreeProtocol, scores: Mapping[str, float], absent: float) -> Scores:
    row = np.full(len(protocol.ids), absent)
    for name, score in scores.items():
        row[protocol.positions[name]] = score
    return row


WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 56, 48


def draw(tuning: Tuning, words: str | None = None) -> str:
    """An SVG of the measure over the weight, with both halves as lines and the chosen weight marked.

    `words` is what a clause of the shop's own is called, where it stood in place of BM25.
    """
    values = [*tuning.curve.values(), tuning.lexical, tuning.vector]
    margin = max(0.5, (max(values) - min(values)) * 0.08)
    low, high = min(values) - margin, max(values) + margin

    def x(weight: float) -> float:
        return round(LEFT + weight * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    best = tuning.best
    top = tuning.curve[best.weight]
    values_at = [low + (high - low) * step / 4 for step in range(5)]
    return markup.render(
        "clipita.opensearch.quality",
        "tuning.svg",
        {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "bottom": HEIGHT - BOTTOM,
            "title": f"{tuning.measure} over the weight of the vector ({tuning.fusion}): "
            f"best {top:.1f} at {best.weight:g} (pivot {best.pivot:g}, {words or ', '.join(best.fields)})",
            "levels": [(f"{value:.1f}", y(value)) for value in values_at],
            "weights": [(f"{weight:g}", x(weight)) for weight in (0, 0.2, 0.4, 0.6, 0.8, 1)],
            "halves": [
                (words or "BM25", tuning.lexical, y(tuning.lexical), "#b3361b"),
                ("vector", tuning.vector, y(tuning.vector), "#10713f"),
            ],
            "points": [(x(weight), y(value)) for weight, value in tuning.curve.items()],
            "best": (x(best.weight), y(top)),
        },
    )
