"""Synonyms of the shop in the settings of its index: a filter of the analyzer of queries, so no product is read again.

OpenSearch changes an analyzer while the index is closed alone. Its plugin that refreshes search analyzers reads files
on the disks of all nodes, not settings: https://docs.opensearch.org/latest/im-plugin/refresh-analyzer/
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.index.analysis import SEARCH, TEXT_FIELDS, searched_with
from clipita.opensearch.index.index import read, warm_up
from clipita.word_files import Rule, refuse

AT_ONCE = 100
"""Phrases of one request: the cluster refuses more than 10,000 tokens."""
OPENING_SECONDS = 120


def put_synonyms(client: OpenSearch, name: str, rules: Sequence[Rule], file: str | Path) -> float:
    """Search an index with these synonyms from now on, in place of those that it had; without rules, with none.

    Everything is checked before the index is closed, and it is opened again whatever happens.

    Args:
        client: of the cluster.
        name: of the index.
        rules: see `read_synonyms`.
        file: where they come from, for errors.

    Returns:
        Seconds for which the index did not answer.

    Raises:
        UsageError: the index has analyzers of the shop's own, or a phrase has no word that the index searches for.
        ClusterError: the cluster refuses.
    """
    index = read(client, name)
    fields = [field for field in TEXT_FIELDS if field in index.properties]
    if index.kept or not fields:
        raise UsageError(
            f"The index {name} has the shop's own fields and analyzers, which stay as they are.",
            hint="Change the synonyms in its own settings, as your search already does.",
        )
    lines = _lines(client, name, fields[0], rules, file)
    wanted = searched_with(index.language, lines)
    with guarded(client):
        began = time.monotonic()
        try:
            client.indices.close(index=name)
            client.indices.put_settings(index=name, body={"analysis": wanted})
        finally:
            client.indices.open(index=name, request_timeout=OPENING_SECONDS)
            health = client.cluster.health(
                index=name, wait_for_status="yellow", timeout=f"{OPENING_SECONDS}s",
                request_timeout=OPENING_SECONDS + 10, ignore=[408],
            )  # fmt: skip
        closed = time.monotonic() - began
        if health["timed_out"]:
            raise ClusterError(
                f"{name} is open again, but not all of its shards answer after {OPENING_SECONDS} seconds.",
                hint="Look at GET _cluster/allocation/explain.",
            )
        changed = {field: {**index.properties[field], "search_analyzer": SEARCH} for field in fields}
        client.indices.put_mapping(index=name, body={"properties": changed})
        warm_up(client, name)
    return closed


def _lines(client: OpenSearch, name: str, field: str, rules: Sequence[Rule], file: str | Path) -> list[str]:
    """The rules as the cluster reads them: without stop words, which it refuses in a phrase."""
    phrases = list(dict.fromkeys(phrase for rule in rules for phrase in (*rule.phrases, *rule.stand_for)))
    kept: dict[str, str] = {}
    for start in range(0, len(phrases), AT_ONCE):
        some = phrases[start : start + AT_ONCE]
        with guarded(client):
            answer = client.indices.analyze(index=name, body={"field": field, "text": some})
        kept.update(zip(some, _kept(some, answer["tokens"]), strict=True))
    faults = [
        (rule.line, f"has a phrase without a word that is searched for: {phrase!r}")
        for rule in rules
        for phrase in (*rule.phrases, *rule.stand_for)
        if not kept[phrase]
    ]
    refuse(file, faults, "Leave out phrases of stop words and punctuation alone.")
    return [
        " => ".join(
            ", ".join(_escaped(kept[phrase]) for phrase in side) for side in (rule.phrases, rule.stand_for) if side
        )
        for rule in rules
    ]


def _kept(phrases: Sequence[str], tokens: Sequence[dict[str, Any]]) -> list[str]:
    """The parts of each phrase of which there are tokens; offsets count UTF-16 units through all phrases."""
    text = "\n".join(phrases).encode("utf-16-le")
    blank = " ".encode("utf-16-le")
    units = [b"\n\0" if text[at : at + 2] == b"\n\0" else blank for at in range(0, len(text), 2)]
    for token in tokens:
        for at in range(token["start_offset"], token["end_offset"]):
            units[at] = text[2 * at : 2 * at + 2]
    return [" ".join(part.split()) for part in b"".join(units).decode("utf-16-le").split("\n")]


def _escaped(phrase: str) -> str:
    return phrase.replace("\\", "\\\\").replace(",", "\\,").replace("=>", "\\=>")
