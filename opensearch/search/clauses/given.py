"""The shop's own query clause, `lexical` of a search: checked, and filled with the query."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipita.errors import UsageError

_PLACEHOLDER = re.compile(r"\{\{\s*query\s*\}\}")
_TAG = re.compile(r"\{\{.*?\}\}")


def check_clause(clause: Any) -> None:
    """Refuse what is not one query clause, with a UsageError."""
    if isinstance(clause, Mapping) and "hybrid" in clause:
        raise UsageError(
            "lexical is a `hybrid` query, which must be the whole query of a request.",
            hint="Give the part of it that matches words: clipita adds the vector.",
        )
    if isinstance(clause, Mapping) and len(clause) == 1 and "query" not in clause:
        return
    named = isinstance(clause, Mapping) and clause
    found = f"has the keys {', '.join(map(str, clause))}" if named else f"is {clause!r:.80}"
    raise UsageError(
        f"lexical {found}. It must be one query clause.",
        hint='Write for instance {"match": {"title": "{{query}}"}}. Several clauses go into one `bool`; of a request '
        "give what stands under `query`.",
    )


def read_clause(file: Path) -> dict[str, Any]:
    """The clause in a JSON file, to be filled with the query of each search.

    Raises:
        UsageError: the file cannot be read, is not JSON or no clause, lacks `{{query}}`, or has other tags.
    """
    try:
        clause: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", hint="Name the file of a query clause.") from None
    except ValueError as error:
        raise UsageError(f"{file} is not JSON: {error}.", hint="Write a query clause as JSON.") from None
    check_clause(clause)
    if not asks(clause):
        raise UsageError(
            f"{file} holds no {{{{query}}}}: all queries would find the same products.",
            hint='Write "{{query}}" where the words of the query belong.',
        )
    if others := [tag for tag in _TAG.findall(repr(clause)) if not _PLACEHOLDER.fullmatch(tag)]:
        raise UsageError(
            f"{file} holds {others[0]}, which nothing fills in.",
            hint="Keep {{query}} alone, and write values in place of all else.",
        )
    filled(clause, "")
    return dict(clause)


def asks(clause: Mapping[str, Any]) -> bool:
    """Whether a clause holds `{{query}}`."""
    return _PLACEHOLDER.search(repr(clause)) is not None


def filled(value: Any, text: str) -> Any:
    """A clause, or a part of one, with a text in place of each `{{query}}`; a UsageError for one in a script."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda _: text, value)
    if isinstance(value, list | tuple):
        return [filled(one, text) for one in value]
    if not isinstance(value, Mapping):
        return value
    script = value.get("script")
    source = script.get("source") if isinstance(script, Mapping) else script
    if isinstance(source, str) and _PLACEHOLDER.search(source):
        raise UsageError(
            "A script of the clause `lexical` holds {{query}}, so that a visitor's words would be its code.",
            hint="Hand the query over in `params` of the script.",
        )
    return {key: filled(one, text) for key, one in value.items()}
