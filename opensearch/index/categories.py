"""Category vectors in the cluster: `<alias>-categories`, one document per category of the shop's tree.

With them a category page needs no model: its vector is looked up by the category's path or name, from Python or by
plain HTTP. They are stored in `<index>-categories` beside the index with whose products they are compared, so that a
search never mixes two models; the alias `<alias>-categories` moves along.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
from opensearchpy import OpenSearch

from clipita.catalogue.product import SEPARATOR, CategoryPath, CategoryTree, nodes_on, path_text
from clipita.errors import ClusterError, UsageError
from clipita.languages import ENGLISH, LanguageConfig
from clipita.opensearch.cluster.bulk import Document, write_all
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.reads import all_shards
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.aliases import point_aliases
from clipita.opensearch.index.analysis import analysis, text_field
from clipita.opensearch.index.mapping import NODES_FIELD

if TYPE_CHECKING:
    from clipita.runtime import Bundle
    from clipita.runtime.amendments import NewCategory

SUFFIX = "-categories"
MAX_ID_BYTES = 512
Named = Callable[[str], CategoryPath | None]
PAGE = 1_000
MAX_ADDED = 10_000
"""Categories added by examples that are looked for: `index.max_result_window` by default."""
_READ = ["path", "vector", "thresholds", "added"]
_NEAREST = 3

MAPPING: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "id": {"type": "keyword"},
        "path": {"type": "keyword", "ignore_above": 8191},
        "parent": {"type": "keyword", "ignore_above": 8191},
        "name": {"type": "keyword", "ignore_above": 8191, "fields": {"words": text_field(LanguageConfig())}},
        "level": {"type": "integer"},
        "vector": {"type": "float", "index": False, "doc_values": False},
        "added": {"type": "boolean"},
    },
}


@dataclass(frozen=True, slots=True)
class CategoryVector:
    """A category's path from the root, its vector, [dim] of unit length, and its thresholds; see `thresholds.Curve`.

    `added` says that it was made from examples after the training (`clipita categories add`).
    """

    path: CategoryPath
    vector: tuple[float, ...] = field(repr=False)
    thresholds: tuple[float, ...] = field(default=(), repr=False)
    added: bool = False

    @classmethod
    def of(cls, new: NewCategory) -> CategoryVector:
        """A category that was added by examples."""
        return cls(new.path, tuple(new.vector.tolist()), new.thresholds, added=True)

    @property
    def name(self) -> str:
        """The category's own name, which is its text as a query."""
        return self.path[-1]


class Categories:
    """Looks up categories by path, by name, or by their nearness to a query.

    Attributes:
        general: thresholds of queries that name no known category; empty where none were fitted.

    `named` gives the path of a category that has another name besides its own.
    """

    def __init__(
        self, entries: Iterable[CategoryVector], general: tuple[float, ...] = (), named: Named | None = None
    ) -> None:
        self.general = general
        self._named = named
        self._paths: dict[str, CategoryVector] = {}
        self._names: dict[str, CategoryVector] = {}
        for entry in sorted(entries, key=lambda entry: (len(entry.path), entry.path)):
            self._paths.setdefault(path_text(entry.path).casefold(), entry)
            # Categories of one name have one text, hence one vector: the uppermost stands for all.
            self._names.setdefault(entry.name.casefold(), entry)
        self._entries = list(self._paths.values())
        self._alike: dict[str, list[str]] = {}
        for entry in self._entries:
            self._alike.setdefault(entry.name.casefold(), []).append(category_id(entry.path))
        self._vectors = np.array([entry.vector for entry in self._entries], dtype=np.float32)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def names(self) -> list[str]:
        """The name of each category, without its path."""
        return [entry.name for entry in self._entries]

    def __iter__(self) -> Iterator[CategoryVector]:
        return iter(self._entries)

    def find(self, wanted: str | Sequence[str]) -> CategoryVector | None:
        """A category by its path (a sequence of names, or `A > B > C`) or a name of its, ignoring case."""
        key = (wanted if isinstance(wanted, str) else path_text(wanted)).strip().casefold()
        found = self._paths.get(key)
        if found is None and isinstance(wanted, str):
            found = self._names.get(key)
            if found is None and self._named is not None and (path := self._named(wanted)):
                found = self._paths.get(path_text(path).casefold())
        return found

    def nodes(self, found: CategoryVector, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Ids of the categories that `wanted` means: one by path, all of the name by name."""
        if not isinstance(wanted, str) or wanted.strip().casefold() in self._paths:
            return (category_id(found.path),)
        return tuple(self._alike[found.name.casefold()])

    def nearest(self, vector: Sequence[float], count: int = 1) -> list[tuple[CategoryVector, float]]:
        """The categories of the highest cosine to a vector, [dim], with it; one of each name."""
        if not self._entries:
            return []
        cosines = self._vectors @ np.asarray(vector, dtype=np.float32)
        found: dict[str, tuple[CategoryVector, float]] = {}
        for position in [int(cosines.argmax())] if count == 1 else np.argsort(-cosines, kind="stable"):
            entry = self._entries[position]
            found.setdefault(entry.name.casefold(), (entry, float(cosines[position])))
            if len(found) == count:
                break
        return list(found.values())

    def unknown(self, wanted: str | Sequence[str], alias: str) -> UsageError:
        """The error for a category that does not exist behind an alias, with the nearest names."""
        if not self._entries:
            return UsageError(
                f"The index {alias} has no category vectors.",
                hint=f"Write them with: clipita ingest --index {alias}",
            )
        text = wanted if isinstance(wanted, str) else path_text(wanted)
        name = text.rpartition(SEPARATOR)[2].strip().casefold()
        near = difflib.get_close_matches(name, self._names, n=_NEAREST, cutoff=0.5)
        shown = " or ".join(path_text(self._names[key].path) for key in near)
        hint = f"Did you mean {shown}?" if near else "Search for it as free text instead."
        return UsageError(f"There is no category {text!r} among {len(self):,}.", hint=hint)


def publish(
    client: OpenSearch,
    alias: str,
    index: str,
    bundle: Bundle,
    paths: Iterable[CategoryPath],
    backoff: Backoff | None = None,
    language: str = ENGLISH,
) -> int:
    """Do what `write_vectors` does, and point `<alias>-categories` at the result.

    Raises:
        ClusterError: as of `write_vectors`; or `<alias>-categories` is an index that clipita did not make.
    """
    backoff = backoff or Backoff()
    written = write_vectors(client, index, bundle, paths, backoff, language)
    backoff.call(client, lambda: point_aliases(client, alias_beside(alias, index)))
    return written


def alias_beside(alias: str, index: str) -> dict[str, str]:
    """The alias of the categories, with the index that it has to point at once `alias` points at `index`."""
    # An index that has no alias is searched by its own name.
    return {} if alias == index else {alias + SUFFIX: index + SUFFIX}


def write_vectors(
    client: OpenSearch,
    index: str,
    bundle: Bundle,
    paths: Iterable[CategoryPath],
    backoff: Backoff,
    language: str = ENGLISH,
) -> int:
    """Write the vectors of categories beside an index, and return their number.

    Every node above the `paths` of products is a category too. Categories of earlier runs stay; those that training saw
    are written too. The vectors of categories that were added by examples stay, whichever copy of the bundle is given.
    `language` is that of the names.

    Raises:
        ClusterError: the cluster refuses, or stays busy or away for too long.
    """
    from clipita.runtime import TextEncoder

    target = index + SUFFIX
    backoff.call(client, lambda: _create(client, target, bundle.fingerprint, LanguageConfig(language)))
    new = [CategoryVector.of(one) for one in bundle.amendments.new]
    kept = backoff.call(client, lambda: _added(client, target)) | {entry.path for entry in new}
    categories = [one for one in CategoryTree([*paths, *bundle.categories]).categories if one.path not in kept]
    names = sorted({category.name for category in categories})
    vectors = dict(zip(names, TextEncoder(bundle).encode(names).tolist(), strict=True))
    entries = [CategoryVector(category.path, tuple(vectors[category.name])) for category in categories]
    write(client, index, [*entries, *new], backoff)
    return len(entries) + len(kept)


def write(client: OpenSearch, index: str, entries: Sequence[CategoryVector], backoff: Backoff) -> None:
    """Write categories beside an index; the thresholds of one without any stay as they are.

    Raises:
        ClusterError: the cluster refuses, or stays busy or away for too long.
    """
    write_documents(client, index, [_document(entry) for entry in entries], "categories", backoff)


def write_documents(client: OpenSearch, index: str, documents: Sequence[Document], what: str, backoff: Backoff) -> None:
    """Write documents, which are `what` in an error, beside an index; errors as of `write`."""
    target = index + SUFFIX
    refused = write_all(client, target, documents, backoff, require_alias=False)
    if refused:
        raise ClusterError(f"{len(refused)} {what} were refused by {target}; the first: {refused[0]}.")


def load(client: OpenSearch, index: str, named: Named | None = None) -> Categories:
    """The categories beside an index; empty where ingest wrote none. `named` knows further names of theirs."""
    name = index + SUFFIX
    with guarded(client):
        if not client.indices.exists(index=name):
            return Categories(())
        meta = client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {}).get("clipita", {})
        entries: list[CategoryVector] = []
        body: dict[str, Any] = {"size": PAGE, "sort": [{"id": "asc"}], "_source": _READ}
        while hits := all_shards(client.search(index=name, body=body))["hits"]["hits"]:
            entries += [_entry(hit["_source"]) for hit in hits]
            body["search_after"] = hits[-1]["sort"]
    fitted = meta.get("thresholds") or {}
    # Cosines of another model mean nothing here.
    general = tuple(fitted["general"]) if fitted.get("fingerprint") == meta["fingerprint"] else ()
    return Categories(entries, general, named)


def default_members(client: OpenSearch, index: str, category: CategoryVector) -> Literal["labelled", "predicted"]:
    """What the page of an added category holds: the products labelled with it, or those near it as long as none is."""
    labelled = {"query": {"term": {NODES_FIELD: category_id(category.path)}}}
    with guarded(client):
        return "labelled" if client.count(index=index, body=labelled)["count"] else "predicted"


def category_id(path: CategoryPath) -> str:
    """A category's `_id`: its path with ` > ` between the names, or a hash of a path that is too long for an id."""
    text = path_text(path)
    return text if len(text.encode()) <= MAX_ID_BYTES else hashlib.sha256(text.encode()).hexdigest()


def node_ids(paths: Iterable[CategoryPath]) -> list[str]:
    """Ids of the categories on a product's paths, each once, ancestors first."""
    return [category_id(node) for node in nodes_on(paths)]


def _create(client: OpenSearch, target: str, fingerprint: str, spoken: LanguageConfig) -> None:
    if not client.indices.exists(index=target):
        settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
        words = analysis(spoken)
        name = {**MAPPING["properties"]["name"], "fields": {"words": text_field(spoken)}}
        body = {
            "settings": {"index": {**settings, **({"analysis": words} if words else {})}},
            "mappings": {
                **MAPPING,
                "properties": {**MAPPING["properties"], "name": name},
                "_meta": {"clipita": {"fingerprint": fingerprint}},
            },
        }
        client.indices.create(index=target, body=body)


def _added(client: OpenSearch, target: str) -> set[CategoryPath]:
    """Paths of the categories that were added by examples."""
    body = {"size": MAX_ADDED, "query": {"term": {"added": True}}, "_source": ["path"]}
    answer = all_shards(client.search(index=target, body=body))
    return {tuple(hit["_source"]["path"]) for hit in answer["hits"]["hits"]}


def _entry(source: Mapping[str, Any]) -> CategoryVector:
    thresholds = tuple(source.get("thresholds", ()))
    return CategoryVector(tuple(source["path"]), tuple(source["vector"]), thresholds, bool(source.get("added")))


def _document(entry: CategoryVector) -> Document:
    identifier = category_id(entry.path)
    source = {
        "id": identifier,
        "path": list(entry.path),
        "parent": path_text(entry.path[:-1]),
        "name": entry.name,
        "level": len(entry.path),
        "vector": list(entry.vector),
        "added": entry.added,
        **({"thresholds": entry.thresholds} if entry.thresholds else {}),
    }
    # Thresholds that were fitted before stay.
    return Document(identifier, orjson.dumps({"doc": source, "doc_as_upsert": True}), None, "update")
