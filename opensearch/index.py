"""The index: its mapping, the alias in front of it, and the model it belongs to.

`products` is an alias; behind it lies `products-<fingerprint[:8]>-<n>`, whose mapping says under `_meta.clipita` which
model made its vectors. Another model gets another index beside it; the alias moves when that one is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch, OpenSearchException

from clipita.config import IngestConfig
from clipita.errors import ClipItaError, ClusterError, FingerprintError, IndexMissingError
from clipita.opensearch.cluster import address_of, guarded, translate
from clipita.opensearch.mapping import SCHEMA, mapping_body
from clipita.opensearch.retry import Backoff

if TYPE_CHECKING:
    from clipita.runtime import Bundle


@dataclass(frozen=True)
class ProductIndex:
    """An index of ours.

    Attributes:
        name: the concrete index.
        meta: `_meta.clipita` of its mapping: fingerprint, dim, model, created, schema, state.
        properties: the mapping's properties.
    """

    name: str
    meta: Mapping[str, Any]
    properties: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Of the model whose vectors it holds."""
        return str(self.meta["fingerprint"])

    @property
    def complete(self) -> bool:
        """Whether an ingest run came to its end here."""
        return self.meta.get("state") == "complete"


def find(client: OpenSearch, alias: str) -> ProductIndex | None:
    """The index behind the alias; None where there is neither alias nor index of this name.

    Raises:
        ClusterError: the alias covers several indices, or the name belongs to an index that is not ours.
    """
    with guarded(client):
        if not client.indices.exists_alias(name=alias):
            if client.indices.exists(index=alias):
                raise ClusterError(
                    f"{alias} is an index of its own, not an alias that clipita made.",
                    hint="Choose another name with --index; your index stays as it is.",
                )
            return None
        behind = sorted(client.indices.get_alias(name=alias))
    if len(behind) > 1:
        raise ClusterError(
            f"The alias {alias} covers several indices: {', '.join(behind)}.",
            hint="Let it point at one, or choose another name with --index.",
        )
    return read(client, behind[0])


def read(client: OpenSearch, name: str) -> ProductIndex:
    """A concrete index and the model it says it belongs to.

    Raises:
        IndexMissingError: there is none of this name.
        ClusterError: it is not ours, or comes from a newer clipita.
    """
    with guarded(client):
        mapping = client.indices.get_mapping(index=name)[name]["mappings"]
    meta = mapping.get("_meta", {}).get("clipita")
    if not isinstance(meta, dict) or "fingerprint" not in meta:
        raise ClusterError(
            f"The index {name} was not made by clipita: its mapping names no model.",
            hint="Choose another name with --index; your index stays as it is.",
        )
    if meta.get("schema", 0) > SCHEMA:
        raise ClusterError(
            f"The index {name} comes from a newer clipita (schema {meta['schema']}, this one reads up to {SCHEMA}).",
            hint="Upgrade clipita.",
        )
    return ProductIndex(name, meta, mapping.get("properties", {}))


def require(client: OpenSearch, alias: str) -> ProductIndex:
    """The index behind the alias.

    Raises:
        IndexMissingError: there is none.
        ClusterError: see `find`.
    """
    index = find(client, alias)
    if index is None:
        raise IndexMissingError(f"There is no index {alias}.", hint=f"Make it with: clipita ingest --index {alias}")
    return index


def check_fingerprint(index: ProductIndex, bundle: Bundle, alias: str) -> None:
    """Queries and products must come from one model, or every distance is noise.

    Raises:
        FingerprintError: they do not.
    """
    if index.fingerprint != bundle.fingerprint:
        raise FingerprintError(
            f"The index {alias} ({index.name}) holds vectors of model {index.fingerprint[:8]}, but {bundle.path} is "
            f"model {bundle.fingerprint[:8]}.",
            hint=f"Use the bundle that the index was made with, or build a new index beside it and switch over: "
            f"clipita ingest --index {alias} --new-index",
        )


def open_for_ingest(
    client: OpenSearch, alias: str, bundle: Bundle, engine: str, config: IngestConfig, *, new_index: bool
) -> ProductIndex:
    """The index that this run writes to, made when it is not there.

    The first index of an alias is behind it from the start. With `new_index` it is built beside the present one, and
    an earlier such run that did not come to its end is continued.

    Raises:
        FingerprintError: the present index belongs to another model and `new_index` is not set.
        ClusterError: see `find`.
    """
    present = find(client, alias)
    if present is not None and not new_index:
        check_fingerprint(present, bundle, alias)
        return present
    names = _names(client, alias, bundle.fingerprint)
    for name in reversed(names):
        candidate = read(client, name)
        if candidate.fingerprint == bundle.fingerprint and not candidate.complete:
            if present is None:
                with guarded(client):
                    swap_alias(client, alias, name, None)
            return candidate
    number = int(names[-1].rpartition("-")[2]) + 1 if names else 1
    body = mapping_body(bundle, engine, config)
    if present is None:
        body["aliases"] = {alias: {}}
    return _create(client, f"{_stem(alias, bundle.fingerprint)}{number}", body)


def swap_alias(client: OpenSearch, alias: str, name: str, expected: str | None) -> str | None:
    """Point the alias at an index, in one step that no search falls between.

    Args:
        client: connected.
        alias: what to move.
        name: the index it shall point at.
        expected: the index it points at now, as far as the caller knows; None for no alias.

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
    # A removal that must succeed makes the whole request fail if the alias moves between the two requests.
    actions: list[dict[str, Any]] = [
        {"remove": {"index": other, "alias": alias, "must_exist": True}} for other in behind
    ]
    actions.append({"add": {"index": name, "alias": alias}})
    client.indices.update_aliases(body={"actions": actions})
    return expected


def write_alias(name: str) -> str:
    """The alias that an index bears while a run writes to it; writes to it fail once the index is gone."""
    return f"{name}.writing"


@contextmanager
def loading(client: OpenSearch, name: str, backoff: Backoff) -> Iterator[None]:
    """A write alias and no refresh while a load runs; the former interval and a refresh at the end, whatever happens.

    The former interval stands in `_meta` meanwhile, so that the run after a killed one restores it too.
    """
    interval = backoff.call(client, lambda: _switch_refresh_off(client, name))
    try:
        yield
    except BaseException as error:
        try:
            with guarded(client):
                _restore(client, name, interval)
        except ClipItaError as second:
            # The first error is the one to tell; the next run restores the interval.
            error.add_note(f"The refresh interval of {name} is still off: {second.message}")
        raise
    backoff.call(client, lambda: _restore(client, name, interval))


def mark_complete(client: OpenSearch, name: str, backoff: Backoff) -> None:
    """Say in the mapping that a run came to its end here."""
    backoff.call(client, lambda: _update_meta(client, name, state="complete"))


def remember(client: OpenSearch, name: str, **facts: Any) -> None:
    """Keep facts about an index in `_meta.clipita` of its mapping."""
    with guarded(client):
        _update_meta(client, name, **facts)


def _stem(alias: str, fingerprint: str) -> str:
    return f"{alias}-{fingerprint[:8]}-"


def _names(client: OpenSearch, alias: str, fingerprint: str) -> list[str]:
    """The indices of one model for the alias, by number."""
    stem = _stem(alias, fingerprint)
    with guarded(client):
        found = client.indices.get(index=f"{stem}*", ignore_unavailable=True, allow_no_indices=True)
    return sorted((name for name in found if name[len(stem) :].isdigit()), key=lambda name: int(name[len(stem) :]))


def _create(client: OpenSearch, name: str, body: dict[str, Any]) -> ProductIndex:
    try:
        client.indices.create(index=name, body=body)
    except OpenSearchException as error:
        # A second ingest that starts at the same moment writes the same documents to the same place.
        if getattr(error, "error", None) != "resource_already_exists_exception":
            raise translate(error, address_of(client)) from error
    return read(client, name)


def _switch_refresh_off(client: OpenSearch, name: str) -> str | None:
    settings = client.indices.get_settings(index=name)[name]["settings"]["index"]
    interval: str | None = settings.get("refresh_interval")
    if interval == "-1":
        interval = read(client, name).meta.get("refresh_interval")
    _update_meta(client, name, refresh_interval=interval)
    client.indices.put_settings(index=name, body={"index": {"refresh_interval": "-1"}})
    client.indices.put_alias(index=name, name=write_alias(name), body={"is_hidden": True})
    return interval


def _restore(client: OpenSearch, name: str, interval: str | None) -> None:
    client.indices.put_settings(index=name, body={"index": {"refresh_interval": interval}})
    client.indices.delete_alias(index=name, name=write_alias(name), ignore=[404])
    client.indices.refresh(index=name)


def _update_meta(client: OpenSearch, name: str, **changes: Any) -> None:
    # _meta is replaced as a whole by every update of a mapping.
    whole = client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {})
    ours = {**whole.get("clipita", {}), **changes}
    client.indices.put_mapping(index=name, body={"_meta": {**whole, "clipita": ours}})
