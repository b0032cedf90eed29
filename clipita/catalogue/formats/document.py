"""JSON documents as rows: an array of objects, or objects inside it ({"products": [...]})."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import ijson
import orjson

from clipita.catalogue.formats.objects import ObjectSource
from clipita.catalogue.formats.rows import NumberedRow, opened
from clipita.errors import CatalogueError, ProductError

DEEPEST = 5
"""Levels above the products."""
DEEPEST_VALUE = 200
ITEM = "item"
"""What ijson calls the values of an array."""
_BUFFER = 2**18


class JsonDocumentSource(ObjectSource):
    """Rows of one JSON document: the objects of its longest array, numbered from 1.

    Objects that hold nothing but `node`, as GraphQL gives them, are what is inside.

    Raises:
        CatalogueError: no JSON, or no array of objects in it.
    """

    @property
    def rows(self) -> int:
        """Items of the array."""
        return self._place[1]

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes in JSON
        """All objects in order.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says behind which object.
        """
        number = 0
        try:
            with opened(self._file) as stream:
                for number, item in enumerate(ijson.items(stream, self._place[0], buf_size=_BUFFER, use_float=True), 1):
                    yield number, _object(item)
        except _errors() as error:
            raise self._broken(number, error) from error

    @functools.cached_property
    def _place(self) -> tuple[str, int]:
        """The prefix of the products, as ijson writes it, and how many items there are."""
        counts: Counter[str] = Counter()
        names: list[str] = []
        # ijson.parse makes all prefixes of a buffer at once: gigabytes, where a hundred thousand brackets are open.
        try:
            with opened(self._file) as stream:
                for event, value in ijson.basic_parse(stream, buf_size=_BUFFER):
                    if event == "map_key":
                        names[-1] = value
                    elif event.startswith("end_"):
                        names.pop()
                    elif event.startswith("start_"):
                        # An array inside a product is no array of products.
                        if event == "start_map" and names[-1:] == [ITEM] and names.count(ITEM) == 1:
                            counts[".".join(names)] += 1
                        names.append(ITEM if event == "start_array" else "")
                        if len(names) > DEEPEST_VALUE:
                            raise CatalogueError(f"{self._file} has values nested deeper than {DEEPEST_VALUE} levels.")
        except _errors() as error:
            raise self._broken(counts.total(), error) from error
        places = [(prefix, count) for prefix, count in counts.most_common() if prefix.count(".") < DEEPEST]
        if not places:
            raise CatalogueError(
                f"{self._file} has no array of objects.", hint="Give one object per line, or an array of products."
            )
        return places[0]

    def _broken(self, number: int, error: Exception) -> CatalogueError:
        return CatalogueError(
            f"{self._file} is not JSON beyond object {number}: {str(error).splitlines()[0]}.",
            hint="The file is damaged or was not copied to its end; copy it again.",
        )


def is_document(file: Path) -> bool:
    """Whether a JSON file is one document, not one object per line: an array, or an object over several lines."""
    try:
        with opened(file) as stream:
            first = next((line for line in iter(lambda: stream.readline(_BUFFER), b"") if line.strip()), b"")
            start = first.lstrip()
            if start.startswith(b"[") or not start.startswith(b"{"):
                return start.startswith(b"[")
            try:
                value = orjson.loads(first)
            except orjson.JSONDecodeError:
                if len(first) >= _BUFFER:
                    # It goes on beyond what was read: a document in one line, or a line that is too long for a row.
                    return ".json" in (suffix.lower() for suffix in file.suffixes)
                following = stream.readline(_BUFFER).lstrip()
                return bool(following) and not following.startswith(b"{")
            alone = not stream.read(_BUFFER).strip()
    except _errors():
        return False
    # A product has texts of its own, what is around products hardly any.
    return alone and sum(isinstance(part, str) for part in value.values()) < 2 and _holds_objects(value, DEEPEST)


def _holds_objects(value: Any, depth: int) -> bool:
    """Whether there is a list of objects within some levels."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return depth > 0 and isinstance(value, dict) and any(_holds_objects(part, depth - 1) for part in value.values())


def _object(item: Any) -> dict[str, Any] | ProductError:
    if not isinstance(item, dict):
        return ProductError(f"the item is not a JSON object: it holds a {type(item).__name__}")
    inner = item.get("node")
    return inner if len(item) == 1 and isinstance(inner, dict) else item


def _errors() -> tuple[type[Exception], ...]:
    return (ijson.JSONError, EOFError, OSError, zlib.error, UnicodeDecodeError)
