"""The query of a search: what is on the page, and what scores it. Nothing here talks to a cluster."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.index.mapping import NODES_FIELD, VECTOR_FIELD
from clipita.opensearch.search.boosts import boosted
from clipita.opensearch.search.clauses.filters import all_filters, all_of, filter_clause, lifted, understood_filters
from clipita.opensearch.search.clauses.given import asks, filled
from clipita.opensearch.search.options import OF_A_REQUEST, SearchArguments

MAX_WORDS = 256
MAX_CHARACTERS = 4_000
MAX_CLAUSES = 1_024
"""`indices.query.bool.max_clause_count` by default: words times fields must stay below."""
GIVEN_FIELDS = 8
"""Fields that a clause of the shop's own is taken to search in: 64 words of a query fill its `{{query}}`."""

LEXICAL = "lexical"
VECTOR = "vector"
"""Names of the two halves among a hit's matched queries, whose scores are BM25 and the k-NN score."""

UNDERSTOOD = "clipita:understood:"
"""Begins the name of a bonus among a hit's matched queries; a number follows, see `bonus_names`."""
BONUS = 0.2
"""What products have more for a value that the query names, where the score of both halves lies between 0 and 1."""

LEXICAL_SCRIPT = "(1.0 - params.weight) * _score / (_score + params.pivot)"
VECTOR_SCRIPT = "params.weight * Math.max(0, _score - 1)"
ENOUGH_WORDS = "3<75%"
"""Of up to three words all, of more three quarters, bring a product onto a page without the vector."""

# The analyzer makes a token of each character of scripts that are written without spaces, and of each emoji (Lucene's
# StandardTokenizer), so each counts as a word.
_WORD = re.compile(r"[^\W\u0e00-\U0010ffff]+|[©®\u0e00-\U0010ffff]")


def query_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The query of a mode, with filters both around it and inside the k-NN part, and boosts around all.

    Choices stand in the k-NN part only: around the query they would empty their own facets.
    """
    query = _mode_clause(arguments)
    filters = all_filters(arguments)
    if arguments.labelled and not arguments.near:
        filters.append(member_clause(arguments))
    if filters:
        query["bool"]["filter"] = filters
    if bonuses := bonus_clauses(arguments):
        # Around the filters: without one, a clause that only scores would have to match.
        query = {"bool": {"must": [query], "should": bonuses}}
    return boosted(query, arguments.boosts) if arguments.boosts else query


def clause_alone(arguments: SearchArguments, given: Collection[str]) -> dict[str, Any]:
    """The query of a search as a clause for a request of the shop's own; `given` names the options of the call.

    Raises:
        UsageError: a clause cannot carry an option, or the fusion gives no clause.
    """
    if beyond := [name for name in OF_A_REQUEST if name in given]:
        raise UsageError(
            f"A clause cannot carry {', '.join(beyond)}: that belongs to the request around it.",
            hint="Leave it out here and put it into your request, or send search.body(...).",
        )
    if arguments.native:
        raise UsageError(
            f"The fusion {arguments.fusion} gives no clause: its `hybrid` query must be the whole query of a request, "
            "and a search pipeline of that request makes its scores.",
            hint="Use the fusion saturation, or send search.body(...).",
        )
    return query_clause(arguments)


def words(arguments: SearchArguments) -> tuple[str, bool]:
    """The part of the query that is matched by words, and whether something was cut off."""
    text, cut = _spellings(arguments)[0]
    return text, cut and (arguments.lexical is None or asks(arguments.lexical))


def lexical_clause(arguments: SearchArguments, text: str | None = None) -> dict[str, Any]:
    """The shop's own clause, or BM25 over the fields; over several, a product counts with its best field.

    Of two spellings of the query it counts with the better. Here alone words get their scores: BM25 is the same on
    each engine, and the shop's own clause scores as the cluster scores it.
    """
    named: dict[str, Any] = {"_name": LEXICAL} if arguments.explain else {}
    if arguments.lexical is None and arguments.bm25_boost != 1.0:
        named["boost"] = arguments.bm25_boost
    spellings = [one for one, _ in _spellings(arguments, text)]
    if arguments.lexical is None and len(spellings) == 1:
        return _matching(spellings[0], arguments.fields, named)
    ways = [
        _matching(one, arguments.fields, {}) if arguments.lexical is None else filled(arguments.lexical, one)
        for one in spellings
    ]
    clause: dict[str, Any] = ways[0] if len(ways) == 1 else {"dis_max": {"queries": ways}}
    # The name goes around it, as the shop's clause may have one of its own.
    return {"bool": {"must": [clause], **named}} if named else clause


def words_clause(arguments: SearchArguments) -> dict[str, Any]:
    """Products that words alone bring onto a page: nearly all words of the query occur in one field or another."""
    kind = {"type": "cross_fields"} if len(arguments.fields) > 1 else {}
    fields = {"fields": list(arguments.fields), "minimum_should_match": ENOUGH_WORDS}
    ways = [{"multi_match": {"query": one, **fields, **kind}} for one, _ in _spellings(arguments)]
    return ways[0] if len(ways) == 1 else {"dis_max": {"queries": ways}}


def _spellings(arguments: SearchArguments, text: str | None = None) -> list[tuple[str, bool]]:
    """The ways to write the query, or a text in its place, cut to their share of the clause limit; see `shorten`."""
    texts = [one for one in (text or arguments.searched, arguments.respelled) if one is not None]
    fields = len(arguments.fields) if arguments.lexical is None else GIVEN_FIELDS
    return [shorten(one, len(texts) * fields) for one in texts]


def _matching(text: str, fields: Sequence[str], named: Mapping[str, Any]) -> dict[str, Any]:
    if len(fields) == 1 and "^" not in fields[0]:
        return {"match": {fields[0]: {"query": text, **named}}}
    return {"multi_match": {"query": text, "fields": list(fields), "type": "best_fields", **named}}


def member_clause(arguments: SearchArguments) -> dict[str, Any]:
    """Products labelled with one of the categories."""
    return {"terms": {NODES_FIELD: list(arguments.nodes)}}


def vector_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The products that are near the query's vector, each with its k-NN score; which, depends on the page.

    - On a category's page, its labelled products; above `MAX_WINDOW` per shard, the nearest of them.
    - Otherwise all above the threshold. Filters stand around the query alone, so that no filter changes what a page
      holds besides.
    - Without a threshold, the k nearest of each shard among those that pass the filters and choices. For the facet of
      each choice come those that are nearest when that one choice is lifted. A product in several of these lists has
      one cosine, so the greatest of its scores is each of them.
    """
    if arguments.vector is None:
        raise UsageError(f"The mode {arguments.mode} needs the query's vector.", hint="Give a model, or use lexical.")
    variants = []
    if arguments.labelled:
        variants.append(_nearest(arguments, [*all_filters(arguments), member_clause(arguments)]))
    if arguments.near:
        variants.append(near_clause(arguments))
    if not variants:
        lists = [all_filters(arguments, arguments.choices)]
        if not arguments.native:
            lists += [all_filters(arguments, lifted(arguments.choices, path)) for path in arguments.choices]
        variants = [_nearest(arguments, filters) for filters in lists]
    named = {"_name": VECTOR} if arguments.explain else {}
    return variants[0] if len(variants) == 1 and not named else {"dis_max": {"queries": variants, **named}}


def bonus_clauses(arguments: SearchArguments) -> list[dict[str, Any]]:
    """A constant score for products with what the query says about each field, for the fields where others stay."""
    # Without the other half, BM25 is not between 0 and 1: there the pivot is what counts one half.
    bonus = BONUS * (2 * arguments.pivot if arguments.mode == "lexical" else 1.0)
    clauses = []
    names = bonus_names(arguments)
    for path, condition in understood_filters(arguments, strict=False):
        named = {"_name": names[path]} if arguments.explain else {}
        clauses.append({"constant_score": {"filter": filter_clause(path, condition), "boost": bonus, **named}})
    return clauses


def bonus_names(arguments: SearchArguments) -> dict[str, str]:
    """The fields that get a bonus, each with the bonus's name among a hit's matched queries."""
    paths = [path for path, _ in understood_filters(arguments, strict=False)]
    return {path: f"{UNDERSTOOD}{number}" for number, path in enumerate(paths)}


def near_clause(arguments: SearchArguments) -> dict[str, Any]:
    """All products above the threshold, each with its k-NN score."""
    assert arguments.vector is not None
    assert arguments.threshold is not None
    least = 1.0 + arguments.threshold
    if arguments.radial:
        return {"knn": {VECTOR_FIELD: {"vector": list(arguments.vector), "min_score": least}}}
    nearest = _nearest(arguments, all_filters(arguments))
    return {"script_score": {"query": nearest, "script": {"source": "_score"}, "min_score": least}}


def _nearest(arguments: SearchArguments, filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    assert arguments.vector is not None
    near = {"vector": list(arguments.vector), "k": arguments.depth}
    return {"knn": {VECTOR_FIELD: near | ({"filter": all_of(filters)} if filters else {})}}


def shorten(text: str, fields: int = 1) -> tuple[str, bool]:
    """Cut a query to the cluster's clause limit; also returns whether something was cut off."""
    limit = max(1, min(MAX_WORDS, MAX_CLAUSES // (2 * max(1, fields))))
    end = min(len(text), MAX_CHARACTERS)
    for count, word in enumerate(_WORD.finditer(text, 0, end), start=1):
        if count > limit:
            end = word.start()
            break
    return text[:end].rstrip(), end < len(text.rstrip())


def _mode_clause(arguments: SearchArguments) -> dict[str, Any]:
    """The query of a mode, without filters."""
    if arguments.mode == "lexical":
        if values := _values_alone(arguments):
            return {"bool": {"should": [lexical_clause(arguments), *values], "minimum_should_match": 1}}
        return {"bool": {"should" if arguments.labelled else "must": [lexical_clause(arguments)]}}
    vector = vector_clause(arguments)
    if arguments.mode == "vector":
        # 1 + cosine would leave a factor little to move.
        vector = _scored(vector, VECTOR_SCRIPT, {"weight": 1.0}) if arguments.boosts else vector
        return _on_page(arguments, vector, [])
    lexical = lexical_clause(arguments)
    weight = float(arguments.weight)
    words = _scored(lexical, LEXICAL_SCRIPT, {"weight": weight, "pivot": float(arguments.pivot)})
    return _on_page(arguments, _scored(vector, VECTOR_SCRIPT, {"weight": weight}), [words])


def _on_page(arguments: SearchArguments, near: dict[str, Any], words: list[dict[str, Any]]) -> dict[str, Any]:
    """What must hold for a product to be on the page, and what scores it besides."""
    if not arguments.near:
        # A filter says which products are labelled; without labels, a page is the union of the halves.
        halves = {"should": [*words, near, *_values_alone(arguments)]}
        return {"bool": halves if arguments.labelled else {**halves, "minimum_should_match": 1}}
    values = _values_alone(arguments)
    if arguments.lexical is not None and not (arguments.labelled or arguments.recognised):
        # The shop's own clause says itself which words bring a product onto the page.
        return {"bool": {"should": [*words, near, *values], "minimum_should_match": 1}}
    ways = [near, *values]
    if arguments.labelled:
        ways.append(_unscored(member_clause(arguments)))
    elif words and not arguments.recognised:
        ways.append(_unscored(words_clause(arguments)))
    page = near if len(ways) == 1 else {"bool": {"should": ways, "minimum_should_match": 1}}
    # Single words of the query score a product, but do not bring it onto the page.
    return {"bool": {"must": [page], **({"should": words} if words else {})}}


def _values_alone(arguments: SearchArguments) -> list[dict[str, Any]]:
    """Products with all that the query names, where it names values of fields and nothing else: they are its page."""
    if arguments.words or not arguments.understood:
        return []
    conditions = [*understood_filters(arguments, strict=False), *understood_filters(arguments, strict=True)]
    return [_unscored(all_of([filter_clause(path, condition) for path, condition in conditions]))]


def _unscored(clause: dict[str, Any]) -> dict[str, Any]:
    return {"constant_score": {"filter": clause, "boost": 0.0}}


def _scored(query: dict[str, Any], source: str, params: dict[str, float]) -> dict[str, Any]:
    return {"script_score": {"query": query, "script": {"source": source, "params": params}}}
