"""One evaluation: category queries over a catalogue, measured offline; its table, JSON and report."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipita import __version__
from clipita.catalogue.product import Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.evaluation import report as html
from clipita.evaluation.bm25 import Bm25
from clipita.evaluation.encode import Model, encode_catalogue
from clipita.evaluation.pages import PageEnds, cross_validated, measure_pages
from clipita.evaluation.protocol import Subset, SystemResult, TreeProtocol, Vectors
from clipita.evaluation.summary import as_json, pages_as_json
from clipita.evaluation.systems import BM25, measure_bm25, measure_models
from clipita.evaluation.thumbnails import thumbnails
from clipita.evaluation.typed import read_queries
from clipita.evaluation.words import words_in
from clipita.runtime import Bundle, ProductEncoder, TextEncoder

SHOWN_REJECTIONS = 5

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, how far it is, and out of how much where that is known."""


@dataclass
class Evaluation:
    """The result of an evaluation.

    Attributes:
        catalogue: the products.
        protocol: the queries, and which products are relevant.
        models: those that were measured.
        search: whose fields BM25 reads.
        results: one per system.
        pages: where the pages of BM25 and of each model end.
        live: facts about the index that was measured; None without one.
        warnings: what a reader must know, in sentences.
        rejections: products that cannot be used.
    """

    catalogue: CatalogueFile
    protocol: TreeProtocol
    models: Sequence[Model]
    search: SearchConfig
    results: list[SystemResult] = field(default_factory=list)
    pages: list[PageEnds] = field(default_factory=list)
    live: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def as_json(self, command: str = "") -> dict[str, Any]:
        """Everything, as JSON can hold it; `rows` is the table, see `summary.as_json`.

        Args:
            command: that made it.
        """
        return {
            **as_json(self.protocol, self.results),
            "pages": pages_as_json(self.protocol, self.pages),
            "catalogue": str(self.catalogue.file),
            "models": [
                {
                    "system": model.name,
                    "fingerprint": model.bundle.fingerprint,
                    "modalities": model.bundle.modalities,
                    "zero_shot": model.bundle.zero_shot,
                }
                for model in self.models
            ],
            "live": self.live,
            "search": {name: getattr(self.search, name) for name in ("fields", "weight", "pivot", "precision")},
            "rejected": [{"row": item.row, "id": item.id, "reason": item.reason} for item in self.rejections],
            "remarks": self.warnings,
            "command": command,
            "version": __version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    def report(self, progress: Progress = lambda *_: None) -> str:
        """One HTML file with the hits of every query, BM25 beside the model.

        Args:
            progress: called while images are read.
        """
        left, right = html.choose_pair(self.results)
        facts = {
            "Catalogue": self.catalogue.file.name,
            "Products": f"{len(self.protocol.products):,}",
            "Queries": f"{len(self.protocol.queries):,}",
        }
        if self.models:
            facts["Model"] = ", ".join(f"{model.name} {model.bundle.fingerprint[:8]}" for model in self.models)
        if self.live:
            facts["Index"] = self.live["index"]
        facts["Made"] = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, clipita {__version__}"
        ends = next((page for page in self.pages if page.system == right.system.name), None)
        page = html.Report(self.protocol, self.results, left, right, facts, self.warnings, ends)
        wanted, done = page.image_ids(), itertools.count(1)
        small, failed = thumbnails(self.catalogue, wanted, lambda: progress("Reading images", next(done), len(wanted)))
        if failed:
            self.warnings.append(
                f"{len(failed)} images cannot be read and are missing in the report, the first of {failed[0]}."
            )
        return html.render(page, small)


def evaluate_offline(
    catalogue: CatalogueFile,
    models: Sequence[Path | Bundle],
    search: SearchConfig,
    *,
    subset: Subset,
    queries: Path | None,
    without: Sequence[str],
    device: str,
    language: str,
    progress: Progress,
    warn: Callable[[str], None],
) -> Evaluation:
    """Measure BM25, the pretrained towers and the trained models exactly, over all products, without a cluster.

    Arguments and errors as of `clipita.evaluate`.
    """
    opened = _open(models, device)
    if not opened and (without or subset != "all"):
        what = "--without measures models" if without else "Categories are seen or unseen by a model"
        raise UsageError(f"{what}, and there is none.", hint="Name a bundle with --model.")
    warnings: list[str] = []
    rejections: list[Rejection] = []

    def noted(text: str) -> None:
        warnings.append(text)
        warn(text)

    done, stage = 0, f"{'Encoding' if opened else 'Reading'} {catalogue.file.name}"

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, catalogue.rows)

    evaluated = encode_catalogue(
        catalogue,
        opened,
        kept_columns=[name.partition("^")[0] for name in search.fields],
        without=tuple(dict.fromkeys(without)),
        on_reject=rejections.append,
        on_products=advance,
    )
    if rejections:
        shown = "; ".join(f"row {item.row} ({item.id}): {item.reason}" for item in rejections[:SHOWN_REJECTIONS])
        more = "; …" if len(rejections) > SHOWN_REJECTIONS else ""
        noted(f"{len(rejections):,} products cannot be used and are left out: {shown}{more}")
    protocol = TreeProtocol(evaluated.products)
    if opened:
        names = [{name for path in model.bundle.categories for name in path} for model in opened]
        protocol.select(subset, set.intersection(*names))
    if queries is not None:
        protocol.queries, few = read_queries(queries, protocol)
        if few:
            noted(f"{few} of the queries in {queries.name} have fewer than 3 relevant products, and are left out.")
    bm25 = Bm25(protocol.products, search.fields, words_in(language, noted))
    results = [measure_bm25(protocol, bm25, noted), *measure_models(protocol, evaluated, opened, noted)]
    # Where pages end is fitted for categories.
    pages = [] if queries is not None else list(_pages(protocol, bm25, opened, evaluated.vectors))
    return Evaluation(catalogue, protocol, opened, search, results, pages, None, warnings, rejections)


def _pages(
    protocol: TreeProtocol, bm25: Bm25, models: Sequence[Model], vectors: Sequence[Vectors]
) -> Iterator[PageEnds]:
    texts = [query.text for query in protocol.queries]
    yield measure_pages(protocol.queries, BM25, lambda row: bm25.scores(texts[row]) > -np.inf)
    for model, products in zip(models, vectors, strict=True):
        queries = model.text.encode(texts)
        yield cross_validated(protocol, model.name, lambda row: products @ queries[row])  # noqa: B023 - used at once


def _open(models: Sequence[Path | Bundle], device: str) -> list[Model]:
    bundles = [Bundle.load(model) if isinstance(model, Path) else model for model in models]
    names = [bundle.name for bundle in bundles]
    return [
        Model(
            bundle.name if names.count(bundle.name) == 1 else f"{bundle.name} ({bundle.path})",
            bundle,
            TextEncoder(bundle, device),
            ProductEncoder(bundle, device),
        )
        for bundle in bundles
    ]
