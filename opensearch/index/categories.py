"""Category vectors in the cluster: `<alias>-categories`, one document per category of the shop's tree.

With them a category page needs no model: its vector is looked up by the category's path or name, from Python or by
plain HTTP. They are stored in `<index>-categories` beside the index with whose products they are compared, so that a
search never mixes two models; the alias `<alias>-categories` moves along.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryPath, CategoryTree
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.bulk import Document, write_all
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.aliases import indices_behind, swap_alias

if TYPE_CHECKING:
    from clipita.runtime import Bundle

SUFFIX = "-categories"
SEPARATOR = " > "
MAX_ID_BYTES = 512
PAGE = 1_000
_NEAREST = 3

MAPPING: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "id": {"type": "keyword"},
        "path": {"type": "keyword", "ignore_above": 8191},
        "parent": {"type": "keyword", "ignore_above": 8191},
        "name": {"type": "keyword", "ignore_above": 8191, "fields": {"words": {"type": "text", "analyzer": "english"}}},
        "level": {"type": "integer"},
        "vector": {"type": "float", "index": False, "doc_values": False},
    },
}


@dataclass(frozen=True, slots=True)
class CategoryVector:
    """A category's path from the root, and its vector, [dim] of unit length."""

    path: CategoryPath
    vector: tuple[float, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The category's own name, which is its text as a query."""
        return self.path[-1]


class Categories:
    """Looks up categories by path or name."""

    def __init__(self, entries: Iterable[CategoryVector]) -> None:
        self._paths: dict[str, CategoryVector] = {}
        self._names: dict[str, CategoryVector] = {}
        for entry in sorted(entries, key=lambda entry: (len(entry.path), entry.path)):
            self._paths.setdefault(SEPARATOR.join(entry.path).casefold(), entry)
            # Categories of one name have one text, hence one vector: the uppermost stands for all.
            self._names.setdefault(entry.name.casefold(), entry)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[CategoryVector]:
        return iter(self._paths.values())

    def find(self, wanted: str | Sequence[str]) -> CategoryVector | None:
        """A category by its path (a sequence of names, or `A > B > C`) or its name, ignoring case."""
        key = (wanted if isinstance(wanted, str) else SEPARATOR.join(wanted)).strip().casefold()
        return self._paths.get(key) or (self._names.get(key) if isinstance(wanted, str) else None)

    def unknown(self, wanted: str | Sequence[str]) -> UsageError:
        """The error for a category that does not exist, with the nearest names."""
        text = wanted if isinstance(wanted, str) else SEPARATOR.join(wanted)
        name = text.rpartition(SEPARATOR)[2].strip().casefold()
        near = difflib.get_close_matches(name, self._names, n=_NEAREST, cutoff=0.5)
        shown = " or ".join(SEPARATOR.join(self._names[key].path) for key in near)
        hint = f"Did you mean {shown}?" if near else "Search for it as free text instead."
        return UsageError(f"There is no category {text!r} among {len(self):,}.", hint=hint)


def publish(
    client: OpenSearch,
    alias: str,
    index: str,
    bundle: Bundle,
    paths: Iterable[CategoryPath],
    backoff: Backoff | None = None,
) -> int:
    """Write the vectors of categories beside an index, point `<alias>-categories` at them, and return their number.

    Every node above the `paths` of products is a category too. Categories of earlier runs stay; those that training saw
    are written too.

    Raises:
        ClusterError: the cluster refuses, or stays busy or away for too long; or `<alias>-categories` is an index that
            clipita did not make.
    """
    from clipita.runtime import TextEncoder

    backoff = backoff or Backoff()
    categories = CategoryTree([*paths, *bundle.categories]).categories
    names = sorted({category.name for category in categories})
    vectors = dict(zip(names, TextEncoder(bundle).encode(names).tolist(), strict=True))
    target = index + SUFFIX
    backoff.call(client, lambda: _create(client, target, bundle.fingerprint))
    documents = [_document(category.path, vectors[category.name]) for category in categories]
    refused = write_all(client, target, documents, backoff, require_alias=False)
    if refused:
        raise ClusterError(f"{len(refused)} categories were refused by {target}; the first: {refused[0]}.")
    moved = alias + SUFFIX
    backoff.call(client, lambda: swap_alias(client, moved, target, indices_behind(client, moved)))
    return len(documents)


def load(client: OpenSearch, index: str) -> Categories:
    """The categories beside an index; empty where ingest wrote none."""
    with guarded(client):
        if not client.indices.exists(index=index + SUFFIX):
            return Categories(())
        entries: list[CategoryVector] = []
        body: dict[str, Any] = {"size": PAGE, "sort": [{"id": "asc"}], "_source": ["path", "vector"]}
        while hits := client.search(index=index + SUFFIX, body=body)["hits"]["hits"]:
            sources = (hit["_source"] for hit in hits)
            entries += [CategoryVector(tuple(source["path"]), tuple(source["vector"])) for source in sources]
            body["search_after"] = hits[-1]["sort"]
    return Categories(entries)


def category_id(path: CategoryPath) -> str:
    """A category's `_id`: its path with ` > ` between the names, or a hash of a path that is too long for an id."""
    text = SEPARATOR.join(path)
    return text if len(text.encode()) <= MAX_ID_BYTES else hashlib.sha256(text.encode()).hexdigest()


def _create(client: OpenSearch, target: str, fingerprint: str) -> None:
    if not client.indices.exists(index=target):
        body = {
            "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
            "mappings": {**MAPPING, "_meta": {"clipita": {"fingerprint": fingerprint}}},
        }
        client.indices.create(index=target, body=body)


def _document(path: CategoryPath, vector: list[float]) -> Document:
    identifier = category_id(path)
    source = {
        "id": identifier,
        "path": list(path),
        "parent": SEPARATOR.join(path[:-1]),
        "name": path[-1],
        "level": len(path),
        "vector": vector,
    }
    return Document(identifier, orjson.dumps(source))
