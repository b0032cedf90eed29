"""Vectors of queries are kept by their text, long ones by a digest."""

from __future__ import annotations

from clipita.opensearch.search.query_vectors import KEPT, LONGEST, QueryVectors


def test_long_texts_are_kept_without_their_characters() -> None:
    vectors = QueryVectors(None)
    long, other = "plate " * 1_600, "plate " * 1_600 + "s"
    vectors.keep(long, (1.0,))
    vectors.keep("plate", (2.0,))
    assert (vectors(long), vectors("plate"), vectors.peek(other)) == ((1.0,), (2.0,), None)
    assert max(len(key) for key in vectors._kept) <= LONGEST
    assert vectors.peek("\ud800" * 300) is None


def test_the_least_recently_used_goes() -> None:
    vectors = QueryVectors(None)
    for number in range(KEPT):
        vectors.keep(str(number), (float(number),))
    vectors.peek("0")
    vectors.keep("new", (0.0,))
    assert vectors.peek("0") == (0.0,)
    assert vectors.peek("1") is None
