"""Facts about the index for a storefront: the category tree with counts, and the fields for facets and sorting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from opensearchpy import AsyncOpenSearch

from clipita.catalogue.product import CategoryPath
from clipita.errors import QueryError
from clipita.opensearch.cluster.errors import address_of, guarded
from clipita.opensearch.index.attributes import FLAT_NAMES_FIELD
from clipita.opensearch.index.categories import category_id
from clipita.opensearch.index.mapping import NODES_FIELD
from clipita.opensearch.search.boosts import NUMBERS
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.fields import FieldNames
from clipita.opensearch.search.understanding.source import most_used, usage

KEPT_SECONDS = 60.0
NODES_AT_ONCE = 10_000
MAX_FIELDS = 100
MAX_FLAT = 20
"""Attributes of the flat field that are listed."""
MOST_VALUES = 1_000
"""A field with more values is not offered as a facet."""
LEAST_SHARE = 0.01
"""The share of products that must have a field for it to be offered."""
NOT_OFFERED = ("product_id", "category_path", "attributes_text")

Answer = TypeVar("Answer")


class Shop:
    """Reads the category tree and the fields, each once a minute at most."""

    def __init__(self, client: AsyncOpenSearch, search: ProductSearch) -> None:
        self._client = client
        self._search = search
        self._where = address_of(search.client)
        self._locks = {"categories": asyncio.Lock(), "fields": asyncio.Lock()}
        self._kept: dict[str, tuple[float, str, Any]] = {}

    async def categories(self) -> dict[str, Any]:
        """The tree: `{total, categories: [{name, path, count, children}]}`, each level by name."""
        return await self._once("categories", self._read_categories)

    async def fields(self) -> dict[str, Any]:
        """`{products, facets: [{name, values, share}], ranges: [{name, min, max, share}], sorts, flat}`, widest first.

        `flat` is `{names, most: [{name, share}]}`: how many attributes share the flat field, and the most frequent.
        They can be filters and facets too.
        """
        return await self._once("fields", self._read_fields)

    async def _once(self, name: str, read: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._locks[name]:
            read_at, index, kept = self._kept.get(name, (0.0, "", None))
            if index == self._search.index.name and time.monotonic() - read_at <= KEPT_SECONDS:
                return cast(Answer, kept)
            answer = await read()
            self._kept[name] = (time.monotonic(), self._search.index.name, answer)
            return answer

    async def _read_categories(self) -> dict[str, Any]:
        categories = await asyncio.to_thread(lambda: self._search.categories)
        paths = {category_id(entry.path): entry.path for entry in categories}
        totals: dict[CategoryPath, int] = {}
        for start in range(0, len(paths), NODES_AT_ONCE):
            nodes = list(paths)[start : start + NODES_AT_ONCE]
            terms = {"field": NODES_FIELD, "include": nodes, "size": len(nodes)}
            answer = await self._ask({"nodes": {"terms": terms}})
            for bucket in answer.get("aggregations", {}).get("nodes", {"buckets": []})["buckets"]:
                totals[paths[bucket["key"]]] = bucket["doc_count"]
        return {"total": len(paths), "categories": nested(dict.fromkeys(paths.values(), 0) | totals)}

    async def _read_fields(self) -> dict[str, Any]:
        names = self._search.names
        texts, numbers = offered(names)
        if len(texts) + len(numbers) > MAX_FIELDS:
            both = {**texts, **numbers}
            kept = most_used(both, await self._ask(usage(both)["aggs"]), MAX_FIELDS)
            texts, numbers = ({name: path for name, path in some.items() if name in kept} for some in (texts, numbers))
        # Aggregations are numbered: a field may have a name that an aggregation must not have.
        answer = await self._ask(
            {
                **{f"values{n}": {"cardinality": {"field": path}} for n, path in enumerate(texts.values())},
                **{f"count{n}": {"filter": {"exists": {"field": path}}} for n, path in enumerate(texts.values())},
                **{f"stats{n}": {"stats": {"field": path}} for n, path in enumerate(numbers.values())},
                "flat": {"terms": {"field": FLAT_NAMES_FIELD, "size": MAX_FLAT}},
                "flat_names": {"cardinality": {"field": FLAT_NAMES_FIELD}},
            }
        )
        products = answer["hits"]["total"]["value"]
        found = answer.get("aggregations", {})
        values = {path: found[f"values{n}"]["value"] for n, path in enumerate(texts.values())}
        stats = {path: found[f"stats{n}"] for n, path in enumerate(numbers.values())}
        used = {path: found[f"count{n}"]["doc_count"] for n, path in enumerate(texts.values())}
        used |= {path: entry["count"] for path, entry in stats.items()}
        share = {path: number / products if products else 0.0 for path, number in used.items()}
        facets = [
            {"name": name, "values": values[path], "share": share[path]}
            for name, path in texts.items()
            if 1 < values[path] <= MOST_VALUES and share[path] >= LEAST_SHARE
        ]
        ranges = [
            {"name": name, "min": stats[path]["min"], "max": stats[path]["max"], "share": share[path]}
            for name, path in numbers.items()
            if share[path] >= LEAST_SHARE
        ]
        ranges.sort(key=_widest)
        return {
            "products": products,
            "facets": sorted(facets, key=_widest),
            "ranges": [entry for entry in ranges if entry["min"] < entry["max"]],
            "sorts": [entry["name"] for entry in ranges],
            "flat": {
                "names": found["flat_names"]["value"],
                "most": [
                    {"name": bucket["key"], "share": bucket["doc_count"] / products}
                    for bucket in found["flat"]["buckets"]
                ],
            },
        }

    async def _ask(self, aggregations: Mapping[str, Any]) -> Any:
        body = {"size": 0, "track_total_hits": True, "aggs": aggregations}
        with guarded(self._where, QueryError):
            return await self._client.search(index=self._search.index.name, body=body)


def nested(totals: Mapping[CategoryPath, int]) -> list[dict[str, Any]]:
    """Counts by path as a tree."""
    nodes: dict[CategoryPath, dict[str, Any]] = {
        path: {"name": path[-1], "path": list(path), "count": count, "children": []}
        for path, count in sorted(totals.items())
    }
    for path, node in nodes.items():
        if len(path) > 1:
            nodes[path[:-1]]["children"].append(node)
    return [node for path, node in nodes.items() if len(path) == 1]


def offered(names: FieldNames) -> tuple[dict[str, str], dict[str, str]]:
    """The shop's names of keyword fields and of number fields, each to its path."""
    texts: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for path, kind in names.types.items():
        name = path.removeprefix("attributes.")
        if path in NOT_OFFERED or path.endswith(".keyword"):
            continue
        # A short name that two fields share means the first one.
        name = name if names.exact(name) == path else path
        if kind in ("keyword", "boolean"):
            texts[name] = path
        elif kind in NUMBERS:
            numbers[name] = path
    return texts, numbers


def _widest(entry: Mapping[str, Any]) -> tuple[float, str]:
    return (-round(entry["share"], 2), entry["name"])
