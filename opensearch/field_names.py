"""The names a shop uses for its fields, found in the index's mapping: `colour` is `attributes.colour` there."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.arguments import VECTOR_FIELD, FilterValue
from clipita.opensearch.boosts import NUMBERS
from clipita.opensearch.content import attribute_key

HIDDEN = (VECTOR_FIELD, "clipita", "image")
WORDS = frozenset(("text", "keyword", "match_only_text", "search_as_you_type"))


class FieldNames:
    """Looks up fields by the names that users give.

    Args:
        properties: `mappings.properties` of the index.

    Attributes:
        types: every searchable field's full path to its type, sub-fields (`title.keyword`) included.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.types: dict[str, str] = {}
        for name, mapping in properties.items():
            if name not in HIDDEN:
                self._collect(name, mapping)

    def exact(self, name: str) -> str:
        """The path to filter or count by: whole values, not words.

        A name is tried as it is, then as an attribute's; a text field gives its `keyword` sub-field.

        Raises:
            UsageError: the index has no such field, or only one of words.
        """
        path = self._find(name)
        if self.types[path] != "text":
            return path
        keyword = f"{path}.keyword"
        if keyword not in self.types:
            raise UsageError(
                f"The field {name} holds words, not whole values, so it can be neither a filter nor a facet.",
                hint=f"Use one of: {self._listed()}.",
            )
        return keyword

    def searchable(self, names: Sequence[str]) -> tuple[str, ...]:
        """The paths to match words in; a boost (`title^3`) stays.

        Raises:
            UsageError: the index has no such field, or it holds no words.
        """
        paths = []
        for name in names:
            bare, mark, boost = name.partition("^")
            if mark and not _is_positive_number(boost):
                raise UsageError(f"The search field {name} has no proper boost.", hint="Write it as title^3.")
            path = self._find(bare)
            if self.types[path] not in WORDS:
                texts = sorted(name for name, kind in self.types.items() if kind == "text")
                raise UsageError(
                    f"The search field {bare} is of type {self.types[path]}, which holds no words.",
                    hint=f"Use some of: {', '.join(texts)}.",
                )
            paths.append(path + mark + boost)
        return tuple(paths)

    def check_numbers(self, name: str, value: FilterValue) -> None:
        """Refuse what can never match a numeric field, which the cluster would refuse without naming the field.

        Raises:
            UsageError: a value or bound that is no number, for a field of numbers.
        """
        if self.types[self.exact(name)] not in NUMBERS:
            return
        if isinstance(value, Mapping):
            given = [bound for key, bound in value.items() if key != "exists"]
        else:
            given = list(value) if isinstance(value, Collection) and not isinstance(value, str) else [value]
        for one in given:
            if not _is_number(one):
                raise UsageError(f"The filter on {name} is {one!r}.", hint=f"{name} holds numbers: write one.")

    def has(self, name: str) -> bool:
        """Whether a name can be resolved."""
        return self._lookup(name) is not None

    def _find(self, name: str) -> str:
        path = self._lookup(name)
        if path is None:
            short = {path.removeprefix("attributes.") for path in self.types}
            near = difflib.get_close_matches(name, short, n=1)
            raise UsageError(
                f"The index has no field {name}.",
                hint=f"Did you mean {near[0]}?" if near else f"It has: {self._listed()}.",
            )
        return path

    def _lookup(self, name: str) -> str | None:
        candidates = (name, f"attributes.{name}", f"attributes.{attribute_key(name)}")
        return next((path for path in candidates if path in self.types), None)

    def _collect(self, path: str, mapping: Mapping[str, Any]) -> None:
        for name, inner in mapping.get("properties", {}).items():
            self._collect(f"{path}.{name}", inner)
        kind = mapping.get("type", "object")
        if kind not in {"object", "nested"}:
            self.types[path] = kind
        for name, inner in mapping.get("fields", {}).items():
            self.types[f"{path}.{name}"] = inner["type"]

    def _listed(self) -> str:
        exact = sorted(path.removeprefix("attributes.") for path, kind in self.types.items() if kind != "text")
        shown = [name for name in exact if not name.endswith(".keyword")]
        return ", ".join(shown[:30]) + (f" and {len(shown) - 30} more" if len(shown) > 30 else "")


def _is_positive_number(text: str) -> bool:
    return _is_number(text) and float(text) > 0


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
