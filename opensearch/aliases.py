"""Moving aliases from one index to another, in one step that no search falls between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import ClusterError


def swap_alias(
    client: OpenSearch, alias: str, name: str, expected: str | None, carried: Mapping[str, Any] | None = None
) -> str | None:
    """Point an alias at an index.

    Args:
        client: connected.
        alias: what to move.
        name: the index it shall point at.
        expected: the index it points at now, as far as the caller knows; None for no alias.
        carried: further aliases of that index that go along, with their filters and routing.

    Returns:
        The index that was behind it before and is kept, if it was another one.

    Raises:
        ClusterError: somebody else moved the alias meanwhile; it stays as it is.
        OpenSearchException: what the cluster says.
    """
    behind = sorted(client.indices.get_alias(name=alias)) if client.indices.exists_alias(name=alias) else []
    if behind == [name]:
        return None
    if behind != ([] if expected is None else [expected]):
        raise ClusterError(
            f"The alias {alias} was moved by somebody else meanwhile, to {', '.join(behind) or 'nothing'}; "
            f"{name} is whole and stays beside it.",
            hint="Find out who writes to this alias, then run the same command again.",
        )
    moved = {alias: (carried or {}).get(alias, {}), **(carried or {})}
    actions: list[dict[str, Any]] = []
    for each, options in moved.items():
        # A removal that must succeed makes the whole request fail if the alias moves between the two requests.
        actions += [{"remove": {"index": other, "alias": each, "must_exist": True}} for other in behind]
        actions.append({"add": {"index": name, "alias": each, **_options(options)}})
    client.indices.update_aliases(body={"actions": actions})
    return expected


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the cluster reports about an alias, as it wants to be told it."""
    return dict(options)
