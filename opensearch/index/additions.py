"""Categories made from examples: a bundle is amended, and the category vectors beside an index follow.

Of the products, only the examples and a sample are read, and none is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryPath, path_text
from clipita.config import QUERY_TEMPLATES, SearchConfig
from clipita.errors import UsageError
from clipita.evaluation.thresholds import at, expected
from clipita.opensearch.cluster.reads import address, all_shards, count, get_documents, shuffled
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index import index as indices
from clipita.opensearch.index.categories import MAPPING, SUFFIX, CategoryVector, category_id, load, write
from clipita.opensearch.index.mapping import NODES_FIELD, VECTOR_FIELD
from clipita.runtime.amending import Amending
from clipita.runtime.amendments import CategoryName, NewCategory
from clipita.runtime.new_categories import expected_cosine, moved, sharpening, vector_of

Vectors = npt.NDArray[np.float32]
SAMPLE = 2_000
"""Products drawn from the shop, from which a new category must differ."""
SHOWN = 5


class Additions:
    """Adds categories to a bundle that is being amended and to the index behind an alias.

    Raises:
        FingerprintError: the index holds vectors of another model.
        UsageError: no categories stand beside the index.
    """

    def __init__(self, work: Amending, client: OpenSearch, alias: str, backoff: Backoff) -> None:
        self.work, self.client, self.backoff, self.alias = work, client, backoff, alias
        index = indices.require(client, alias)
        indices.check_fingerprint(index, work.bundle, alias)
        self.index = index.name
        categories = load(client, self.index)
        self.stored, self.general = {entry.path: entry for entry in categories}, categories.general
        if not self.stored:
            raise UsageError(
                f"The index {alias} has no category vectors.",
                hint=f"Write them with: clipita ingest --index {alias}",
            )

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """The stored vectors of products, float32 [len(ids), dim].

        Raises:
            UsageError: no id is given, or a product is not in the index or has no vector.
        """
        if not ids:
            raise UsageError("No example is given.", hint="Name products that belong there with --like or --from.")
        docs = [address(one, None) for one in ids]
        found = get_documents(self.client, self.index, docs, self.backoff, _source_includes=VECTOR_FIELD)
        vectors = [document.get("_source", {}).get(VECTOR_FIELD) for document in found]
        wrong = [document["_id"] for document, vector in zip(found, vectors, strict=True) if vector is None]
        if wrong:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise UsageError(
                f"The index {self.alias} has no product with a vector of the id {', '.join(wrong[:SHOWN])}{more}.",
                hint="Give ids of products in it; `clipita search --json` shows them.",
            )
        return np.array(vectors, dtype=np.float32)

    def add(self, examples: Mapping[CategoryPath, tuple[Sequence[str], Vectors]]) -> list[NewCategory]:
        """Add categories, each by the ids and the vectors, [n, dim], of its examples.

        Raises:
            UsageError: a category is known already, or its parent is not there.
            ClusterError: the cluster refuses, or stays busy or away for too long.
        """
        for path in examples:
            self._check(path, examples)
        names = dict(zip(examples, self.work.anchored([path[-1] for path in examples]), strict=True))
        sharpen = sharpening(self._sample())
        added = [
            NewCategory(
                path, vector_of(names[path], vectors, sharpen),
                expected(expected_cosine(names[path], vectors, sharpen)), tuple(ids), vectors,
                (path[-1], *(template.replace("{}", path[-1]) for template in QUERY_TEMPLATES)),
            )
            for path, (ids, vectors) in examples.items()
        ]  # fmt: skip
        self._amend([*self.work.before.new, *added])
        return added

    def remove(self, path: CategoryPath) -> bool:
        """Take an added category away; returns whether its page is gone, which it is unless products are labelled so.

        Raises:
            UsageError: another added category stands below it.
            ClusterError: the cluster refuses, or stays busy or away for too long.
        """
        before = self.work.before
        below = [one.path for one in before.new if one.path[: len(path)] == path and one.path != path]
        if below:
            raise UsageError(f"{path_text(below[0])} stands below {path_text(path)}.", hint="Remove that one first.")
        node = category_id(path)
        labelled = count(self.client, self.index, self.backoff, {"term": {NODES_FIELD: node}})
        if labelled:
            vector = tuple(self.work.encoder.encode([path[-1]])[0].tolist())
            parent = self.stored.get(path[:-1])
            ends = self.general if parent is None else parent.thresholds
            write(self.client, self.index, [CategoryVector(path, vector, ends)], self.backoff)
        else:
            where = {"index": self.index + SUFFIX, "id": node, "ignore": [404], "params": {"refresh": "true"}}
            self.backoff.call(self.client, lambda: self.client.delete(**where))
        names = [name for name in before.names if name.category != path]
        self._amend([one for one in before.new if one.path != path], names)
        return not labelled

    def _sample(self) -> Vectors:
        """Vectors of products drawn at random, the same each time, float32 [n, dim]."""
        query = shuffled({"exists": {"field": VECTOR_FIELD}})
        body = {"size": SAMPLE, "query": query, "_source": [VECTOR_FIELD]}
        answer = self.backoff.call(self.client, lambda: all_shards(self.client.search(index=self.index, body=body)))
        return np.array([hit["_source"][VECTOR_FIELD] for hit in answer["hits"]["hits"]], dtype=np.float32)

    def _check(self, path: CategoryPath, together: Mapping[CategoryPath, object]) -> None:
        if not all(path):
            raise UsageError(f"The path {path_text(path)!r} has an empty name.", hint="Write it as: Shoes > Clogs")
        if path in self.work.known:
            added = any(one.path == path for one in self.work.before.new)
            raise UsageError(
                f"The category {path_text(path)} exists already.",
                hint=f"Remove it first with: clipita categories remove {path_text(path)!r}" if added
                else "Training saw it, so it needs no examples.",
            )  # fmt: skip
        taken = self.work.named(path[-1])
        if taken is None:
            taken = self.work.before.category(path[-1])
        if taken is None:
            taken = next((other for other in together if other != path and other[-1] == path[-1]), None)
        if taken is not None:
            raise UsageError(
                f"{path[-1]!r} is a name of {path_text(taken)} already, and one name has one vector.",
                hint="Choose another name.",
            )
        if len(path) > 1 and path[:-1] not in self.stored and path[:-1] not in together:
            raise UsageError(
                f"There is no category {path_text(path[:-1])} to put {path[-1]} in.", hint="Add that one first."
            )

    def _amend(self, new: Sequence[NewCategory], names: Sequence[CategoryName] | None = None) -> None:
        """Write to the index, then to the bundle, which decides whether it was done."""
        before = self.work.before
        places = self._moved(new)
        # Also those that need not move any more.
        touched = {name: vectors[0] for name, vectors in before.moved.items()}
        touched |= {name: vectors[1] for name, vectors in places.items()}
        entries = [
            CategoryVector(path, tuple(touched[path[-1]].tolist()))
            for path, entry in self.stored.items()
            if path[-1] in touched and not entry.added
        ]
        entries += [CategoryVector.of(one) for one in new if one not in before.new]
        # Indices of earlier versions lack the field `added`.
        fields = {"properties": {"added": MAPPING["properties"]["added"]}}
        self.backoff.call(self.client, lambda: self.client.indices.put_mapping(index=self.index + SUFFIX, body=fields))
        write(self.client, self.index, entries, self.backoff)
        self.work.write(before.names if names is None else names, new, places)

    def _moved(self, new: Sequence[NewCategory]) -> dict[str, tuple[Vectors, Vectors]]:
        """Vectors of categories of the training that make room for new ones: as they were learnt, and moved."""
        moved_before = self.work.before.moved
        trained = {path[-1] for path in self.work.known} - {one.path[-1] for one in new}
        known: dict[str, CategoryVector] = {}
        for path in sorted(self.stored, key=lambda path: (len(path), path)):
            if path[-1] in trained and self.stored[path].thresholds:
                known.setdefault(path[-1], self.stored[path])
        if not known or not new:
            return {}
        learnt = np.array(
            [moved_before[name][0] if name in moved_before else entry.vector for name, entry in known.items()],
            dtype=np.float32,
        )
        ends = np.array([at(entry.thresholds, SearchConfig.precision) for entry in known.values()])
        examples = np.concatenate([one.vectors for one in new])
        above = [[name in one.path[:-1] for name in known] for one in new for _ in one.examples]
        after = moved(learnt, ends, examples, np.array(above, dtype=bool))
        changed = (after != learnt).any(axis=1)
        return {name: (learnt[row], after[row]) for row, name in enumerate(known) if changed[row]}
