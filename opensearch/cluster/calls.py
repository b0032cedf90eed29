"""Calls to the cluster as values, so that a synchronous and an asynchronous client share all but the sending."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import opensearchpy
from opensearchpy import OpenSearch

from clipita.errors import QueryError, UsageError
from clipita.opensearch.cluster.errors import address_of, translate

Result = TypeVar("Result")


class Call(NamedTuple):
    """One call to the cluster: a method of opensearch-py's client, and its arguments."""

    method: str
    arguments: dict[str, Any]


Steps = Generator[Call, Any, Result]
"""Yields calls, gets their answers, returns the result."""


def single(call: Call) -> Steps[Any]:
    """Steps of one call, whose answer is the result."""
    return (yield call)


def resume(steps: Steps[Result], answer: Any = None, error: QueryError | None = None) -> tuple[Call | None, Any]:
    """Go on with a search after an answer or error; gives the next call and None, or None and the result."""
    try:
        return (steps.send(answer) if error is None else steps.throw(error)), None
    except StopIteration as stop:
        return None, stop.value


@contextmanager
def sent(client: OpenSearch | str, call: Call) -> Iterator[None]:
    """Turn exceptions of the client during a call into our errors; a lost point in time is the cursor's UsageError."""
    try:
        yield
    except (opensearchpy.OpenSearchException, opensearchpy.ImproperlyConfigured) as error:
        if isinstance(error, opensearchpy.NotFoundError) and "pit" in call.arguments.get("body", {}):
            raise UsageError(
                "The snapshot that this cursor reads is gone: it was kept too short, or the node restarted.",
                hint="Start at the first page again, with a longer snapshot.",
            ) from None
        where = client if isinstance(client, str) else address_of(client)
        raise translate(error, where, QueryError) from error
