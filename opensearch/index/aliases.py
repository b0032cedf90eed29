"""The alias swap, in one request that no search falls between."""

from __future__ import annotations

from collections.abc import Mapping
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
    client: OpenSearch, alias: str, name: str, expected: list[str], carried: Mapping[str, Any] | None = None
) -> str | None:
    """Point an alias at an index in one request.

    `expected` are the indices that it points at as far as the caller knows. Their `carried` aliases move along, with
    filters and routing.

    Returns:
        The index that was behind the alias before and is kept; None if there was none or it is `name`.

    Raises:
        ClusterError: the alias was moved meanwhile, and stays as it is; or its name belongs to an index.
    """
    behind = indices_behind(client, alias)
    if behind == [name]:
        return None
    if behind != expected:
        raise ClusterError(
            f"The alias {alias} was moved by somebody else meanwhile, to {', '.join(behind) or 'nothing'}; "
            f"{name} is complete and stays beside it.",
            hint="Find out who writes to this alias, then run the same command again.",
        )
    actions: list[dict[str, Any]] = []
    for each, options in {alias: {}, **(carried or {})}.items():
        # A removal that must succeed makes the whole request fail if the alias moves between the two requests.
        actions += [{"remove": {"index": other, "alias": each, "must_exist": True}} for other in behind]
        actions.append({"add": {"index": name, "alias": each, **options}})
    client.indices.update_aliases(body={"actions": actions})
    return next(iter(behind), None)
