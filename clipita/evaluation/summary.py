"""Results as rows and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clipita.evaluation.metrics import MEASURES
from clipita.evaluation.protocol import SETUP, SystemResult, TreeProtocol
from clipita.evaluation.significance import bootstrap_interval, paired_p_value

_DIGITS = 4
INTERVAL = "R-precision 95%"
"""Key of a row's bootstrap interval over queries."""

RELEVANCE = (
    "A product is relevant to every category on its path. A query is a category's name; nodes of one name are one "
    "query. Percent, mean over queries. mAP@k divides by min(k, relevant)."
)


def row(result: SystemResult, subset: str = "all", chosen: Sequence[int] | None = None) -> dict[str, Any]:
    """One line of the table: the system and its mean measures in percent, over all queries or a subset's indices."""
    count = len(result.rankings) if chosen is None else len(chosen)
    return {
        "system": result.system.name,
        "mode": result.system.mode,
        "where": result.system.where,
        "setup": SETUP,
        "subset": subset,
        "queries": count,
        **{name: round(result.mean(name, chosen), _DIGITS) for name in MEASURES},
        INTERVAL: [round(bound, _DIGITS) for bound in _interval(result, chosen)],
        "model": result.system.model,
        "key": result.system.key,
    }


def as_json(protocol: TreeProtocol, results: Sequence[SystemResult]) -> dict[str, Any]:
    """Everything that was measured, as JSON can hold it.

    Returns:
        rows (one a system), groups (a group of queries, such as the roots, to its rows), queries (one a category name,
        with R-precision and AP@10 under each system's `key`), comparisons (every system with the first one: the
        difference of R-precision and how likely chance alone gives one as large), relevance (how it is counted),
        products.
    """
    return {
        "rows": [row(result, protocol.subset) for result in results],
        "groups": {
            name: [row(result, name, chosen) for result in results] for name, chosen in protocol.groups().items()
        },
        "queries": list(_queries(protocol, results)),
        "comparisons": [_comparison(results[0], result) for result in results[1:]],
        "relevance": RELEVANCE,
        "products": len(protocol.products),
    }


def _interval(result: SystemResult, chosen: Sequence[int] | None) -> tuple[float, float]:
    values = result.measures["R-precision"]
    return bootstrap_interval(values if chosen is None else values[list(chosen)])


def _comparison(left: SystemResult, right: SystemResult) -> dict[str, Any]:
    ours, theirs = left.measures["R-precision"], right.measures["R-precision"]
    return {
        "left": left.system.key,
        "right": right.system.key,
        "difference": round(float((theirs - ours).mean()), _DIGITS),
        "p": round(paired_p_value(ours, theirs), _DIGITS),
    }


def _queries(protocol: TreeProtocol, results: Sequence[SystemResult]) -> Iterable[dict[str, Any]]:
    for index, query in enumerate(protocol.queries):
        yield {
            "query": query.text,
            "paths": [list(path) for path in query.paths],
            "level": query.level,
            "leaf": query.leaf,
            "relevant": len(query.relevant),
            "systems": {
                result.system.key: {
                    "R-precision": round(float(result.measures["R-precision"][index]), _DIGITS),
                    "AP@10": round(float(result.measures["mAP@10"][index]), _DIGITS),
                }
                for result in results
            },
        }
