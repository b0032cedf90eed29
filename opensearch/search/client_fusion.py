"""min_max and rrf on clusters without the neural-search plugin: two rankings by `_msearch`, fused here.

The same arithmetic as the plugin's: https://docs.opensearch.org/latest/search-plugins/search-pipelines/normalization-processor/
Each half's ranking is read to the depth k on every page, so all pages are cut from one fused list and fit together. The
plugin takes k of each shard, this the k best of the index: on one shard the two are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clipita.errors import ClusterVersionError, QueryError
from clipita.opensearch.index.mapping import ID_FIELD
from clipita.opensearch.search.arguments import SCORE, SearchArguments
from clipita.opensearch.search.clauses import filter_clauses, lexical_clause, vector_clause
from clipita.opensearch.search.request import content_of, facets_of

LOWEST = 0.001
"""What the plugin gives the last of a list, which would else count as absent."""

Ranking = Sequence[tuple[str, float]]
Fused = tuple[Ranking, Mapping[str, Any]]


def check(arguments: SearchArguments, missing: ClusterVersionError) -> None:
    """Refuse what two fused lists cannot answer exactly.

    Args:
        arguments: what was asked.
        missing: why the cluster cannot do it by itself.

    Raises:
        ClusterVersionError: a sort by a field, or a minimum score.
    """
    for name, asked in (("sort", arguments.sort), ("minimum score", arguments.min_score is not None)):
        if asked:
            raise ClusterVersionError(
                f"{missing.message} Computed by clipita itself it offers no {name}.", hint=missing.hint
            )


def no_single_request(arguments: SearchArguments) -> ClusterVersionError:
    """The error where one request's body is asked for."""
    return ClusterVersionError(
        f"On this cluster {arguments.fusion} takes several requests: it has no neural-search plugin for it.",
        hint="Call the search itself, or use the fusion saturation, which is one request.",
    )


def remark(arguments: SearchArguments) -> str:
    """What tells such a page from the plugin's."""
    return (
        f"{arguments.fusion} was computed by clipita from two searches of depth {arguments.k}, as this cluster has no "
        "neural-search plugin."
    )


def requests(arguments: SearchArguments) -> list[dict[str, Any]]:
    """One `_msearch`: BM25's ranking, the vector's, and the union's total and facets."""
    lexical, vector = lexical_clause(arguments), vector_clause(arguments)
    ranked = {
        "size": arguments.k,
        "sort": [{SCORE: "desc"}, {ID_FIELD: "asc"}],
        "_source": False,
        "track_total_hits": False,
    }
    union: dict[str, Any] = {"query": _filtered([lexical, vector], arguments), "size": 0, "track_total_hits": True}
    if arguments.facets:
        union["aggs"] = facets_of(arguments)
    bodies = [{"query": _filtered([half], arguments), **ranked} for half in (lexical, vector)]
    return [line for body in (*bodies, union) for line in ({"preference": arguments.identity}, body)]


def _filtered(clauses: list[dict[str, Any]], arguments: SearchArguments) -> dict[str, Any]:
    filters = [
        *filter_clauses(arguments.filters),
        *filter_clauses(arguments.choices),
        *(dict(clause) for clause in arguments.raw_filters),
    ]
    return {"bool": {"should": clauses, "minimum_should_match": 1, **({"filter": filters} if filters else {})}}


def read(answer: Mapping[str, Any], arguments: SearchArguments) -> Fused:
    """The fused ranking, and the union's answer.

    Raises:
        QueryError: one of the three was refused.
    """
    for one in answer["responses"]:
        if "error" in one:
            raise QueryError(f"The cluster refused a part of the search: {one['error'].get('reason', one['error'])}.")
    lexical, vector, union = answer["responses"]
    return fuse(_ranking(lexical), _ranking(vector), arguments), {**union, "took": answer["took"]}


def _ranking(answer: Mapping[str, Any]) -> Ranking:
    return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]


def cut(ranking: Ranking, arguments: SearchArguments) -> Ranking:
    """The page that is asked for."""
    start = (arguments.page - 1) * arguments.size
    return ranking[start : start + arguments.size]


def page_request(page: Ranking, arguments: SearchArguments) -> dict[str, Any]:
    """The body that fetches a page's products."""
    ids = [id_ for id_, _ in page]
    body = content_of(arguments)
    return {**body, "query": {"ids": {"values": ids}}, "size": len(ids), "track_total_hits": False}


def fuse(lexical: Ranking, vector: Ranking, arguments: SearchArguments) -> list[tuple[str, float]]:
    """Ids and fused scores, best first; equal scores by id.

    Args:
        lexical: BM25's ranking.
        vector: the vector's.
        arguments: fusion, weight, rank constant.
    """
    fused: dict[str, float] = {}
    for ranking, weight in ((lexical, 1.0 - arguments.weight), (vector, float(arguments.weight))):
        scores = (
            min_max(ranking) if arguments.fusion == "min_max" else reciprocal_ranks(ranking, arguments.rank_constant)
        )
        for id_, score in scores.items():
            fused[id_] = fused.get(id_, 0.0) + weight * score
    return sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))


def min_max(ranking: Ranking) -> dict[str, float]:
    """Scores moved to [0.001, 1]; equal ones are all 1."""
    if not ranking:
        return {}
    lowest, highest = min(score for _, score in ranking), max(score for _, score in ranking)
    if lowest == highest:
        return dict.fromkeys((id_ for id_, _ in ranking), 1.0)
    return {id_: max(LOWEST, (score - lowest) / (highest - lowest)) for id_, score in ranking}


def reciprocal_ranks(ranking: Ranking, constant: int) -> dict[str, float]:
    """1 / (constant + rank), ranks from 1."""
    return {id_: 1.0 / (constant + rank) for rank, (id_, _) in enumerate(ranking, start=1)}


def as_answer(page: Ranking, union: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The page as a `_search` answers it.

    Args:
        page: ids and scores.
        union: total and facets.
        found: the products.
    """
    hits = {hit["_id"]: hit for hit in found["hits"]["hits"]}
    # A product that was deleted between the two requests has no content to show.
    shown = [{**hits[id_], "_score": score} for id_, score in page if id_ in hits]
    return {**union, "took": union["took"] + found["took"], "hits": {"total": union["hits"]["total"], "hits": shown}}
