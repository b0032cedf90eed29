"""Reads that fail when a shard is unavailable, instead of leaving out its documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import opensearchpy

from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.dialect.opensearch import CONTEXT_LOST, DOCUMENT_ERRORS


def all_shards(answer: dict[str, Any], copies: bool = False) -> dict[str, Any]:
    """The answer of a search, count, refresh or statistics request, if all shards contributed to it.

    While a shard is away OpenSearch answers with status 200 for the others, as if its documents did not exist. A shard
    without a node is not even among the failed ones. Refresh and statistics count each copy of a shard (`copies`), and
    replicas may never have a node.

    Raises:
        TransportError: a shard is missing: status 503, which `Backoff.call` waits for, or 404 for a point in time that
            a shard has lost.
        SerializationError: it is not such an answer; `Backoff.call` asks again.

    Source:
        https://docs.opensearch.org/latest/api-reference/search-apis/search/ (`_shards`, `timed_out`)
    """
    shards = answer.get("_shards") if isinstance(answer, dict) else None
    if not isinstance(shards, dict):
        raise opensearchpy.SerializationError("the answer does not say which shards it is of")
    expected = 1 if copies else shards.get("total", 0)
    if not answer.get("timed_out") and not shards.get("failed") and shards.get("successful", 0) >= expected:
        return answer
    reasons = [failure.get("reason") or {} for failure in shards.get("failures", ())]
    lost = any(reason.get("type") == CONTEXT_LOST for reason in reasons)
    kind = CONTEXT_LOST if lost else "partial_answer"
    reason = (
        "No search context" if lost else f"only {shards.get('successful')} of {shards.get('total')} shards answered"
    )
    raise opensearchpy.TransportError(404 if lost else 503, kind, {"error": {"type": kind, "reason": reason}})


def count(client: opensearchpy.OpenSearch, name: str, backoff: Backoff, query: Mapping[str, Any] | None = None) -> int:
    """The number of documents in an index, or of those that match a query."""
    body = None if query is None else {"query": query}
    return int(backoff.call(client, lambda: all_shards(client.count(index=name, body=body)))["count"])


def shuffled(query: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """The query with its hits in a random order, which is the same each time."""
    chance = {"seed": seed, "field": "_seq_no"}
    return {"function_score": {"query": query, "random_score": chance, "boost_mode": "replace"}}


def address(id_: str, routing: str | None) -> dict[str, str]:
    """A document for `get_documents`."""
    return {"_id": id_} if routing is None else {"_id": id_, "routing": routing}


def addresses(hits: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The hits of a search for `get_documents`."""
    return [address(hit["_id"], hit.get("_routing")) for hit in hits]


def refresh(client: opensearchpy.OpenSearch, name: str, backoff: Backoff) -> None:
    """Make what was written to an index visible to searches, on every shard."""
    # A refresh waits a minute for a shard without a node; a count fails at once.
    count(client, name, backoff)
    backoff.call(client, lambda: all_shards(client.indices.refresh(index=name), copies=True))


def get_documents(
    client: opensearchpy.OpenSearch, index: str, docs: Sequence[Mapping[str, Any]], backoff: Backoff, **source: str
) -> list[dict[str, Any]]:
    """Documents by `_id`, with `routing` where there is one, in their present state, refreshed or not.

    Returns:
        An answer for each of `docs`, in their order; `found` says whether the document exists.

    Source:
        https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/ (a document whose shard is away has an
        `error` in an answer of status 200).
    """

    def request() -> list[dict[str, Any]]:
        found = client.mget(body={"docs": list(docs)}, index=index, **source)
        answers = found.get("docs") if isinstance(found, dict) else None
        if not isinstance(answers, list) or [_id_of(answer) for answer in answers] != [doc["_id"] for doc in docs]:
            raise opensearchpy.SerializationError("the answer is not one of these documents")
        for answer in answers:
            error = answer.get("error")
            if error is not None or not isinstance(answer.get("found"), bool):
                kind = str(error.get("type")) if isinstance(error, dict) else ""
                # As if the request had failed: all documents are requested again.
                raise opensearchpy.TransportError(DOCUMENT_ERRORS.get(kind, 503), kind, answer)
        return answers

    return backoff.call(client, request) if docs else []


def _id_of(answer: Any) -> Any:
    return answer.get("_id") if isinstance(answer, dict) else None


def value_at(source: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; the document may also have a field of the dotted name, and lists of objects."""
    if path in source:
        return source[path]
    head, _, rest = path.partition(".")
    inner = source.get(head)
    if not rest:
        return inner
    if isinstance(inner, list):
        found = [value_at(part, rest) for part in inner if isinstance(part, Mapping)]
        return [value for value in found if value is not None] or None
    return value_at(inner, rest) if isinstance(inner, Mapping) else None
