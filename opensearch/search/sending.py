"""How a search is sent: to which copies of the shards, and to which moment's state of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.search.arguments import SearchArguments

EXPLAINED = {"include_named_queries_score": "true"}


def search_params(arguments: SearchArguments | None) -> dict[str, str]:
    """Parameters in a search's address.

    All pages of one search, and the same search asked again, go to the same copy of each shard: copies merge and
    refresh at times of their own, so that another copy may give other scores and another order.
    https://docs.opensearch.org/latest/search-plugins/searching-data/search-shard-routing/
    """
    return {} if arguments is None else {"preference": arguments.identity, **explained(arguments)}


def snapshot_params(arguments: SearchArguments, given: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a point in time, which stays with the copies that it was made on."""
    return {"keep_alive": given["snapshot"], "preference": arguments.identity}


def explained(arguments: SearchArguments | None) -> dict[str, str]:
    """What makes the cluster tell the scores of both halves, where an explanation is asked for."""
    return EXPLAINED if arguments is not None and arguments.explain else {}


def expired() -> UsageError:
    """The error for a cursor whose point in time is gone."""
    return UsageError(
        "The snapshot that this cursor reads is gone: it was kept too short, or the node restarted.",
        hint="Start at the first page again, with a longer snapshot.",
    )


def at_snapshot(body: dict[str, Any], snapshot: tuple[str, str]) -> dict[str, Any]:
    """The body for a point in time, which stands in place of the index."""
    return {**body, "pit": {"id": snapshot[0], "keep_alive": snapshot[1]}}
