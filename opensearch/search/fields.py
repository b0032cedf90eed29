"""The shop's names for its fields, resolved by the index's mapping: `colour` is `attributes.colour` there."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from clipita.config import FieldsConfig
from clipita.errors import UsageError
from clipita.opensearch.index.attributes import attribute_key, flat_key, flat_path, key_of
from clipita.opensearch.index.mapping import VECTOR_FIELD
from clipita.opensearch.search.boosts import NUMBERS
from clipita.opensearch.search.clauses.texts import TEXTS, asks_for_numbers, is_misordered, no_order
from clipita.opensearch.search.options import FilterValue
from clipita.opensearch.search.understanding.quantities import whole

HIDDEN = (VECTOR_FIELD, "clipita", "image")
LIMITS: Mapping[str, tuple[float, float]] = {
    "byte": (-(2**7), 2**7 - 1), "short": (-(2**15), 2**15 - 1), "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1), "unsigned_long": (0, 2**64 - 1), "half_float": (-65_504.0, 65_504.0),
    "float": (-3.4028234663852886e38, 3.4028234663852886e38),
}  # fmt: skip
"""The least and the most that a field of a type holds."""
WORDS = frozenset(("text", "keyword", "match_only_text", "search_as_you_type"))


class FieldNames:
    """Looks up fields by the names that users give.

    `own` says where the shop's documents differ from our layout; see `ProductIndex.fields`.

    Attributes:
        types: every searchable field's full path to its type, sub-fields (`title.keyword`) included.
        samples: of fields of text that a search wants to order, some values by path; see `texts.sample`.
        layout: where title, image and category path are in the documents.
    """

    def __init__(self, properties: Mapping[str, Any], own: Mapping[str, str] | None = None) -> None:
        self._own: dict[str, Any] = dict(own or {})
        self.layout = FieldsConfig(**self._own)
        self.types: dict[str, str] = {}
        self.samples: dict[str, list[str]] = {}
        self._found: dict[str, str] = {}
        for name, mapping in properties.items():
            if name not in HIDDEN:
                self._collect(name, mapping)

    def exact(self, name: str) -> str:
        """The path to filter or count by whole values; a UsageError for an unknown field, or one of words.

        A name is tried as it is, then as an attribute's; a text field gives its `keyword` sub-field. An attribute of
        the flat field (`learn`) has a path that filters and facets alone understand, see `attributes.flat_path`.
        """
        path = self._find(name)
        if self.kind(path) != "text":
            return path
        keyword = f"{path}.keyword"
        if keyword not in self.types:
            raise UsageError(
                f"The field {name} holds words, not whole values, so it can be neither a filter nor a facet.",
                hint=f"Use one of: {self._listed()}.",
            )
        return keyword

    def own(self, name: str, use: str) -> str:
        """As `exact`, for a use that needs a field of the attribute's own; no sort of prices that are text."""
        path = self.exact(name)
        if key_of(path) is not None:
            raise UsageError(
                f"{name} cannot be used to {use}: few products have this attribute, so it shares a field with others.",
                hint="It can be a filter (a value, a list of values, or exists) and a facet.",
            )
        values = self.samples.get(path, [])
        if use == "sort" and self.kind(path) in TEXTS and path != self.layout.id and is_misordered(name, values):
            raise no_order(name, values, "a sort", attribute=path.startswith("attributes."))
        return path

    def ordered(self, name: str) -> str | None:
        """The path by which a field is ordered, if that goes by the alphabet."""
        with suppress(UsageError):
            path = self.exact(name)
            return path if self.kind(path) in TEXTS else None
        return None

    def kind(self, path: str) -> str:
        """The type of a path's field; `flat` for an attribute of the flat field."""
        return "flat" if key_of(path) is not None else self.types[path]

    def learn(self, names: Iterable[str], held: Callable[[Collection[str]], Collection[str]]) -> None:
        """Find names that the mapping lacks among the attributes of the flat field.

        Args:
            names: as users give them.
            held: of some names of attributes, the `flat_key` of those that products have in the flat field.
        """
        # An attribute may be given with the path of the object that it is in.
        unknown = [name for name in names if not self.has(name)]
        ways = {name: [name, *(name[at + 1 :] for at, mark in enumerate(name) if mark == ".")] for name in unknown}
        found = held([way for some in ways.values() for way in some]) if ways else ()
        for name, some in ways.items():
            if way := next((way for way in some if flat_key(way) in found), None):
                self._found[name] = flat_path(way)

    def path(self, name: str, value: FilterValue) -> str:
        """The path of a filter's field: of its words for `{"match": …}`, else of its whole values, see `exact`."""
        return self.searchable([name])[0] if is_match(value) else self.exact(name)

    def searchable(self, names: Sequence[str]) -> tuple[str, ...]:
        """The paths to match words in, with their boosts (`title^3`); a UsageError for a field without words."""
        paths = []
        for name in names:
            bare, mark, boost = name.partition("^")
            if mark and not _is_positive(boost):
                raise UsageError(f"The search field {name} has no positive boost.", hint="Write it as title^3.")
            path = self._find(bare)
            if self.kind(path) not in WORDS:
                texts = sorted(name for name, kind in self.types.items() if kind == "text")
                raise UsageError(
                    f"The search field {bare} is of type {self.kind(path)}, which holds no words.",
                    hint=f"Use some of: {', '.join(texts)}.",
                )
            paths.append(path + mark + boost)
        return tuple(paths)

    def typed(self, name: str, value: FilterValue) -> FilterValue:
        """A filter's value as its field holds it, so that the text "80" of a URL equals the number 80.

        The cluster would refuse a wrong number without naming the field; here a UsageError does. It would also refuse a
        number that the field cannot hold, where "under 3,000,000,000" means all products.
        """
        if is_match(value):
            return value
        path = self.exact(name)
        kind = self.kind(path)
        if kind in TEXTS and asks_for_numbers(value):
            values = self.samples.get(path, [])
            raise no_order(name, values, "a range of numbers", attribute=path.startswith("attributes."))
        if kind == "boolean":
            convert: Callable[[Any], FilterValue] = _truth
        elif kind in NUMBERS:
            convert = _number
        else:
            return value

        def read(one: Any) -> FilterValue:
            try:
                found: FilterValue = convert(one)
            except (TypeError, ValueError, OverflowError):
                hint = f"{name} holds numbers: write one."
                raise UsageError(f"The filter on {name} is {one!r}.", hint=hint) from None
            return found

        if isinstance(value, Mapping):
            held: FilterValue = {key: bound if key == "exists" else read(bound) for key, bound in value.items()}
        elif isinstance(value, Collection) and not isinstance(value, str):
            held = [read(one) for one in value]
        else:
            held = read(value)
        return _within(held, *LIMITS[kind]) if kind in LIMITS else held

    def has(self, name: str) -> bool:
        """Whether a name can be resolved."""
        return self._lookup(name) is not None

    def short(self, path: str) -> str:
        """The shop's name of a path: the shortest that `exact` finds it by."""
        name = path.removeprefix("attributes.").removesuffix(".keyword")
        with suppress(UsageError):
            if self.exact(name) == path:
                return name
        return path

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
        if name not in self._found:
            key = attribute_key(name)
            candidates = (name, self._own.get(name), f"attributes.{name}", f"attributes.{key}", key)
            found = next((path for path in candidates if path in self.types), None)
            if found is None:
                return None
            self._found[name] = found
        return self._found[name]

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


def mapping_at(properties: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The mapping of a field or sub-field; empty for an unknown path."""
    mapping: Mapping[str, Any] = {"properties": properties}
    for name in path.split("."):
        mapping = {**mapping.get("properties", {}), **mapping.get("fields", {})}.get(name, {})
    return mapping


def is_match(value: FilterValue) -> bool:
    """Whether a filter asks for words of a text."""
    return isinstance(value, Mapping) and "match" in value


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _number(value: Any) -> int | float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    found = whole(number)
    if isinstance(found, int):
        # Beyond 2^53 a float would be another number than the text says.
        with suppress(ValueError):
            return int(value)
    return found


def _within(value: Any, low: float, high: float) -> FilterValue:
    """A filter that finds the same with numbers from `low` to `high` alone."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, bound in value.items():
            if key == "exists" or low <= bound <= high:
                found[key] = bound
            elif bound > high:
                found |= {"lte": high} if key in ("lt", "lte") else {"gt": high}
            else:
                found |= {"lt": low} if key in ("lt", "lte") else {"gte": low}
        return found
    values = value if isinstance(value, list) else [value]
    held = [one for one in values if low <= one <= high]
    if values and not held:
        # No product has it.
        return {"gt": high}
    return held if isinstance(value, list) else cast("FilterValue", value)


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
