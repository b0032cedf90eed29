"""Attributes in an index: the frequent ones have a field each, all others share one flat field as "name=value".

Of thousands of other columns, those that the fewest products have get no field, and are kept with the product.

A field for each of thousands of names is thousands of updates of a mapping that every node holds in memory, and then
products that the index refuses. The flat field is a list of keywords, which every engine has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from clipita.catalogue.attribute_names import MAX_MAPPED
from clipita.catalogue.column_types import MAX_INNER, ColumnType, unsearched
from clipita.catalogue.product import Product
from clipita.catalogue.variants.groups import GROUP_FIELD
from clipita.catalogue.variants.merge import VARIANTS_FIELD
from clipita.opensearch.cluster.errors import guarded

FLAT_FIELD = "clipita.flat"
FLAT_NAMES_FIELD = "clipita.flat_names"
KEYWORD: Mapping[str, Any] = {"type": "keyword", "ignore_above": 8191}
LONGEST_NAME = 200
"""Characters of a name with a field of its own."""
RESERVE = 500
"""Fields below an index's limit that are left for the catalogue's other columns."""
DEFAULT_LIMIT = 1_000
"""`index.mapping.total_fields.limit` where an index does not set it."""

_CLOSED: Mapping[str, Any] = {"type": "object", "dynamic": False}
_OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "number": {"type": "double"}, "boolean": {"type": "boolean"}, "text": KEYWORD,
    "object": {"type": "object", "dynamic": True},
}  # fmt: skip
_SPECIAL = re.compile(r"([^\w ]|_)", re.ASCII)


class AttributeFields:
    """The attributes that have a field of their own in an index; may be shared by threads.

    Attributes:
        mapped: their names.
        room: how many more may get one.
        dynamic: whether the index still gives a field to each new name, as those of earlier versions do.
    """

    def __init__(self, mapped: Iterable[str] = (), room: int = 0, *, dynamic: bool = False) -> None:
        self.mapped = set(mapped)
        self.room = room
        self.dynamic = dynamic

    @classmethod
    def of_documents(cls, properties: Mapping[str, Any], limit: int) -> AttributeFields:
        """Those of an index with clipita's documents, which may have `limit` fields in all."""
        attributes = properties.get("attributes", {})
        mapped = attributes.get("properties", {})
        room = min(MAX_MAPPED - len(mapped), limit - RESERVE - field_count(properties))
        return cls(mapped, max(0, room), dynamic=str(attributes.get("dynamic", True)).lower() != "false")

    @classmethod
    def of_shop(cls, properties: Mapping[str, Any], columns: Sequence[str]) -> AttributeFields:
        """Those of an index with the shop's documents, whose attributes are in `columns`; it gets no more."""
        paths = set(_leaves(properties))
        inside = {path[len(column) + 1 :] for column in columns for path in paths if path.startswith(f"{column}.")}
        return cls(paths | inside)

    def flat(self, product: Product) -> dict[str, list[str]]:
        """The attributes of a product without a field of their own, for the flat fields; empty without any.

        Those of its variants are its own.
        """
        variants = product.extra.get(VARIANTS_FIELD)
        described = [one for one in variants if isinstance(one, Mapping)] if isinstance(variants, list) else []
        rare: dict[str, str] = {}
        for attributes in (product.attributes, *(one.get("attributes") for one in described)):
            for name, value in attributes.items() if isinstance(attributes, Mapping) else ():
                if not self._has(name):
                    rare[f"{flat_key(name)}={value}"] = flat_key(name)
        return {"flat": list(rare), "flat_names": sorted(set(rare.values()))} if rare else {}

    def extend(self, client: OpenSearch, index: str, names: Iterable[str], *, variants: bool = False) -> None:
        """Give the first of these names a field each, as far as there is room, by one update of the mapping.

        A name that products of the index have in the flat field stays there: theirs would not be found. With `variants`
        the attributes inside `variants` have the same fields.
        """
        new = chosen((name for name in names if not self._has(name)), self.room)
        if new:
            with guarded(client):
                # What an interrupted run wrote counts too.
                client.indices.refresh(index=index)
            held = keys_in_flat(client, index, new)
            new = [name for name in new if flat_key(name) not in held]
        self.mapped.update(new)
        fields = {"attributes": attributes_field(new)} if new or self.dynamic else {}
        if variants:
            fields[VARIANTS_FIELD] = {"properties": {"attributes": attributes_field(sorted(self.mapped))}}
        if fields:
            with guarded(client):
                client.indices.put_mapping(index=index, body={"properties": fields})
        self.dynamic = False
        self.room -= len(new)

    def _has(self, name: str) -> bool:
        return name in self.mapped or attribute_key(name) in self.mapped


def column_fields(columns: Mapping[str, ColumnType], present: Mapping[str, Any], room: int) -> dict[str, Any]:
    """What the mapping of an index must say so that columns are no more fields than it can have; else empty.

    Args:
        columns: of the catalogue, by their names in the index.
        present: the properties that the mapping has.
        room: how many fields may be added.
    """
    left = unsearched(columns)
    bulky = [name for name in left if columns[name].names > MAX_INNER]
    # A field that is a text stays one, whatever its column holds now.
    fields: dict[str, Any] = {name: _CLOSED for name in bulky if name not in present or "properties" in present[name]}
    if len(bulky) == len(left):
        return {"properties": fields} if fields else {}
    searched = sorted((name for name in columns if name not in left), key=lambda name: -columns[name].rows)
    fields |= {VARIANTS_FIELD: _CLOSED, GROUP_FIELD: KEYWORD}
    fields |= {name: _OF_KIND[columns[name].kind] for name in searched if not _is_inside(name, columns)}
    new = {name: mapping for name, mapping in fields.items() if name not in present or name in bulky}
    return {"dynamic": False, "properties": dict(list(new.items())[: max(0, room)])}


def _is_inside(name: str, columns: Mapping[str, ColumnType]) -> bool:
    return any(name[:at] in columns for at, mark in enumerate(name) if mark == ".")


def attributes_field(names: Iterable[str]) -> dict[str, Any]:
    """The mapping of `attributes` with fields for these names."""
    return {"type": "object", "dynamic": False, "properties": dict.fromkeys(names, KEYWORD)}


def chosen(names: Iterable[str], room: int = MAX_MAPPED) -> list[str]:
    """The field names of the first of these names that can have a field, at most `room`."""
    keys = dict.fromkeys(attribute_key(name) for name in names)
    # What a mapping may not hold, or people cannot type, is not worth the risk of a refused update.
    return [key for key in keys if len(key) <= LONGEST_NAME and key.isprintable()][:room]


def attribute_key(name: str) -> str:
    """An attribute's name as a field name, without dots, which OpenSearch reads as steps into objects."""
    return name.replace(".", "_").strip() or "_"


def flat_key(name: str) -> str:
    """An attribute's name in the flat field, where it ends at the first "="."""
    return attribute_key(name).replace("=", "_")


def flat_path(name: str) -> str:
    """What stands for the field of an attribute in the flat field."""
    return f"{FLAT_FIELD}={flat_key(name)}"


def key_of(path: str) -> str | None:
    """The attribute that a path of `flat_path` stands for; None for the path of a real field."""
    return path[len(FLAT_FIELD) + 1 :] if path.startswith(f"{FLAT_FIELD}=") else None


def values_of(key: str) -> str:
    """A regular expression of Lucene for the entries of an attribute in the flat field."""
    return _SPECIAL.sub(r"\\\1", key) + "=.*"


def keys_in_flat(client: OpenSearch, index: str, names: Iterable[str]) -> set[str]:
    """Of the `flat_key` of each of these names, those that products of an index have in the flat field."""
    keys = sorted({flat_key(name) for name in names})
    entries = {"terms": {"field": FLAT_NAMES_FIELD, "include": keys, "size": len(keys)}}
    body = {"size": 0, "track_total_hits": False, "aggs": {"names": entries}}
    with guarded(client):
        answer = client.search(index=index, body=body)
    # A field that the mapping lacks has no aggregation.
    return {bucket["key"] for bucket in answer.get("aggregations", {}).get("names", {}).get("buckets", ())}


def field_count(properties: Mapping[str, Any]) -> int:
    """How many fields a mapping has, objects and sub-fields included, as OpenSearch counts them."""
    return sum(
        1 + field_count(mapping.get("properties", {})) + len(mapping.get("fields", {}))
        for mapping in properties.values()
    )


def _leaves(properties: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of fields that can be searched by their values."""
    for name, mapping in properties.items():
        yield from _leaves(mapping.get("properties", {}), f"{prefix}{name}.")
        if mapping.get("type", "object") not in ("object", "nested", "flat_object", "flattened"):
            yield f"{prefix}{name}"
