"""BM25 as Lucene computes it, over products held in memory: the baseline that every shop has already.

It reads titles as the index's analyzer does: a plain one finds no "shoe" for "shoes", and a weak baseline flatters
every model.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import Product
from clipita.errors import ConfigError
from clipita.evaluation.words import Words, analyze

K1 = 1.2
B = 0.75

Scores = npt.NDArray[np.float32]

_EXACT_LENGTHS = 24
_KEPT_BITS = 4


class Bm25Index:
    """An inverted index over one field.

    score(query, document) = sum over the query's terms of idf * tf / (tf + k1 * (1 - b + b * length / average)), with
    idf = ln(1 + (N - n + 0.5) / (n + 0.5)), N the documents with at least one term, n those with the term; Lucene
    leaves the factor k1 + 1 out. Lengths are rounded as in Lucene's one-byte norms, so scores agree with an index of
    one shard without deleted documents.

    Reference: org.apache.lucene.search.similarities.BM25Similarity.
    """

    def __init__(self, texts: Iterable[str | None], words: Words = analyze) -> None:
        self._words = words
        lengths: list[int] = []
        documents: dict[str, array[int]] = {}
        frequencies: dict[str, array[int]] = {}
        for position, text in enumerate(texts):
            counts = Counter(words(text or ""))
            lengths.append(counts.total())
            for term, frequency in counts.items():
                documents.setdefault(term, array("q")).append(position)
                frequencies.setdefault(term, array("q")).append(frequency)
        self.documents = len(lengths)
        self.filled = sum(length > 0 for length in lengths)
        average = sum(lengths) / self.filled if self.filled else 1.0
        rounded = np.array([norm_length(length) for length in lengths], dtype=np.float64)
        self._length_factor = (K1 * (1 - B + B * rounded / average)).astype(np.float32)
        self._postings = {
            term: (np.array(documents[term], np.int64), np.array(frequencies[term], np.float32)) for term in documents
        }

    def scores(self, query: str) -> Scores:
        """BM25 of every document, float32 [documents]; -inf where no term of the query occurs."""
        total = np.full(self.documents, -np.inf, dtype=np.float32)
        for term, times in Counter(self._words(query)).items():
            if term not in self._postings:
                continue
            documents, frequencies = self._postings[term]
            idf = math.log(1 + (self.filled - len(documents) + 0.5) / (len(documents) + 0.5))
            gained = np.float32(times * idf) * (frequencies / (frequencies + self._length_factor[documents]))
            before = total[documents]
            total[documents] = np.where(np.isneginf(before), gained, before + gained)
        return total


class Bm25:
    """BM25 over one or more fields of products; a product has the score of its best field (`best_fields`).

    A field is `title`, `attributes_text`, an attribute's name, or a column of the shop's own; `title^2` doubles its
    score. `words` makes terms of texts and queries.

    Attributes:
        empty_fields: fields in which no product has text.

    Raises:
        ConfigError: a boost is not a positive number.
    """

    def __init__(self, products: Sequence[Product], fields: Sequence[str] = ("title",), words: Words = analyze) -> None:
        self._indexes: list[tuple[Bm25Index, np.float32]] = []
        self.empty_fields: list[str] = []
        for field in fields:
            name, _, boost = field.partition("^")
            index = Bm25Index((field_text(product, name) for product in products), words)
            if not index.filled:
                self.empty_fields.append(name)
            self._indexes.append((index, _positive(boost or "1", field)))

    def scores(self, query: str) -> Scores:
        """Score of every product, float32 [products]; -inf where the query is not found."""
        by_field = [boost * index.scores(query) for index, boost in self._indexes]
        best: Scores = np.maximum.reduce(by_field)
        return best


def field_text(product: Product, name: str) -> str | None:
    """The product's text in a field of the index, or None."""
    if name == "title":
        return product.title
    if name == "attributes_text":
        return " ".join(product.attribute_texts)
    if name == "category_path":
        return " ".join(product.category_names)
    value = product.extra.get(name, product.attributes.get(name))
    if isinstance(value, list | tuple):
        return " ".join(str(part) for part in value)
    return None if value is None else str(value)


def norm_length(length: int) -> int:
    """A field's length in terms after Lucene's one-byte encoding: exact to 39, then four significant bits.

    Reference: org.apache.lucene.util.SmallFloat.intToByte4.
    """
    beyond = length - _EXACT_LENGTHS
    if beyond < 0:
        return length
    shift = max(0, beyond.bit_length() - _KEPT_BITS)
    return _EXACT_LENGTHS + (beyond >> shift << shift)


def _positive(boost: str, field: str) -> np.float32:
    try:
        value = float(boost)
    except ValueError:
        value = math.nan
    if not value > 0 or math.isinf(value):
        raise ConfigError(
            f"The search field {field!r} has a boost that is not a positive number.", hint="Use name^2.5."
        )
    return np.float32(value)
