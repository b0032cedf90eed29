"""Numbers that an index holds as text: the alphabet puts 100 before 20, so no range and no sort of them is right."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from clipita.catalogue.column_types import PRICES
from clipita.catalogue.numbers import Amount, read_amount
from clipita.errors import QueryError, UsageError
from clipita.opensearch.cluster.errors import guarded

TEXTS = frozenset(("keyword", "wildcard", "constant_keyword"))
"""Types of fields that are ordered by the alphabet."""
SAMPLE = 100
"""Values of a field that are looked at, the most frequent."""
_SHOWN = 3
_CHARACTERS = 40
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def asks_for_numbers(value: Any) -> bool:
    """Whether a filter is a range with a number as a bound. A date such as 2024-05-31 is not a number."""
    return isinstance(value, Mapping) and any(
        not isinstance(bound, bool) and (isinstance(bound, int | float) or _amount(str(bound)) is not None)
        for key, bound in value.items()
        if key in ("gt", "gte", "lt", "lte")
    )


def is_misordered(name: str, values: Sequence[str]) -> bool:
    """Whether most of a field's values are prices or decimals, and the alphabet puts them in another order.

    Codes are of whole digits, and people sort by them on purpose.
    """
    priced = PRICES.search(name) is not None
    found = [(text, amount) for text in values if (amount := _amount(text) or (_first(text) if priced else None))]
    telling = priced or any(amount.currency or isinstance(amount.value, float) for _, amount in found)
    if not telling or 2 * len(found) < len(values):
        return False
    numbers = [amount.value for _, amount in sorted(found, key=lambda one: one[0])]
    return numbers != sorted(numbers)


def no_order(name: str, values: Sequence[str], use: str, *, attribute: bool) -> UsageError:
    """The error for a `use` of a text field that needs numbers; `values` are some that products have."""
    # What is no number says why the field is text.
    shown = sorted(values, key=lambda text: _amount(text) is not None)[:_SHOWN]
    such = f", with values such as {', '.join(repr(text[:_CHARACTERS]) for text in shown)}" if shown else ""
    cure = (
        "Attributes are text: leave its column out of them"
        if attribute
        else "clipita catalogue check FILE tells which values are no numbers: mend them"
    )
    return UsageError(
        f"{name} is text in this index{such}: {use} would go by the alphabet, which puts 100 before 20.",
        hint=f"{cure}, and build the index anew with --new-index.",
    )


def sample(client: OpenSearch, index: str, paths: Collection[str]) -> dict[str, list[str]]:
    """The most frequent values of each of these fields."""
    # Aggregations are numbered: a field may have a name that an aggregation must not have.
    wanted = {f"values{n}": {"terms": {"field": path, "size": SAMPLE}} for n, path in enumerate(paths)}
    with guarded(client, QueryError):
        answer = client.search(index=index, body={"size": 0, "track_total_hits": False, "aggs": wanted})
    found = answer.get("aggregations", {})
    return {
        path: [str(bucket["key"]) for bucket in found.get(f"values{n}", {}).get("buckets", ())]
        for n, path in enumerate(paths)
    }


def _amount(text: str) -> Amount | None:
    return read_amount(text) or read_amount(text, ",")


def _first(text: str) -> Amount | None:
    found = _NUMBER.search(text)
    return None if found is None else Amount(float(found[0].replace(",", ".")))
