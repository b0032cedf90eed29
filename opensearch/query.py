"""Search arguments to request bodies; nothing here talks to a cluster.

The hybrid body is one ordinary `bool` query (saturation fusion): two `script_score` clauses add up

    score = (1 - weight) * bm25 / (bm25 + pivot) + weight * max(0, knn_score - 1)

Each product's score depends on that product alone, so it moves neither with the page nor with the size, and filters,
facets, totals and sorting work as in any query. `knn_score - 1` is the cosine: OpenSearch scores `innerproduct` as
1 + ip for ip >= 0 and 1 / (1 - ip) below (k-NN documentation, "Spaces"), and the vectors have length 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from clipita.errors import UsageError

Mode = Literal["lexical", "vector", "hybrid"]
FilterValue = str | int | float | bool | Sequence[Any] | Mapping[str, Any]

VECTOR_FIELD = "product_vector"
ID_FIELD = "product_id"
THUMBNAIL_FIELD = "clipita.thumbnail"
MAX_WINDOW = 10_000
"""`index.max_result_window` and the k-NN plugin's largest k, both 10,000 as shipped."""
MAX_WORDS = 256
MAX_CHARACTERS = 4_000
MAX_CLAUSES = 1_024
"""`indices.query.bool.max_clause_count` as shipped: words times fields must stay below."""

LEXICAL_SCRIPT = "params.weight * _score / (_score + params.pivot)"
VECTOR_SCRIPT = "params.weight * Math.max(0, _score - 1)"
RANGE_KEYS = ("gt", "gte", "lt", "lte")

# The analyzer makes a token of each character of scripts that are written without spaces, and of each emoji (Lucene's
# StandardTokenizer), so each counts as a word.
_WORD = re.compile(r"[^\W\u0e00-\U0010ffff]+|[©®\u0e00-\U0010ffff]")


@dataclass(frozen=True)
class SearchArguments:
    """What one search asks for, with every field name as the index's mapping has it.

    Attributes:
        text: the query.
        vector: its unit vector, [dim]; needed by the modes vector and hybrid.
        mode: `lexical` (BM25), `vector` (k-NN) or `hybrid` (both, fused).
        filters: field to a value (equal), a list (any of them), {"gte": …, "lt": …} or {"exists": true|false}.
        facets: name in the answer to field.
        size: hits a page.
        page: 1-based.
        k: neighbours that a shard contributes; the same on every page, so that pages fit together.
        weight: share of the vector part, 0 to 1.
        pivot: the BM25 score that counts one half; above 0.
        fields: text fields of the lexical part, each with an optional boost (`title^3`).
        facet_size: values a facet.
        thumbnails: whether hits carry their thumbnail.
    """

    text: str
    vector: Sequence[float] | None = field(default=None, repr=False)
    mode: Mode = "hybrid"
    filters: Mapping[str, FilterValue] = field(default_factory=dict)
    facets: Mapping[str, str] = field(default_factory=dict)
    size: int = 24
    page: int = 1
    k: int = 200
    weight: float = 0.8
    pivot: float = 10.0
    fields: Sequence[str] = ("title",)
    facet_size: int = 10
    thumbnails: bool = False

    def __post_init__(self) -> None:
        _check(self)


def search_body(arguments: SearchArguments) -> dict[str, Any]:
    """The body of one `_search` request.

    Raises:
        UsageError: the filters are off, or the mode needs a vector and none is given.
    """
    body: dict[str, Any] = {
        "from": (arguments.page - 1) * arguments.size,
        "size": arguments.size,
        "track_total_hits": True,
        "sort": _stable_order(),
        "_source": {"excludes": [VECTOR_FIELD, "clipita"]},
        "query": query_clause(arguments),
    }
    if arguments.thumbnails:
        body["_source"] = {"excludes": [VECTOR_FIELD, "clipita.*_hash", "clipita.fingerprint"]}
    if arguments.facets:
        body["aggs"] = {
            name: {"terms": {"field": path, "size": arguments.facet_size}} for name, path in arguments.facets.items()
        }
    return body


def ranking_body(arguments: SearchArguments, depth: int) -> dict[str, Any]:
    """The body of a request for ids alone, best first; k is the depth.

    Raises:
        UsageError: the depth lies outside 1 to 10,000, or as in `search_body`.
    """
    if not 1 <= depth <= MAX_WINDOW:
        raise UsageError(f"A ranking's depth is {depth}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
    return {
        "size": depth,
        "track_total_hits": False,
        "sort": _stable_order(),
        "_source": False,
        "query": query_clause(arguments, k=depth),
    }


def query_clause(arguments: SearchArguments, k: int | None = None) -> dict[str, Any]:
    """The query of a mode, with filters both around it and inside the k-NN part."""
    filters = filter_clauses(arguments.filters)
    if arguments.mode == "lexical":
        return _filtered({"must": [lexical_clause(arguments.text, arguments.fields)]}, filters)
    vector = vector_clause(arguments, k or arguments.k, filters)
    if arguments.mode == "vector":
        return _filtered({"must": [vector]}, filters)
    lexical = lexical_clause(arguments.text, arguments.fields)
    shares = [
        _scored(lexical, LEXICAL_SCRIPT, {"weight": 1.0 - arguments.weight, "pivot": float(arguments.pivot)}),
        _scored(vector, VECTOR_SCRIPT, {"weight": float(arguments.weight)}),
    ]
    return _filtered({"should": shares, "minimum_should_match": 1}, filters)


def lexical_clause(text: str, fields: Sequence[str]) -> dict[str, Any]:
    """BM25 over the fields; over several, a product counts with its best field."""
    text, _ = shorten(text, len(fields))
    if len(fields) == 1 and "^" not in fields[0]:
        return {"match": {fields[0]: {"query": text}}}
    return {"multi_match": {"query": text, "fields": list(fields), "type": "best_fields"}}


def vector_clause(arguments: SearchArguments, k: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """The k nearest products of each shard among those that pass the filters."""
    if arguments.vector is None:
        raise UsageError(f"The mode {arguments.mode} needs the query's vector.", hint="Give a model, or use lexical.")
    neighbours: dict[str, Any] = {"vector": [float(value) for value in arguments.vector], "k": k}
    if filters:
        neighbours["filter"] = {"bool": {"filter": filters}}
    return {"knn": {VECTOR_FIELD: neighbours}}


def filter_clauses(filters: Mapping[str, FilterValue]) -> list[dict[str, Any]]:
    """One clause a filter; all must hold.

    Raises:
        UsageError: an empty list, an unknown key, or a value that is none of the known kinds.
    """
    return [_filter_clause(path, value) for path, value in filters.items()]


def shorten(text: str, fields: int = 1) -> tuple[str, bool]:
    """Cut a query to what the cluster's clause limit takes.

    Returns:
        The query, and whether something was cut off.
    """
    limit = max(1, min(MAX_WORDS, MAX_CLAUSES // (2 * max(1, fields))))
    end = min(len(text), MAX_CHARACTERS)
    for count, word in enumerate(_WORD.finditer(text, 0, end), start=1):
        if count > limit:
            end = word.start()
            break
    return text[:end].rstrip(), end < len(text.rstrip())


def _stable_order() -> list[dict[str, str]]:
    # Equal scores fall back on the id, else a product could show on two pages and another on none.
    return [{"_score": "desc"}, {ID_FIELD: "asc"}]


def _scored(query: dict[str, Any], source: str, params: dict[str, float]) -> dict[str, Any]:
    return {"script_score": {"query": query, "script": {"source": source, "params": params}}}


def _filtered(clauses: dict[str, Any], filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {**clauses, "filter": filters} if filters else clauses}


def _filter_clause(path: str, value: FilterValue) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return _condition(path, value)
    if isinstance(value, (str, int, float)):
        return {"term": {path: value}}
    if isinstance(value, (Sequence, set, frozenset)):
        if not value:
            raise UsageError(
                f"The filter on {path} is an empty list, which no product can match.", hint="Leave it out."
            )
        return {"terms": {path: list(value)}}
    raise UsageError(
        f"The filter on {path} is {value!r}.",
        hint='Use a value, a list of values, {"gte": …, "lte": …} or {"exists": true}.',
    )


def _condition(path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if set(value) == {"exists"} and isinstance(value["exists"], bool):
        exists = {"exists": {"field": path}}
        return exists if value["exists"] else {"bool": {"must_not": [exists]}}
    if value and set(value) <= set(RANGE_KEYS):
        return {"range": {path: dict(value)}}
    raise UsageError(
        f"The filter on {path} is {dict(value)!r}.", hint=f"Known keys: {', '.join(RANGE_KEYS)}; or exists, alone."
    )


def _check(arguments: SearchArguments) -> None:
    if not arguments.text.strip():
        raise UsageError("The query is empty.", hint="Give a category name or a few words.")
    if arguments.mode not in get_args(Mode):
        raise UsageError(f"There is no mode {arguments.mode!r}.", hint=f"Use one of: {', '.join(get_args(Mode))}.")
    if not 0 <= arguments.weight <= 1:
        raise UsageError(f"The weight is {arguments.weight}.", hint="Use 0 (BM25 alone) to 1 (the vector alone).")
    if not 0 < arguments.pivot < float("inf"):
        raise UsageError(f"The pivot is {arguments.pivot}.", hint="Use a number above 0.")
    if not 1 <= arguments.k <= MAX_WINDOW:
        raise UsageError(f"k is {arguments.k}.", hint=f"Use 1 to {MAX_WINDOW:,}.")
    if not arguments.fields:
        raise UsageError("There is no field to search in.", hint='Set search.fields, for instance to ["title"].')
    _check_page(arguments)


def _check_page(arguments: SearchArguments) -> None:
    if arguments.page < 1 or arguments.size < 0:
        raise UsageError(f"Page {arguments.page} of size {arguments.size}.", hint="Pages count from 1, sizes from 0.")
    last = arguments.page * arguments.size
    if last > MAX_WINDOW:
        raise UsageError(
            f"Page {arguments.page} of size {arguments.size} ends at hit {last:,}; OpenSearch pages through the first "
            f"{MAX_WINDOW:,} only.",
            hint="Narrow the search with a filter instead.",
        )
    if arguments.mode != "lexical" and arguments.size > arguments.k:
        raise UsageError(
            f"A page of {arguments.size} is larger than k = {arguments.k}, the number of nearest products looked at.",
            hint=f"Raise k (search.k) to {arguments.size} or more, or ask for smaller pages.",
        )
