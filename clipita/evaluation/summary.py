"""Results as rows and as JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from clipita.evaluation.measures import MEASURES, bootstrap_interval, holm, paired_p_value
from clipita.evaluation.mistakes import count_errors
from clipita.evaluation.pages import PageEnds
from clipita.evaluation.protocol import RELEVANCE, SystemResult, TreeProtocol

_DIGITS = 4
INTERVAL = "R-precision 95%"
"""Key of a row's bootstrap interval over queries."""

COUNTING = (
    "A query is a category's name; nodes of one name are one query. Percent, mean over queries. mAP@k divides by "
    "min(k, relevant)."
)


def row(result: SystemResult, subset: str = "all", chosen: Sequence[int] | None = None) -> dict[str, Any]:
    """One line of the table: the system and its mean measures in percent, over all queries or a subset's indices."""
    chosen = range(len(result.rankings)) if chosen is None else chosen
    values = result.measures["R-precision"][list(chosen)]
    return {
        **_names(result),
        "subset": subset,
        "queries": len(chosen),
        **{name: round(result.mean(name, chosen), _DIGITS) for name in MEASURES},
        INTERVAL: [round(bound, _DIGITS) for bound in bootstrap_interval(values)],
        "model": result.system.model,
    }


def as_json(protocol: TreeProtocol, results: Sequence[SystemResult]) -> dict[str, Any]:
    """All results as plain data.

    Returns:
        rows (one per system), groups (rows by group of queries, such as the roots), queries (one per category name,
        with R-precision and AP@10 under each system's `key`), comparisons (see `compare`), errors (see `mistakes`),
        excluded (categories without relevant products), relevance (how it is counted), products.
    """
    return {
        "rows": [row(result, protocol.subset) | _loss(result, results) for result in results],
        "groups": {
            name: [row(result, name, chosen) for result in results] for name, chosen in protocol.groups().items()
        },
        "queries": list(_queries(protocol, results)),
        "comparisons": compare(results),
        "errors": [_names(result) | count_errors(protocol, result).as_json() for result in results],
        "excluded": {"without relevant products": len(protocol.excluded), "names": protocol.excluded},
        "relevance": f"{RELEVANCE} {COUNTING}",
        "products": len(protocol.products),
    }


def pages_as_json(protocol: TreeProtocol, pages: Sequence[PageEnds]) -> list[dict[str, Any]]:
    """Where pages end, one row per group of queries and system; see `PageEnds.means`."""
    groups = {protocol.subset: list(range(len(protocol.queries))), **protocol.groups()}
    return [
        {
            "group": name,
            "system": page.system,
            "queries": len(chosen),
            **{measure: round(value, _DIGITS) for measure, value in page.means(chosen).items()},
        }
        for name, chosen in groups.items()
        for page in pages
    ]


def compare(results: Sequence[SystemResult], measure: str = "R-precision") -> list[dict[str, Any]]:
    """Every pair of systems on the same queries, without those measured on products that lack a modality.

    Returns:
        For each pair: the keys `left` and `right`, the `difference` of their means (right - left) with its bootstrap
        interval, the `p` of the paired randomisation test, and `p (Holm)`, adjusted for the number of pairs.
    """
    pairs: list[dict[str, Any]] = []
    for left, right in itertools.combinations([result for result in results if result.system.without is None], 2):
        ours, theirs = left.measures[measure], right.measures[measure]
        pairs.append(
            {
                "left": left.system.key,
                "right": right.system.key,
                "measure": measure,
                "difference": round(float((theirs - ours).mean()), _DIGITS),
                "difference 95%": [round(bound, _DIGITS) for bound in bootstrap_interval(theirs - ours)],
                "p": round(paired_p_value(ours, theirs), _DIGITS),
            }
        )
    adjusted = holm([float(pair["p"]) for pair in pairs])
    return [pair | {"p (Holm)": round(value, _DIGITS)} for pair, value in zip(pairs, adjusted, strict=True)]


def _loss(result: SystemResult, results: Sequence[SystemResult]) -> dict[str, float]:
    """The loss of a system where all products lack a modality."""
    if result.system.without is None:
        return {}
    whole = next(other for other in results if other.system == replace(result.system, without=None))
    return {f"{name} loss": round(whole.mean(name) - result.mean(name), _DIGITS) for name in ("R-precision", "mAP@10")}


def _names(result: SystemResult) -> dict[str, Any]:
    system = result.system
    names = {name: getattr(system, name) for name in ("mode", "where", "without", "key")}
    return {"system": system.name, **names}


def _queries(protocol: TreeProtocol, results: Sequence[SystemResult]) -> Iterable[dict[str, Any]]:
    for index, query in enumerate(protocol.queries):
        yield {
            "query": query.text,
            "paths": [list(path) for path in query.paths],
            "level": query.level,
            "leaf": query.leaf,
            "seen": protocol.is_seen(query),
            "relevant": len(query.relevant),
            "systems": {
                result.system.key: {
                    "R-precision": round(float(result.measures["R-precision"][index]), _DIGITS),
                    "AP@10": round(float(result.measures["mAP@10"][index]), _DIGITS),
                }
                for result in results
            },
        }
