"""Results as rows and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clipita.evaluation.metrics import MEASURES
from clipita.evaluation.protocol import SETUP, SystemResult, TreeProtocol

_DIGITS = 4

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
        "model": result.system.model,
        "key": result.system.key,
    }


def as_json(protocol: TreeProtocol, results: Sequence[SystemResult]) -> dict[str, Any]:
    """Everything that was measured, as JSON can hold it.

    Returns:
        rows (one a system), groups (a group of queries, such as the roots, to its rows), queries (one a category name,
        with R-precision and AP@10 under each system's `key`), relevance (how it is counted), products.
    """
    return {
        "rows": [row(result, protocol.subset) for result in results],
        "groups": {
            name: [row(result, name, chosen) for result in results] for name, chosen in protocol.groups().items()
        },
        "queries": list(_queries(protocol, results)),
        "relevance": RELEVANCE,
        "products": len(protocol.products),
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
