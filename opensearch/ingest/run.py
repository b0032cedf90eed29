"""A catalogue, or the shop's own index, into an index with vectors: one run from its lock to the swap of the alias.

Writing is idempotent: after any interruption the same call goes on from where this one stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig
from clipita.errors import ClusterError, UsageError
from clipita.opensearch.cluster.connection import capabilities
from clipita.opensearch.cluster.reads import count, refresh
from clipita.opensearch.cluster.retry import Backoff, Remark
from clipita.opensearch.index.aliases import swap_alias
from clipita.opensearch.index.index import update_meta, write_alias
from clipita.opensearch.index.lock import AliasLock
from clipita.opensearch.index.mapping import choose_engine
from clipita.opensearch.ingest.documents import Layout
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import IngestReport, Ledger, Outcome
from clipita.opensearch.ingest.pipeline import Pipeline
from clipita.opensearch.ingest.prune import drop_deleted, prune
from clipita.opensearch.ingest.ray.stage import RayEncoders
from clipita.opensearch.ingest.sources import FileSource
from clipita.opensearch.ingest.target import Target, Targets, loading
from clipita.opensearch.ingest.timing import Clock, Rate, StageTimes
from clipita.opensearch.ingest.verify import check_copy
from clipita.runtime import Bundle, ProductEncoder

CATCH_UPS = 5
"""How often what was written to the shop's index meanwhile is taken over before the copy is compared with it."""

Progress = Callable[[int, int | None], None]
"""Told how many products have an outcome, and how many there are, where that is known."""


@dataclass(frozen=True)
class Options:
    """How a run goes about it.

    Attributes:
        new_index: build a new index beside the present one and switch over when it is whole.
        in_place: add vectors to the documents that are there, and change nothing else.
        prune: remove products that left the catalogue.
        force: remove them whatever their share.
    """

    new_index: bool = False
    in_place: bool = False
    prune: bool = False
    force: bool = False

    def check(self, copying: bool) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: it does not.
        """
        if self.in_place and self.new_index:
            raise UsageError("--in-place and --new-index exclude each other.", hint="Choose one.")
        if self.prune and (self.in_place or copying):
            raise UsageError(
                "--prune removes what left a catalogue; documents of the shop's own index are the shop's to remove.",
                hint="Leave --prune out.",
            )


class Ingest:
    """One run.

    Args:
        client: connected, see `cluster.connect`.
        bundle: the model.
        config: batch size, device, engine, shards and so on.
        alias: the name that searches use.
        new_index: see `Options`.
        in_place: see `Options`.
        prune: see `Options`.
        force: see `Options`.
        progress: told of every batch.
        remark: told of waits and other noteworthy events, in sentences.

    Attributes:
        report: what has been done; there also after an error or Ctrl-C, once writing has begun.
    """

    def __init__(
        self,
        client: OpenSearch,
        bundle: Bundle,
        config: IngestConfig,
        *,
        alias: str = "products",
        new_index: bool = False,
        in_place: bool = False,
        prune: bool = False,
        force: bool = False,
        progress: Progress | None = None,
        remark: Remark | None = None,
    ) -> None:
        self._client = client
        self._bundle = bundle
        self._config = config
        self._alias = alias
        self._options = Options(new_index, in_place, prune, force)
        self._tell = progress or (lambda *_: None)
        self._remark = remark or (lambda _: None)
        self._backoff = Backoff(self._remark, config.patience)
        self._clock = Clock()
        self._rate = Rate()
        self.report: IngestReport | None = None

    @property
    def times(self) -> StageTimes:
        """What the time went into so far."""
        return self._clock.times

    @property
    def rate(self) -> float:
        """Products a second, over the last few seconds."""
        return self._rate.value

    def run(self, source: Sequence[CatalogueFile] | IndexSource) -> IngestReport:
        """Go through the products.

        Args:
            source: catalogue files, in their order, or the shop's index.

        Raises:
            UsageError: options that exclude each other; more products left the catalogue than `prune` may remove.
            FieldMappingError: a column bears a name of ours.
            IndexLockedError: another run writes to the alias.
            FingerprintError: the index belongs to another model and `new_index` is not set.
            IndexReadOnlyError: the cluster blocks writes.
            ClusterError: it refused, or stayed busy or away for too long; or a copy does not agree with its original.
                What was written stays, and the same call goes on from there.
            KeyboardInterrupt: passed on after what was under way has been written.
        """
        products = source if isinstance(source, IndexSource) else FileSource(source)
        self._options.check(copying=isinstance(products, IndexSource))
        engine = choose_engine(self._config.engine, capabilities(self._client))
        with (
            self._encoder() as encoder,
            Ledger(self._config.rejected) as ledger,
            AliasLock(self._client, self._alias, self._backoff) as lock,
        ):
            target = self._target(products, engine)
            run = _Run(self, products, target, encoder, ledger, lock)
            try:
                # Nobody waits for the end of a stream: what came of it shall be found.
                building = target.building and products.total is not None
                with loading(self._client, target.name, engine, self._backoff, building=building):
                    run.write()
                ledger.check()
                run.finish()
            except BaseException:
                self.report = run.describe(finished=False)
                raise
            self.report = run.describe(finished=True)
        return self.report

    def _encoder(self) -> AbstractContextManager[ProductEncoder | RayEncoders]:
        if self._config.runner == "ray":
            return closing(RayEncoders(self._bundle, self._config, self._remark))
        return nullcontext(ProductEncoder(self._bundle, self._config.device))

    def _note(self, done: int, total: int | None) -> None:
        self._rate.add(done)
        self._tell(done, total)

    def _target(self, products: FileSource | IndexSource, engine: str) -> Target:
        targets = Targets(self._client, self._alias, self._bundle, engine, self._config, products.total)
        if self._options.in_place:
            target = targets.in_place()
        elif isinstance(products, IndexSource):
            target = targets.for_copy(products, self._options.new_index)
        else:
            target = targets.for_catalogue(self._options.new_index)
        if isinstance(products, IndexSource):
            targets.keep_fields(target.name, products.fields)
        return target


class _Run:
    """What `Ingest.run` does once it has its index."""

    def __init__(
        self,
        ingest: Ingest,
        products: FileSource | IndexSource,
        target: Target,
        encoder: ProductEncoder | RayEncoders,
        ledger: Ledger,
        lock: AliasLock,
    ) -> None:
        # The class is a part of Ingest that lives as long as one call.
        self._client = ingest._client
        self._config = ingest._config
        self._options = ingest._options
        self._alias = ingest._alias
        self._progress = ingest._note
        self._remark = ingest._remark
        self._backoff = ingest._backoff
        self._clock = ingest._clock
        self._products = products
        self._target = target
        self._encoder = encoder
        self._ledger = ledger
        self._lock = lock
        self._started = time.monotonic()
        self._encoded = 0
        self._pruned = 0
        self._replaced: str | None = None

    @property
    def _copying(self) -> IndexSource | None:
        source = self._products
        return source if isinstance(source, IndexSource) and self._target.name != source.name else None

    def write(self) -> None:
        """Everything that changes documents."""
        name = write_alias(self._target.name)
        total = self._products.total
        layout = Layout(self._target.way, self._encoder.bundle.fingerprint)
        pipeline = Pipeline(
            self._client, name, self._encoder, self._config, layout=layout, ledger=self._ledger, lock=self._lock,
            remark=self._remark, clock=self._clock, empty=total is not None and self._is_empty(),
        )  # fmt: skip
        self._progress(0, total)

        def step() -> None:
            self._encoded = pipeline.encoded
            self._progress(self._ledger.done, total)

        with pipeline:
            seen = self._copying.last_seq_nos() if self._copying else ()
            pipeline.run(self._products, step)
            if self._copying:
                self._catch_up(self._copying, pipeline, seen, step)
        step()
        limit = math.inf if self._options.force else self._config.prune_limit
        # A copy that is searched already may hold what the shop wrote there since.
        if self._copying and self._target.name != self._target.behind:
            self._pruned = drop_deleted(self._client, self._copying.name, name, self._backoff, limit=limit)
        elif self._options.prune and isinstance(self._products, FileSource):
            self._pruned = prune(self._client, name, self._products.ids, self._backoff, limit=limit)

    def finish(self) -> None:
        """Make the index the one that is searched."""
        counts = self._ledger.counts
        if not counts[Outcome.WRITTEN] + counts[Outcome.UPDATED] + counts[Outcome.UNCHANGED]:
            raise ClusterError(
                f"Not one of {self._ledger.seen} products is in the index {self._target.name}.",
                hint=f"The reasons are in {self._ledger.file}.",
            )
        self._lock.check()
        if self._target.way == "in place":
            return
        copied = self._copying
        if copied is not None:
            check_copy(self._client, copied, self._target.name, self._backoff)
        # Where the alias led to the original, all its other aliases lead on to the copy too.
        carried = copied.aliases if copied is not None and self._target.behind == copied.name else {}
        carried = (
            {alias: options for alias, options in carried.items() if alias != write_alias(copied.name)}
            if copied
            else {}
        )
        client, name, behind = self._client, self._target.name, self._target.behind
        replaced = behind if behind != name else None
        self._backoff.call(client, lambda: update_meta(client, name, state="complete", replaced=replaced))
        expected = [] if behind is None else [behind]
        self._replaced = self._backoff.call(client, lambda: swap_alias(client, self._alias, name, expected, carried))

    def describe(self, finished: bool) -> IngestReport:
        """What was done so far."""
        return IngestReport(
            alias=self._alias,
            index=self._target.name,
            fingerprint=self._encoder.bundle.fingerprint,
            counts=self._ledger.counts,
            reasons=self._ledger.reasons,
            encoded=self._encoded,
            seconds=time.monotonic() - self._started,
            finished=finished,
            replaced=self._replaced,
            pruned=self._pruned,
            late=self._ledger.late,
            times=self._clock.times,
        )

    def _is_empty(self) -> bool:
        client, name = self._client, self._target.name
        # An index that looked empty because a shard was away would be encoded anew from its first product to its last.
        refresh(client, name, self._backoff)
        return count(client, name, self._backoff) == 0

    def _catch_up(
        self, source: IndexSource, pipeline: Pipeline, seen: tuple[int, ...], step: Callable[[], None]
    ) -> None:
        """Take over what was written to the original while it was copied."""
        for _ in range(CATCH_UPS):
            latest = source.last_seq_nos()
            if latest == seen:
                return
            pipeline.run_late(source.changed_since(seen), step)
            seen = latest
