"""The indices of an alias: list them, roll back to an earlier one, delete old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opensearchpy import OpenSearch

from clipita.errors import ClusterError, IndexMissingError, UsageError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.index.aliases import swap_alias
from clipita.opensearch.index.categories import SUFFIX, alias_beside
from clipita.opensearch.index.index import resolve, write_alias
from clipita.opensearch.index.lock import AliasLock


@dataclass(frozen=True)
class Version:
    """One index of an alias.

    Attributes:
        model: the model's name; None for the shop's own index.
        created: ISO 8601, or None.
        state: complete, building, or shop for the shop's own.
        bytes: size on disk.
    """

    name: str
    current: bool
    model: str | None
    fingerprint: str | None
    created: str | None
    state: str
    documents: int
    bytes: int


def list_versions(client: OpenSearch, alias: str) -> list[Version]:
    """All indices that ingest runs made for the alias, and the shop's own that one of them replaced; oldest first."""
    with guarded(client):
        found = client.indices.get_mapping(index=f"{alias}-*", ignore_unavailable=True, allow_no_indices=True)
        metas = {name: entry["mappings"].get("_meta", {}).get("clipita") for name, entry in found.items()}
        ours = {
            name: meta
            for name, meta in metas.items()
            if isinstance(meta, dict) and "fingerprint" in meta and not name.endswith(SUFFIX)
        }
        shops = {str(meta["copied_from"]) for meta in ours.values() if "copied_from" in meta} - set(ours)
        behind = resolve(client, alias)
        present = [name for name in (*ours, *shops, *([behind] if behind else [])) if client.indices.exists(index=name)]
        names = sorted(set(present))
        if not names:
            return []
        stats = client.indices.stats(index=",".join(names), metric="docs,store")["indices"]
    versions = []
    for name in names:
        meta = ours.get(name, {})
        primaries = stats[name]["primaries"]
        versions.append(
            Version(
                name, name == behind, meta.get("model"), meta.get("fingerprint"), meta.get("created"),
                str(meta.get("state", "building")) if meta else "shop", primaries["docs"]["count"],
                primaries["store"]["size_in_bytes"],
            )
        )  # fmt: skip
    return sorted(versions, key=lambda version: (version.created or "", version.name))


def roll_back(client: OpenSearch, alias: str, to: str | None = None) -> tuple[str, str]:
    """Point the alias at an earlier index: `to`, or the one that was behind the alias before the present one.

    Returns:
        The index that was behind the alias, and the one that is now.

    Raises:
        IndexLockedError: an ingest writes to the alias.
        IndexMissingError: there is no such alias.
        UsageError: there is no earlier index, or `to` is not one of this alias.
    """
    with AliasLock(client, alias):
        versions = list_versions(client, alias)
        current = next((version for version in versions if version.current), None)
        if current is None or current.name == alias:
            raise IndexMissingError(f"There is no alias {alias}.", hint="Check --index.")
        with guarded(client):
            mapping = client.indices.get_mapping(index=current.name)[current.name]["mappings"]
            before = mapping.get("_meta", {}).get("clipita", {}).get("replaced")
            target = _chosen(versions, current, to or before)
            aliases = client.indices.get(index=current.name)[current.name]["aliases"]
            carried = {name: options for name, options in aliases.items() if name != write_alias(current.name)}
            # Category vectors belong to the model of the index beside them.
            there = client.indices.exists(index=target.name + SUFFIX)
            beside = alias_beside(alias, target.name) if there else {}
            swap_alias(client, alias, target.name, [current.name], carried, beside)
    return current.name, target.name


def prune_versions(client: OpenSearch, alias: str, keep: int) -> tuple[list[Version], list[Version]]:
    """The indices that stay, and those to delete: ours except the present one and the `keep` newest complete ones."""
    versions = list_versions(client, alias)
    beside = [version for version in versions if not version.current and version.state == "complete"]
    kept = {version.name for version in beside[len(beside) - keep :]} if keep else set()
    stay = [version for version in versions if version.current or version.state == "shop" or version.name in kept]
    return stay, [version for version in versions if version not in stay]


def remove_versions(client: OpenSearch, alias: str, versions: Sequence[Version]) -> None:
    """Delete indices of an alias; an IndexLockedError during an ingest, a ClusterError for an index in use."""
    with AliasLock(client, alias), guarded(client):
        for version in versions:
            aliases = client.indices.get_alias(index=version.name)[version.name]["aliases"]
            used = [name for name in aliases if not name.endswith(".writing")]
            if used:
                raise ClusterError(f"{version.name} is still in use, by the alias {used[0]}.", hint="Move that first.")
            client.indices.delete(index=f"{version.name},{version.name}{SUFFIX}", ignore_unavailable=True)


def _chosen(versions: Sequence[Version], current: Version, name: str | None) -> Version:
    earlier = [version for version in versions if not version.current and version.state != "building"]
    listed = ", ".join(version.name for version in earlier) or "none"
    if name is None:
        # The first index replaced none; the latest complete one before it is the next best.
        earlier = [version for version in earlier if (version.created or "") <= (current.created or "")]
        if not earlier:
            raise UsageError("There is no earlier index to go back to.", hint=f"Beside the present one: {listed}.")
        return earlier[-1]
    found = next((version for version in earlier if version.name == name), None)
    if found is None:
        raise UsageError(
            f"{name} is not a complete index of this alias beside the present one.", hint=f"There are: {listed}."
        )
    return found
