"""Quality through the live index: settings found on valid, measures on test."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, SearchConfig
from clipita.evaluation.measures import MEASURES
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol
from clipita.evaluation.systems import MODES
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD, mapping_body
from clipita.opensearch.quality.tuning import Setting, collect, tune
from clipita.opensearch.search.client import ProductSearch
from clipita.opensearch.search.vectors import Encoded, QueryVectors
from clipita.runtime import Bundle, TextEncoder

ZERO_SHOT = "benchmark-zero-shot"
FIELDS = (("title",), ("title", "attributes_text"), ("title^2", "attributes_text"))


def measure(client: OpenSearch, index: str, bundle: Bundle, files: list[Path]) -> tuple[dict[str, Any], SearchConfig]:
    """Tune on valid and measure on test, with the trained vectors and with zero-shot title vectors.

    Returns:
        The figures, and the settings tuned for the trained vectors.
    """
    valid, test = (TreeProtocol(CatalogueFile(file).products()) for file in files[1:])
    trained, settings = tuned(ProductSearch(client, index, bundle, SearchConfig()), valid)
    trained |= _modes(ProductSearch(client, index, bundle, settings), test)
    zero_search = zero_shot(client, bundle, [valid, test])
    zero, zero_settings = tuned(zero_search, valid)
    zero_search.config = zero_settings
    zero |= _modes(zero_search, test)
    return {"trained": trained, "zero-shot": zero, "queries": len(test.queries), "products": len(test.ids)}, settings


def tuned(search: ProductSearch, valid: TreeProtocol) -> tuple[dict[str, Any], SearchConfig]:
    """The settings that valid chooses, and what was found on the way."""
    present = search.config
    default = Setting(tuple(present.fields), present.weight_known, present.pivot)
    tuning = tune(valid, collect(search, valid, FIELDS), default)
    best = tuning.best
    settings = dataclasses.replace(present, weight_known=best.weight, pivot=best.pivot, fields=best.fields)
    found = {
        "settings": dataclasses.asdict(best),
        "valid held-out": {"hybrid": tuning.hybrid, "lexical": tuning.lexical, "vector": tuning.vector},
        "verdict": tuning.verdict,
    }
    return found, settings


def scored(search: ProductSearch, test: TreeProtocol, system: System) -> SystemResult:
    """What the live index ranks among the catalogue's products, in the system's mode."""
    rankings = []
    for query in test.queries:
        ids = search.rank(query.text, mode=system.mode, depth=query.depth, filters={ID_FIELD: test.ids})
        rankings.append(np.array([test.positions[name] for name in ids], dtype=np.int64))
    return test.score(system, rankings)


def _modes(search: ProductSearch, test: TreeProtocol) -> dict[str, Any]:
    found = {}
    for mode in MODES:
        result = scored(search, test, System("live", mode, "live"))
        found[mode] = {name: round(result.mean(name), 2) for name in MEASURES}
    return found


def zero_shot(client: OpenSearch, bundle: Bundle, protocols: list[TreeProtocol]) -> ProductSearch:
    """An index of the valid and test products whose vectors are the untrained text tower's, of the title alone."""
    encoder = TextEncoder(bundle)
    products = [product for protocol in protocols for product in protocol.products]
    vectors = encoder.features([product.title or "" for product in products])
    body = mapping_body(bundle, "lucene", IngestConfig())
    body["mappings"]["properties"][VECTOR_FIELD]["dimension"] = vectors.shape[1]
    body["aliases"] = {ZERO_SHOT: {}}
    client.indices.delete(index=f"{ZERO_SHOT}-1", ignore=[404])
    client.indices.create(index=f"{ZERO_SHOT}-1", body=body)
    for start in range(0, len(products), 500):
        lines = []
        for product, vector in zip(products[start : start + 500], vectors[start : start + 500], strict=True):
            source = {
                ID_FIELD: product.id, "title": product.title, "attributes_text": product.attribute_texts,
                VECTOR_FIELD: vector.tolist(),
            }  # fmt: skip
            lines += [json.dumps({"index": {"_id": product.id}}), json.dumps(source)]
        answer = client.bulk(index=f"{ZERO_SHOT}-1", body="\n".join(lines) + "\n")
        assert not answer["errors"]
    client.indices.refresh(index=f"{ZERO_SHOT}-1")
    search = ProductSearch(client, ZERO_SHOT, None, SearchConfig())
    search.vectors = _Features(encoder)
    return search


class _Features(QueryVectors):
    """Zero-shot query vectors in the place of the trained ones."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(None, "cpu")
        self._text = encoder

    def encoded(self, query: str) -> Encoded:
        return Encoded(tuple(self._text.features([query])[0].tolist()))
