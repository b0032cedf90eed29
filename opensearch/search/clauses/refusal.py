"""Errors of the cluster that are about the shop's own query clause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipita.errors import QueryError
from clipita.opensearch.cluster.calls import Call, Result, Steps

TOO_MANY = "axClauseCount"
"""What the cluster's reason says about a query of more clauses than it allows."""


def blaming(steps: Steps[Result], clause: Mapping[str, Any], index: str) -> Steps[Result]:
    """The same calls; where the cluster refuses the clause, the error says so and gives the cluster's reason.

    A refused search is followed by one of the clause alone, as a reason does not say which part it is about.
    """
    try:
        return (yield from steps)
    except QueryError as error:
        try:
            yield Call("search", {"index": index, "body": {"query": clause, "size": 1, "_source": False}})
        except QueryError as refused:
            raise _refused(refused.message) from error
        if TOO_MANY in error.message:
            # The clause alone is within the limit, and beyond it with ours.
            raise _refused(error.message) from error
        raise


def _refused(reason: str) -> QueryError:
    hint = "Correct the clause: it must work as `query` of a plain _search request."
    if TOO_MANY in reason:
        hint = "Write a list of values as one `terms` clause, or raise indices.query.bool.max_clause_count."
    return QueryError(f"The clause given as `lexical` is refused. {reason}", hint=hint)
