"""The alias swap, in one request that no search falls between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import ClusterError


def indices_behind(client: OpenSearch, alias: str) -> list[str]:
    """The indices that an alias points at, sorted; a ClusterError where its name belongs to an index."""
    if client.indices.exists_alias(name=alias):
        return sorted(client.indices.get_alias(name=alias))
    if client.indices.exists(index=alias):
        raise ClusterError(
            f"{alias} is an index of its own, not an alias that clipita made.",
            hint="Choose another name with --index; your index stays as it is.",
        )
    return []


def swap_alias(
    client: OpenSearch,
    alias: str,
    name: str,
    expected: list[str],
    carried: Mapping[str, Any] | None = None,
    beside: Mapping[str, str] | None = None,
) -> str | None:
    """Point an alias at an index in one request.

    `expected` are the indices that it points at as far as the caller knows. Their `carried` aliases move along, with
    filters and routing. `beside` are further aliases, each with the index that it points at afterwards.

    Returns:
        The index that was behind the alias before and is kept; None if there was none or it is `name`.

    Raises:
        ClusterError: the alias was moved meanwhile, and stays as it is; or its name, or one of `beside`, belongs to an
            index.
    """
    behind = indices_behind(client, alias)
    if behind not in ([name], expected):
        raise ClusterError(
            f"The alias {alias} was moved by somebody else meanwhile, to {', '.join(behind) or 'nothing'}; "
            f"{name} is complete and stays beside it.",
            hint="Find out who writes to this alias, then run the same command again.",
        )
    moves = [(each, name, behind, options) for each, options in {alias: {}, **(carried or {})}.items()]
    _move(client, [*moves, *_present(client, beside or {})])
    return next(iter(behind), None) if behind != [name] else None


def point_aliases(client: OpenSearch, aliases: Mapping[str, str]) -> None:
    """Point each alias at its index, wherever it pointed; a ClusterError where its name belongs to an index."""
    _move(client, _present(client, aliases))


Move = tuple[str, str, list[str], Mapping[str, Any]]
"""An alias, the index to point it at, the indices that it points at, and its filter and routing."""


def _present(client: OpenSearch, aliases: Mapping[str, str]) -> list[Move]:
    return [(alias, index, indices_behind(client, alias), {}) for alias, index in aliases.items()]


def _move(client: OpenSearch, moves: Sequence[Move]) -> None:
    actions: list[dict[str, Any]] = []
    for alias, index, behind, options in moves:
        if behind != [index]:
            # A removal that must succeed makes the whole request fail if the alias moves between the two requests.
            actions += [{"remove": {"index": other, "alias": alias, "must_exist": True}} for other in behind]
            actions.append({"add": {"index": index, "alias": alias, **options}})
    if actions:
        client.indices.update_aliases(body={"actions": actions})
