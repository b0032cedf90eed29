"""A catalogue, or the shop's own index, into an index with vectors: one run from its lock to the swap of the alias.

Writing is idempotent: after any interruption the same call goes on from where this one stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from opensearchpy import OpenSearch

from clipita.catalogue.product import CategoryPath
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.connection import capabilities
from clipita.opensearch.cluster.reads import count, refresh
from clipita.opensearch.cluster.retry import Backoff, Warn
from clipita.opensearch.index.aliases import point_aliases, swap_alias
from clipita.opensearch.index.index import update_meta
from clipita.opensearch.index.lock import AliasLock
from clipita.opensearch.index.mapping import check_precision, choose_engine
from clipita.opensearch.ingest.context import Progress, RunContext
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import IngestReport, Ledger, Outcome
from clipita.opensearch.ingest.pipeline import Pipeline
from clipita.opensearch.ingest.prune import drop_deleted, prune
from clipita.opensearch.ingest.ray.stage import RayEncoders
from clipita.opensearch.ingest.sources import CatalogueSource
from clipita.opensearch.ingest.target import Target, Targets, confirm_nodes, loading
from clipita.opensearch.ingest.timing import Clock, StageTimes
from clipita.opensearch.ingest.verify import check_copy, check_share
from clipita.runtime import Bundle, ProductEncoder

CATCH_UPS = 5
"""How often writes to the shop's index during the copy are taken over before the copy is compared with it."""


@dataclass
class Ingest:
    """One run; arguments are those of `clipita.ingest`.

    `beside` is called with the index's name once its products are written and before the alias moves: it writes what
    belongs to the index, and returns further aliases that move in the same request, each with its index.

    Attributes:
        report: what was done; set after an error or Ctrl-C too, once writing has begun.
        paths: the category paths of the products so far, for `categories.write_vectors`.
    """

    client: OpenSearch
    bundle: Bundle
    config: IngestConfig
    _: KW_ONLY
    alias: str = "products"
    new_index: bool = False
    in_place: bool = False
    prune: bool = False
    force: bool = False
    progress: Progress | None = None
    warn: Warn = lambda _: None
    beside: Callable[[str], Mapping[str, str]] = lambda _: {}
    report: IngestReport | None = field(default=None, init=False)
    paths: Collection[CategoryPath] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.warn, self.config.patience)
        self._clock = Clock()
        self._started = 0.0
        self._encoded = 0
        self._pruned = 0
        self._replaced: str | None = None

    @property
    def times(self) -> StageTimes:
        """Seconds per stage so far."""
        return self._clock.times

    def run(self, source: Sequence[CatalogueFile] | IndexSource) -> IngestReport:
        """Go through the products.

        Raises:
            UsageError: options that exclude each other; more products left the catalogue than `prune` may remove; a new
                index lacks more than `swap_limit` of the products.
            FieldMappingError: a column has a name that clipita writes itself.
            IndexLockedError: another run writes to the alias.
            FingerprintError: the index belongs to another model and `new_index` is not set.
            IndexReadOnlyError: the cluster blocks writes.
            ClusterError: it refused, or stayed busy or away for too long; or a copy does not agree with its original.
                What was written stays, and the same call goes on from there.
            KeyboardInterrupt: passed on after pending documents have been written.
        """
        products = source if isinstance(source, IndexSource) else CatalogueSource(source)
        self.paths = products.paths
        self._check_options(products)
        offered = self._backoff.call(self.client, lambda: capabilities(self.client))
        engine = choose_engine(self.config.engine, offered)
        check_precision(self.config.precision, offered)
        with (
            self._encoder() as encoder,
            Ledger(self.config.rejected, self.config.image_warnings) as ledger,
            AliasLock(self.client, self.alias, self._backoff) as lock,
        ):
            context = RunContext(
                self.client, self.config, self.bundle, self.alias, products,
                self._backoff.call(self.client, lambda: self._target(products, engine)),
                ledger, lock, self._clock, self.warn, self.progress or (lambda _done, _total: None),
            )  # fmt: skip
            target = context.target
            self._started = time.monotonic()
            try:
                # A stream has no end to wait for: its products shall be found as they come.
                building = target.building and products.total is not None
                with loading(self.client, target.name, engine, self._backoff, building=building):
                    self._write(context, encoder)
                ledger.check()
                self._finish(context)
            except BaseException:
                self.report = self._describe(context, finished=False)
                raise
            self.report = self._describe(context, finished=True)
        return self.report

    def _check_options(self, products: CatalogueSource | IndexSource) -> None:
        if self.in_place and self.new_index:
            raise UsageError("--in-place and --new-index exclude each other.", hint="Choose one.")
        if self.prune and (self.in_place or isinstance(products, IndexSource)):
            raise UsageError(
                "--prune removes what left a catalogue; documents of the shop's own index are the shop's to remove.",
                hint="Leave --prune out.",
            )

    def _encoder(self) -> AbstractContextManager[ProductEncoder | RayEncoders]:
        if self.config.runner == "ray":
            return closing(RayEncoders(self.bundle, self.config, self.warn))
        return nullcontext(ProductEncoder(self.bundle, self.config.device))

    def _target(self, products: CatalogueSource | IndexSource, engine: str) -> Target:
        targets = Targets(self.client, self.alias, self.bundle, engine, self.config, products.total)
        if isinstance(products, CatalogueSource):
            names, types = products.attribute_names, products.column_types
            targets = replace(targets, attributes=names, variants=products.joins_rows, columns=types)
        if self.in_place:
            target = targets.in_place(products if isinstance(products, IndexSource) else None)
        elif isinstance(products, IndexSource):
            target = targets.for_copy(products, self.new_index)
        else:
            target = targets.for_catalogue(self.new_index)
        if isinstance(products, IndexSource):
            targets.keep_fields(target.name, products.fields, target.id_field)
        return target

    def _write(self, context: RunContext, encoder: ProductEncoder | RayEncoders) -> None:
        """Everything that changes documents."""
        total = context.source.total
        pipeline = Pipeline(context, encoder, empty=total is not None and self._is_empty(context.target.name))
        context.progress(0, total)

        def step() -> None:
            self._encoded = pipeline.encoded
            context.progress(context.ledger.done, total)

        original = context.original
        with pipeline:
            seen = original.last_seq_nos() if original else ()
            pipeline.run(context.source, step)
            if original:
                self._catch_up(original, pipeline, seen, step)
        step()
        name, limit = context.write_alias, math.inf if self.force else self.config.prune_limit
        # A copy that is searched already may hold what the shop wrote there since.
        if original and context.target.name != context.target.behind:
            self._pruned = drop_deleted(self.client, original.name, name, self._backoff, limit=limit)
        elif self.prune and isinstance(context.source, CatalogueSource):
            self._pruned = prune(self.client, name, context.source.ids, self._backoff, limit=limit)

    def _catch_up(
        self, original: IndexSource, pipeline: Pipeline, seen: tuple[int, ...], step: Callable[[], None]
    ) -> None:
        """Take over what was written to the original while it was copied."""
        for _ in range(CATCH_UPS):
            latest = original.last_seq_nos()
            if latest == seen:
                return
            pipeline.run_late(original.changed_since(seen), step)
            seen = latest

    def _is_empty(self, name: str) -> bool:
        # An index that looked empty because a shard was away would be encoded again from the first product to the last.
        refresh(self.client, name, self._backoff)
        return count(self.client, name, self._backoff) == 0

    def _finish(self, context: RunContext) -> None:
        """Have written what stands beside the index, and point the aliases at both."""
        ledger, target, original = context.ledger, context.target, context.original
        counts = ledger.counts
        if not counts[Outcome.WRITTEN] + counts[Outcome.UPDATED] + counts[Outcome.UNCHANGED]:
            raise ClusterError(
                f"Not one of {ledger.seen} products is in the index {target.name}.",
                hint=f"The reasons are in {ledger.file}.",
            )
        context.lock.check()
        confirm_nodes(self.client, target.name, self._backoff)
        beside = self.beside(target.name)
        if target.way == "update":
            self._backoff.call(self.client, lambda: point_aliases(self.client, beside))
            return
        carried: dict[str, Any] = {}
        if original is not None:
            check_copy(self.client, original, target.name, self._backoff)
            # Where the alias led to the original, all its other aliases lead on to the copy too.
            if target.behind == original.name:
                carried = original.aliases
        client, name, behind = self.client, target.name, target.behind
        if behind not in (None, name) and isinstance(context.source, CatalogueSource) and not self.force:
            read = len(context.source.ids) + context.source.without_id
            check_share(client, self.alias, name, str(behind), read, self._backoff, limit=self.config.swap_limit)
        replaced = behind if behind != name else None
        expected = [] if behind is None else [behind]
        context.lock.check()
        self._backoff.call(client, lambda: update_meta(client, name, state="complete", replaced=replaced))
        self._replaced = self._backoff.call(
            client, lambda: swap_alias(client, self.alias, name, expected, carried, beside)
        )

    def _describe(self, context: RunContext, finished: bool) -> IngestReport:
        return IngestReport(
            alias=self.alias,
            index=context.target.name,
            fingerprint=self.bundle.fingerprint,
            counts=context.ledger.counts,
            reasons=context.ledger.reasons,
            encoded=self._encoded,
            seconds=time.monotonic() - self._started,
            finished=finished,
            replaced=self._replaced,
            pruned=self._pruned,
            late=context.ledger.late,
            image_reasons=context.ledger.image_reasons,
            times=self._clock.times,
        )
