"""The vocabulary as the index's documents have it: bodies of the requests, and what their answers say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from clipita.catalogue.category_cells import written_paths
from clipita.errors import ProductError, UsageError
from clipita.opensearch.cluster.reads import shuffled, value_at
from clipita.opensearch.index.mapping import ID_FIELD
from clipita.opensearch.search.boosts import NUMBERS
from clipita.opensearch.search.fields import FieldNames, mapping_at
from clipita.opensearch.search.understanding.openings import openings
from clipita.opensearch.search.understanding.stems import Ask, Stemmer
from clipita.opensearch.search.understanding.vocabulary import Value, Vocabulary, spaced, words_of

MAX_FIELDS = 100
MAX_VALUES = 10_000
"""Values of a field; a field with more of them has the most frequent ones."""
MAX_BUCKETS = 50_000
"""Values in one answer; `search.max_buckets` is 65,535 by default."""
LEAST_PRODUCTS = 2
"""The products that have a field, divided by its values: below, the field holds ids, names or descriptions."""
MAX_CHARACTERS = 60
TITLES = 10_000
"""Titles that are looked at, which is the most that one answer has by default."""

Search = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Sends the body of a `_search` request."""


def read_vocabulary(
    properties: Mapping[str, Any],
    names: FieldNames,
    stem: Stemmer,
    search: Search,
    ask: Ask,
    categories: Iterable[str] = (),
) -> Vocabulary:
    """The vocabulary of an index.

    It takes two requests, one more for each 50,000 values, and one for each 200 words where the analyzer is not
    `english`.

    Args:
        properties: of the index's mapping.
        names: its fields.
        stem: by the analyzer of the title.
        search: sends a search.
        ask: sends words to the analyzer.
        categories: texts that name categories, besides the names on the products' paths.
    """
    fields = value_fields(properties, names)
    if len(fields) > MAX_FIELDS:
        fields = most_used(fields, search(usage(fields)), MAX_FIELDS)
    labels = None
    with suppress(UsageError):
        labels = names.exact(names.layout.category_path)
    sizes = _sizes(search, fields.values())
    if labels is not None:
        sizes[labels] = MAX_VALUES
    found: dict[str, list[tuple[str, int]]] = {}
    for some in _batches(sizes):
        # Aggregations are numbered: a field may have a name that an aggregation must not have.
        aggregations = {
            f"values{number}": {"terms": {"field": path, "size": size}}
            for number, (path, size) in enumerate(some.items())
        }
        answer = search({"size": 0, "aggs": aggregations})["aggregations"]
        found |= {
            path: [(bucket["key"], bucket["doc_count"]) for bucket in answer[f"values{number}"]["buckets"]]
            for number, path in enumerate(some)
        }
    on_paths: list[str] = []
    for cell, _ in found.pop(labels or "", ()):
        with suppress(ProductError):
            on_paths += (name for path in written_paths(cell, names.layout) for name in path)
    nodes = sorted({*on_paths, *categories})
    title = names.layout.title
    begins = openings(_titles(search, title)) if names.types.get(title) == "text" else []
    values = [
        Value(name, text, count)
        for name, path in fields.items()
        for text, count in found.get(path, ())
        if len(text) <= MAX_CHARACTERS
    ]
    numbers = [names.short(path) for path, kind in names.types.items() if kind in NUMBERS]
    texts = [*nodes, *begins, *(value.text for value in values), *map(spaced, [*fields, *numbers])]
    stem.learn(stem.unknown(words_of(texts)), ask)
    return Vocabulary(values, nodes, numbers, stem, begins, title)


def value_fields(properties: Mapping[str, Any], names: FieldNames) -> dict[str, str]:
    """The shop's names of the fields whose values may be vocabulary, each to its path."""
    layout = names.layout
    not_values = {ID_FIELD, layout.title, layout.category_path, layout.image}
    found: dict[str, str] = {}
    for path, kind in names.types.items():
        mapping = mapping_at(properties, path)
        readable = mapping.get("doc_values", True) and mapping.get("index", True)
        if kind == "keyword" and readable and path.removesuffix(".keyword") not in not_values:
            found.setdefault(names.short(path), path)
    return found


def usage(fields: Mapping[str, str]) -> dict[str, Any]:
    """The body of a search that counts the products with a value in each of some fields, for `most_used`."""
    counts = {f"count{n}": {"filter": {"exists": {"field": path}}} for n, path in enumerate(fields.values())}
    return {"size": 0, "track_total_hits": False, "aggs": counts}


def most_used(fields: Mapping[str, str], answer: Mapping[str, Any], most: int) -> dict[str, str]:
    """Those of the fields that most products have, in their order."""
    counts = answer["aggregations"]
    numbers = sorted(range(len(fields)), key=lambda number: -counts[f"count{number}"]["doc_count"])
    kept = set(numbers[:most])
    return {name: path for number, (name, path) in enumerate(fields.items()) if number in kept}


def _sizes(search: Search, paths: Collection[str]) -> dict[str, int]:
    """How many values to read of each field whose values are shared by products."""
    if not paths:
        return {}
    counts = {f"products{number}": {"filter": {"exists": {"field": path}}} for number, path in enumerate(paths)}
    values = {f"values{number}": {"cardinality": {"field": path}} for number, path in enumerate(paths)}
    answer = search({"size": 0, "aggs": {**counts, **values}})["aggregations"]
    sizes = {}
    for number, path in enumerate(paths):
        products, distinct = answer[f"products{number}"]["doc_count"], answer[f"values{number}"]["value"]
        if 0 < distinct * LEAST_PRODUCTS <= products:
            # The number of values is an estimate.
            sizes[path] = min(MAX_VALUES, 2 * distinct + 10)
    return sizes


def _titles(search: Search, path: str) -> list[str]:
    """Titles of random products, the same ones each time."""
    body = {"size": TITLES, "_source": [path], "query": shuffled({"match_all": {}}), "track_total_hits": False}
    found = (value_at(hit["_source"], path) for hit in search(body)["hits"]["hits"])
    return [title for title in found if isinstance(title, str)]


def _batches(sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The fields, by as many values as one answer may have."""
    batch: dict[str, int] = {}
    for path, size in sizes.items():
        if batch and sum(batch.values()) + size > MAX_BUCKETS:
            yield batch
            batch = {}
        batch[path] = size
    if batch:
        yield batch
