"""Reading documents by id, where "not there" and "not to be had just now" are two things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import opensearchpy

from clipita.opensearch.retry import Backoff

GONE = "index_not_found_exception"


def get_documents(
    client: opensearchpy.OpenSearch, index: str, docs: Sequence[Mapping[str, Any]], backoff: Backoff, **source: str
) -> list[dict[str, Any]]:
    """Documents by id in their present state, refreshed or not.

    Args:
        client: connected.
        index: name or alias.
        docs: `_id`, and `routing` where there is one, of each.
        backoff: waits while the cluster cannot answer for some of them.
        source: `_source_includes` or `_source_excludes`, as the multi-get API has them.

    Returns:
        An answer for each of `docs`, in that order; `found` says whether the document is there.

    Raises:
        ClusterError: the cluster refused, or could not answer for each of them for too long.

    Source:
        https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/ (a document whose shard is away has an
        `error` in an answer of status 200).
    """

    def request() -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = client.mget(body={"docs": list(docs)}, index=index, **source)["docs"]
        for answer in answers:
            if error := answer.get("error"):
                # As if the whole request had failed so: the documents that were answered are asked for again.
                raise opensearchpy.TransportError(404 if error["type"] == GONE else 503, error["type"], answer)
        return answers

    return backoff.call(client, request) if docs else []
