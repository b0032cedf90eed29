"""Reads the queries of one index: its vocabulary is read from the cluster when the first query comes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import QueryError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.index.index import ProductIndex
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.options import SearchArguments
from clipita.opensearch.search.understanding.parse import Understanding, Understood, understand
from clipita.opensearch.search.understanding.source import read_vocabulary
from clipita.opensearch.search.understanding.stems import Stemmer
from clipita.opensearch.search.understanding.vocabulary import Vocabulary, words_of


class QueryReader:
    """Finds the parts of queries that are conditions on the fields of an index; may be shared by threads.

    Args:
        client: of the cluster.
        index: whose values and titles are read.
        names: its fields.
        categories: gives the texts that name categories, besides the names on the products' paths.
    """

    def __init__(
        self, client: OpenSearch, index: ProductIndex, names: FieldNames, categories: Callable[[], Iterable[str]]
    ) -> None:
        self._client = client
        self._index = index
        self._names = names
        self._categories = categories
        self._stem = Stemmer(index.properties, names.layout.title)
        self._vocabulary: Vocabulary | None = None
        self._lock = threading.Lock()
        # One search is planned in several steps, each of which reads its query.
        self._last: tuple[tuple[Any, ...], Understanding] | None = None

    def is_ready(self, text: str) -> bool:
        """Whether a query can be read without the cluster."""
        return self._vocabulary is not None and not self._stem.unknown(words_of([text]))

    def understood(self, arguments: SearchArguments) -> SearchArguments:
        """The arguments with the parts of their text that are conditions, and with the words that are left.

        A native fusion has no bonus, so it takes filters alone.

        Raises:
            QueryError: the cluster refuses to tell values or stems.
        """
        found = self._read(arguments, values=arguments.strict or not arguments.native)
        parts = tuple((self._held(part), self._names.path(part.field, part.filter)) for part in found.parts)
        return dataclasses.replace(arguments, understood=parts, words=found.rest, names_category=found.names_category)

    def _held(self, part: Understood) -> Understood:
        """The part with its range as its field holds it."""
        held = self._names.typed(part.field, part.filter) if part.kind == "range" else None
        return dataclasses.replace(part, filter=held) if isinstance(held, Mapping) else part

    def warnings(self, arguments: SearchArguments) -> list[str]:
        """What of a query was not understood because of its fusion."""
        if self._vocabulary is None or not (arguments.native and arguments.understand) or arguments.strict:
            return []
        words = [part.text for part in self._read(arguments, values=True).parts if part.kind == "value"]
        if not words:
            return []
        return [
            f"The fusion {arguments.fusion} cannot rank by values of fields: {', '.join(words)} was searched as words. "
            "With strict it filters by them."
        ]

    def _read(self, arguments: SearchArguments, *, values: bool) -> Understanding:
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = read_vocabulary(
                    self._index.properties, self._names, self._stem, self._search, self._analyze, self._categories()
                )
        key = (arguments.text, arguments.strict, tuple(arguments.keep_words), values)
        last = self._last
        if last is None or last[0] != key:
            self._stem.learn(self._stem.unknown(words_of([arguments.text])), self._analyze)
            found = understand(key[0], self._vocabulary, strict=key[1], keep_words=key[2], values=values)
            self._last = last = (key, found)
        return last[1]

    def _search(self, body: dict[str, Any]) -> Any:
        with guarded(self._client, QueryError):
            return self._client.search(index=self._index.name, body=body)

    def _analyze(self, body: dict[str, Any]) -> Any:
        with guarded(self._client, QueryError):
            return self._client.indices.analyze(index=self._index.name, body=body)
