"""What a search request may say, as a query string or as JSON; both come down to the options of ProductSearch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clipita.errors import RequestError, UsageError

MAX_SIZE = 1_000
MAX_FACET_SIZE = 1_000
MAX_LISTED = 100
"""Facets, sort keys or filters of one request."""
MAX_VALUES = 1_000
CONDITIONS = ("gt", "gte", "lt", "lte", "exists")

Kind = Literal["text", "integer", "number", "boolean", "list", "flag_or_list", "path"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a search.

    Attributes:
        name: in a query string; in JSON it is `option`.
        option: of ProductSearch.
        kind: what it holds.
        about: for the interface's description.
        choices: the values it may have, if they are few.
    """

    name: str
    option: str
    kind: Kind
    about: str
    choices: tuple[str, ...] = ()


SEARCH = (
    Parameter("q", "query", "text", "Any words, or a category's name. May be left out where `category` is given."),
    Parameter("category", "category", "path", "A category by its path (`Shoes > Running`) or its name."),
    Parameter("mode", "mode", "text", "BM25, the model, or both.", ("lexical", "vector", "hybrid")),
    Parameter("fusion", "fusion", "text", "How hybrid makes one score of two.", ("saturation", "min_max", "rrf")),
    Parameter("facet", "facets", "list", "Count this field's values; may be repeated."),
    Parameter("facet_size", "facet_size", "integer", "Values a facet, 10 if not given."),
    Parameter("sort", "sort", "list", "`price` ascending, `-price` descending, `_score` relevance; may be repeated."),
    Parameter("size", "size", "integer", "Products a page, 24 if not given, 1,000 at most."),
    Parameter("page", "page", "integer", "From 1."),
    Parameter("cursor", "cursor", "text", "`cursor` of the page before, in place of `page`; goes as deep as you like."),
    Parameter("explain", "explain", "boolean", "Say what each score is made of."),
    Parameter("thumbnails", "thumbnails", "boolean", "Send each product's small JPEG, in base64."),
    Parameter("highlight", "highlight", "flag_or_list", "`true`, or text fields, in which matching words are marked."),
    Parameter("collapse", "collapse", "text", "Show each value of this field once, by its best product."),
    Parameter("variants", "variants", "integer", "With collapse: products of the group that come along."),
    Parameter("boost", "boosts", "list", "A business signal such as `popularity:sales:0.2:100`; may be repeated."),
    Parameter("field", "fields", "list", "A text field that BM25 searches, such as `title^3`; may be repeated."),
    Parameter("min_score", "min_score", "number", "Leave out products below."),
    Parameter("weight", "weight", "number", "Share of the vector in hybrid, 0 to 1."),
    Parameter("pivot", "pivot", "number", "The BM25 score that counts one half in hybrid."),
    Parameter("k", "k", "integer", "Nearest products that each shard contributes."),
    Parameter("rank_constant", "rank_constant", "integer", "Of the fusion rrf."),
)
_BY_NAME = {parameter.name: parameter for parameter in SEARCH}
_BY_OPTION = {parameter.option: parameter for parameter in SEARCH}
_FILTER = re.compile(r"filter\[([^\[\]]+)\](?:\[([^\[\]]*)\])?")


def from_query_string(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Options of a GET request.

    Filters are written `filter[brand]=Nike` (repeated: any of them) and `filter[price][lte]=80`.

    Raises:
        RequestError: an unknown parameter, one that is repeated and may not be, or one of the wrong type.
    """
    options: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    for name, text in pairs:
        if found := _FILTER.fullmatch(name):
            _add_filter(filters, found[1], found[2], text)
            continue
        parameter = _known(name, _BY_NAME, "filter[brand]")
        if parameter.kind in ("list", "flag_or_list"):
            options.setdefault(parameter.option, []).append(text)
        elif parameter.option in options:
            raise _off(f"The parameter {name} is given twice.")
        else:
            options[parameter.option] = _FROM_TEXT[parameter.kind](name, text)
    if "highlight" in options:
        options["highlight"] = _flag_or_list(options["highlight"])
    if filters:
        options["filters"] = filters
    return _bounded(options)


def from_json(content: Any) -> dict[str, Any]:
    """Options of a POST request: the same under the names of ProductSearch, filters as an object.

    Raises:
        RequestError: not an object, an unknown key, or a value of the wrong type.
    """
    if not isinstance(content, Mapping):
        raise _off("The request is no JSON object.", 'Send for instance {"query": "running shoes"}.')
    options: dict[str, Any] = {}
    for name, value in content.items():
        if value is None:
            continue
        if name == "filters":
            options[name] = _filters(value)
            continue
        parameter = _known(name, _BY_OPTION, "filters")
        if not _FITS[parameter.kind](value):
            raise _off(f"{name} is {_shown(value)}.", f"It must be {_WORDS[parameter.kind]}.")
        options[name] = value
    return _bounded(options)


def _bounded(options: dict[str, Any]) -> dict[str, Any]:
    for name, most in (("size", MAX_SIZE), ("facet_size", MAX_FACET_SIZE)):
        if options.get(name, 0) > most:
            raise _off(f"{name} is {options[name]:,}.", f"Use {most:,} at most.")
    for name in ("facets", "sort", "boosts", "fields", "highlight", "filters"):
        value = options.get(name)
        if not isinstance(value, bool | None) and len(value) > MAX_LISTED:
            raise _off(f"{len(value):,} {name} are given.", f"Use {MAX_LISTED} at most.")
    return options


def _known(name: str, known: Mapping[str, Parameter], filters: str) -> Parameter:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, [*known, filters], n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}, {filters}."
    raise _off(f"There is no parameter {_shown(name)}.", hint)


def _add_filter(filters: dict[str, Any], field: str, condition: str | None, text: str) -> None:
    if condition and condition not in CONDITIONS:
        raise _off(f"A filter has no condition {_shown(condition)}.", f"Known: {', '.join(CONDITIONS)}.")
    present = filters.setdefault(field, {} if condition else [])
    if isinstance(present, dict) != bool(condition):
        raise _off(f"{field} has both a value and a condition.", "Use either.")
    if isinstance(present, list):
        present.append(text)
        if len(present) > MAX_VALUES:
            raise _off(f"The filter on {field} has over {MAX_VALUES:,} values.")
    else:
        present[condition] = _boolean(f"filter[{field}][exists]", text) if condition == "exists" else text


def _filters(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _off(f"filters is {_shown(value)}.", 'Write {"brand": ["Nike"], "price": {"lte": 80}}.')
    for field, wanted in value.items():
        parts = list(wanted.values()) if isinstance(wanted, dict) else wanted if isinstance(wanted, list) else [wanted]
        if len(parts) > MAX_VALUES:
            raise _off(f"The filter on {field} has over {MAX_VALUES:,} values.")
        if not all(isinstance(part, str | int | float) for part in parts):
            raise _off(f"The filter on {field} is {_shown(wanted)}.", "Use texts, numbers, true or false.")
    return value


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise _off(f"{name} is {_shown(text)}.", "It must be a whole number.")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _off(f"{name} is {_shown(text)}.", "It must be a number.") from None


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise _off(f"{name} is {_shown(text)}.", "It must be true or false.")
    return text.lower() in ("true", "1")


def _flag_or_list(texts: list[str]) -> bool | list[str]:
    return texts[0] == "true" if texts in (["true"], ["false"]) else texts


_FROM_TEXT: dict[str, Callable[[str, str], Any]] = {
    "text": lambda _, text: text,
    "path": lambda _, text: text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


_FITS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "path": lambda value: isinstance(value, str) or (_is_texts(value) and bool(value)),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "list": _is_texts,
    "flag_or_list": lambda value: isinstance(value, bool) or _is_texts(value),
}
_WORDS = {
    "text": "a text",
    "path": "a text or a list of names",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list of texts",
    "flag_or_list": "true, false or a list of texts",
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _off(message: str, hint: str | None = None) -> UsageError:
    return RequestError(message, status=400, hint=hint)
