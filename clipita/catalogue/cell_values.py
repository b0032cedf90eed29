"""Cell values of Parquet, JSON and CSV as text, pairs or JSON values."""

from __future__ import annotations

import datetime
import html
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from clipita.errors import ProductError

MAX_DEPTH = 20
"""Nesting of an extra field; OpenSearch's index.mapping.depth.limit is 20 too."""

METADATA = frozenset((
    "_data_stream_timestamp", "_doc_count", "_field_names", "_id", "_ignored", "_index", "_nested_path",
    "_primary_term", "_routing", "_seq_no", "_source", "_tier", "_type", "_version",
))  # fmt: skip
"""Names that no document of an index may have; https://docs.opensearch.org/latest/mappings/metadata-fields/index/"""

_EXACT_INTEGERS = 2**53  # of a float
_LONGEST_INTEGER = 2**63
_TAG = re.compile(
    r"<(script|style)\b[^<>]*>.{0,10000}?</\1>|</?[a-z][^<>]{0,1000}>|<!--.{0,1000}?-->", re.DOTALL | re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_JSON = {dict: re.compile(r"\{\s*['\"].*\}", re.DOTALL), list: re.compile(r"\[\s*['\"].*\]", re.DOTALL)}


def clean(value: str) -> str:
    """Replace what UTF-8 and tokenizers cannot carry: NULs by spaces, lone surrogates by U+FFFD."""
    if "\0" in value:
        value = value.replace("\0", " ")
    return value if value.isascii() else _SURROGATES.sub("\ufffd", value)


def field_name(name: str) -> str:
    """A name as that of a field in an index: OpenSearch keeps some for itself, and reads dots as steps into objects."""
    name = clean(name)
    if name in METADATA:
        return f"{name}_"
    return name if all(part.strip() for part in name.split(".")) else name.replace(".", "_").strip() or "_"


def without_markup(value: str | None) -> str | None:
    """A text without HTML tags, its entities as what they stand for; None if nothing is left."""
    if value is None or ("<" not in value and "&" not in value):
        return value
    found = _ENTITY.sub(lambda match: html.unescape(match[0]), _TAG.sub(" ", value))
    return value if found == value else clean(" ".join(found.split())) or None


def text(value: Any, column: str) -> str | None:
    """A scalar as stripped text; None for null, NaN, infinities and blank strings.

    Raises:
        ProductError: the value is a list, an object, or bytes that are not UTF-8.
    """
    match value:
        case None:
            return None
        case str():
            return clean(value).strip() or None
        case bool():
            return "true" if value else "false"
        case int() | UUID():
            return str(value)
        case float():
            return (integer_text(value) or repr(value)) if math.isfinite(value) else None
        case Decimal():
            return format(value.normalize(), "f") if value.is_finite() else None
        case bytes():
            try:
                return clean(value.decode("utf-8")).strip() or None
            except UnicodeDecodeError as error:
                raise ProductError(f"{column} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        case datetime.date() | datetime.time():
            return value.isoformat()
    raise ProductError(f"{column} is not text: it holds {_describe(value)}")


def phrase(value: Any, column: str, depth: int = 0) -> str | None:
    """A value of any shape as one phrase: lists joined with ", ", objects as "key: value, key: value".

    Raises:
        ProductError: a part is not text, or is nested deeper than `MAX_DEPTH`.
    """
    _check_depth(depth, column)
    if isinstance(value, Mapping):
        parts = [(str(key), phrase(part, column, depth + 1)) for key, part in value.items()]
        return ", ".join(f"{clean(key)}: {part}" for key, part in parts if part) or None
    if isinstance(value, list | tuple):
        phrases = (phrase(part, column, depth + 1) for part in value)
        return ", ".join(part for part in phrases if part) or None
    return text(value, column)


def pairs(value: Any, column: str) -> list[tuple[str, Any]] | None:
    """The (name, value) pairs of a map-like cell; None if the cell is not map-like.

    Map-like are an object, a list of [name, value], a list of {"name" or "key", "value"} objects, and a string with a
    JSON object.

    Raises:
        ProductError: a string looks like an object but is not JSON, such as a printed Python dict.
    """
    if isinstance(value, str):
        value = parse_json_cell(value, dict, column)
    if isinstance(value, Mapping):
        return [(str(name), part) for name, part in value.items()]
    if isinstance(value, list) and value:
        found = [pair for item in value if (pair := _pair(item))]
        return found if len(found) == len(value) else None
    return None


def parse_json_cell(value: str, shape: type[dict[str, Any]] | type[list[Any]], column: str) -> Any:
    """Parse a string with a JSON object or array; other strings are returned unchanged.

    Raises:
        ProductError: the string begins and ends like the shape but is not JSON.
    """
    stripped = value.strip()
    if not stripped.startswith("{" if shape is dict else "["):
        return value
    try:
        parsed = orjson.loads(stripped)
    except orjson.JSONDecodeError as error:
        if _LOOKS_LIKE_JSON[shape].fullmatch(stripped):
            raise ProductError(f"{column} is not valid JSON: {stripped[:60]!r} ({error})") from None
        return value
    return parsed if isinstance(parsed, shape) else value


def jsonable(value: Any, column: str, depth: int = 0) -> Any:
    """A value that JSON and OpenSearch can hold.

    NaN, infinities and bytes become None; dates ISO 8601 texts; decimals numbers; durations seconds; maps objects;
    integers beyond 64 bits floats.

    Raises:
        ProductError: the value is nested deeper than `MAX_DEPTH`, or its type has no JSON form.
    """
    _check_depth(depth, column)
    match value:
        case None | bytes():
            return None
        case bool():
            return value
        case str():
            return clean(value)
        case int():
            return value if -_LONGEST_INTEGER <= value < _LONGEST_INTEGER else _float_of(value, column)
        case float():
            return value if math.isfinite(value) else None
        case Decimal() if value.as_tuple().exponent == 0 and abs(value) < _LONGEST_INTEGER:
            return int(value)
        case Decimal():
            # A decimal(10, 2) is a float for 12.00 as for 12.50: one type per column in the index.
            return float(value) if value.is_finite() else None
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case [*items] if items and all(isinstance(item, tuple) and len(item) == 2 for item in items):
            # Arrow returns a map as a list of 2-tuples, and tuples for nothing else.
            return {field_name(str(key)): jsonable(part, column, depth + 1) for key, part in items}
        case Mapping():
            return {field_name(str(key)): jsonable(part, column, depth + 1) for key, part in value.items()}
        case list() | tuple():
            return [jsonable(item, column, depth + 1) for item in value]
    raise ProductError(f"a field has no JSON form: {column} holds {_describe(value)}")


def integer_text(value: Any) -> str | None:
    """The digits of a whole number; None for other values and for floats too large to be exact."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    return None


def _check_depth(depth: int, column: str) -> None:
    if depth > MAX_DEPTH:
        raise ProductError(f"a field is nested too deeply: {column} has more than {MAX_DEPTH} levels")


def _pair(item: Any) -> tuple[str, Any] | None:
    if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    if isinstance(item, Mapping) and len(item) == 2 and "value" in item:
        name = item.get("name", item.get("key"))
        return (name, item["value"]) if isinstance(name, str) else None
    return None


def _float_of(value: int, column: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ProductError(f"a field has no JSON form: {column} holds a number of {len(str(value))} digits") from None


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a value of type {type(value).__name__}"
