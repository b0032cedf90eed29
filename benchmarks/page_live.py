"""Pages of a real node: sets that are whole, counts that are true, queries as people type them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import record
from quality_hybrid import export

from clipita.catalogue.product import CategoryTree, Product, nodes_on
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.evaluation.measures import bootstrap_interval, r_precision
from clipita.evaluation.protocol import TreeProtocol
from clipita.evaluation.thresholds import Thresholds
from clipita.evaluation.typed import read_queries
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index import categories
from clipita.opensearch.index.index import remember
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.quality import thresholds
from clipita.opensearch.search.client import ProductSearch

TYPED = record.ROOT.parent / "shared" / "data" / "typed-queries" / "queries.jsonl"
FACETS = ("gender", "colour", "usage", "season")
CHOICES = 200
PAGE = 500
AIMS = {"attribute": 86, "all": 50, "brand": 85, "need": 45, "synonym": 51, "price": 90}
"""R-precision that queries of a kind must reach."""
SYSTEMS: dict[str, dict[str, Any]] = {
    "bm25": {"mode": "lexical", "understand": False},
    "one weight": {"weight": 0.8, "understand": False},
    "default": {},
}
"""Options of each system: words alone, hybrid as it was before, and the defaults."""


def measure(runs: list[tuple[Path, Thresholds]], files: list[Path], work: Path) -> dict[str, Any]:
    """Ingest test, store the thresholds that valid gave, and measure: the typed queries with each of the trainings.

    Args:
        runs: finished trainings, each with its thresholds from valid.
        files: train, valid and test.
        work: folder of bundles and node.
    """
    products = {product.id: product for product in CatalogueFile(files[2]).products()}
    protocol = TreeProtocol(products.values())
    local = LocalNode(work / "opensearch")
    was_running = local.status() is not None
    client = connect(OpenSearchConfig(url=local.start(heap="1g").url, timeout=600))
    found: dict[str, Any] = {}
    typed = []
    try:
        for seed, (run, fitted) in enumerate(runs):
            bundle = export(run, work / "bundles" / run.name, files[1])
            # Shards change which products are counted where, not what the model says.
            for shards in (3, 1) if seed == 0 else (1,):
                alias = f"page-{shards}"
                config = IngestConfig(rejected=work / "rejected.jsonl", thumbnails=False, shards=shards)
                ingest = Ingest(client, bundle, config, alias=alias, new_index=True)
                name = ingest.run([CatalogueFile(files[2])]).index
                categories.publish(client, alias, name, bundle, ingest.paths)
                paths = {entry.path for entry in categories.load(client, name)}
                thresholds.store(client, name, fitted, paths, Backoff(), by="tune")
                search = ProductSearch(client, alias, bundle)
                if seed == 0:
                    found[f"{shards} shards"] = {"sets": _sets(search, products), "choices": _choices(search, products)}
                    remember(client, name, search={"weight_known": 0.65, "weight_unknown": 0.35, "pivot": 4.0, "k": 50})
                    found[f"{shards} shards"]["sets after tune"] = _sets(ProductSearch(client, alias, bundle), products)
                    remember(client, name, search=None)
            typed.append(_r_precisions(ProductSearch(client, "page-1", bundle), protocol))
    finally:
        if not was_running:
            local.stop()
    found["typed"] = _typed(typed)
    pages = sum(part["pages"] for parts in found.values() for part in parts.values() if "pages" in part)
    return {**found, "pages": pages, "seeds": len(runs), "targets": _targets(found)}


def _sets(search: ProductSearch, products: dict[str, Product]) -> dict[str, int]:
    """Category pages, without and with filters, and how many are not exactly the category's products."""
    tree = CategoryTree.of_products(product.category_paths for product in products.values())
    prices = sorted(float(product.extra["price"]) for product in products.values())
    middle = prices[len(prices) // 2]
    kinds: list[tuple[dict[str, Any], Any]] = [
        ({}, bool),
        ({"gender": "Men"}, lambda product: product.attributes.get("gender") == "Men"),
        ({"price": {"lte": middle}}, lambda product: float(product.extra["price"]) <= middle),
    ]
    pages = wrong_members = wrong_totals = wrong_facets = 0
    for category in tree.categories:
        path = category.path
        for filters, passes in kinds:
            inside = {key for key, one in products.items() if path in nodes_on(one.category_paths) and passes(one)}
            options: dict[str, Any] = {"category": list(path), "filters": filters, "facets": ["gender"]}
            page = search(size=PAGE, facet_size=100, **options)
            reached = [hit.id for hit in page.hits]
            total, facet = page.total, sum(entry.count for entry in page.facets["gender"])
            while page.cursor is not None:
                page = search(size=PAGE, facet_size=100, cursor=page.cursor, **options)
                reached += [hit.id for hit in page.hits]
            pages += 1
            wrong_members += sorted(reached) != sorted(inside)
            wrong_totals += total != len(inside)
            # A choice counts its own facet without itself.
            wrong_facets += "gender" not in filters and facet != len(inside)
    return {
        "pages": pages, "wrong members": wrong_members, "wrong totals": wrong_totals, "wrong facets": wrong_facets
    }  # fmt: skip


def _choices(search: ProductSearch, products: dict[str, Product]) -> dict[str, int]:
    """Random facet values of free-text pages: as many are shown as the facet said."""
    generator = np.random.default_rng(0)
    names = sorted({name for product in products.values() for name in product.category_names})
    wrong = done = 0
    while done < CHOICES:
        query, facet = str(generator.choice(names)), str(generator.choice(FACETS))
        values = search(query, facets=[facet], facet_size=100, size=0).facets[facet]
        if not values:
            continue
        value = values[int(generator.integers(len(values)))]
        chosen = search(query, facets=[facet], filters={facet: value.value}, size=0)
        filtered = search(query, filters={facet: value.value}, size=0)
        wrong += not (chosen.total == filtered.total == value.count)
        done += 1
    return {"choices": done, "wrong": wrong}


Values = dict[str, dict[str, list[float]]]
"""R-precision of each query, by system and kind."""


def _r_precisions(search: ProductSearch, protocol: TreeProtocol) -> Values:
    """Of queries as people type them."""
    if not TYPED.exists():
        raise SystemExit(f"The typed queries are not at {TYPED}.")
    values: Values = {system: defaultdict(list) for system in SYSTEMS}
    for query in read_queries(TYPED, protocol)[0]:
        relevant = {protocol.ids[position] for position in query.relevant}
        for system, options in SYSTEMS.items():
            ranked = search.rank(query.text, depth=max(10, len(relevant)), **options)
            hits = np.array([key in relevant for key in ranked] or [False])
            for kind in (str(query.kind), "all"):
                values[system][kind].append(100 * r_precision(hits, len(relevant)))
    return values


def _typed(seeds: list[Values]) -> dict[str, Any]:
    """Means by kind and system; the interval is over queries, each of which counts by its mean over the seeds."""
    found: dict[str, Any] = {}
    for kind in sorted(seeds[0]["default"]):
        means = {system: np.mean([values[system][kind] for values in seeds], axis=0) for system in SYSTEMS}
        found[kind] = {
            "queries": len(means["default"]),
            **{system: round(float(each.mean()), 2) for system, each in means.items()},
            "default, 95 %": bootstrap_interval(means["default"]),
            "default, by seed": [round(float(np.mean(values["default"][kind])), 2) for values in seeds],
        }
    return found


def _targets(found: dict[str, Any]) -> list[dict[str, Any]]:
    sets = [part for name, parts in found.items() if "shards" in name for key, part in parts.items() if "sets" in key]
    wrong = sum(value for part in sets for name, value in part.items() if "wrong" in name)
    choices = sum(parts["choices"]["wrong"] for name, parts in found.items() if "shards" in name)
    targets = [
        record.target("category pages that are not exactly their products = 0", wrong, wrong == 0),
        record.target("facet choices that show another number = 0", choices, choices == 0),
    ]
    for kind, row in found["typed"].items():
        value = row["default"]
        if kind in AIMS:
            targets.append(record.target(f"typed, {kind} >= {AIMS[kind]}", value, value >= AIMS[kind]))
        floor = max(row["bm25"], row["one weight"])
        targets.append(record.target(f"typed, {kind}, not below {floor}", value, value >= floor))
    return targets
