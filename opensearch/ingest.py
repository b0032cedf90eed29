"""A catalogue into the index: read, compare, encode, write.

::

    rows ─> drafts ─> stored hashes (mget) ─┬─ same document ──────────────────────────────> unchanged
            (hashes)                        ├─ same content, other fields ─ stored vector ─┐
                                            └─ new or other content ─ decode ─ encode ─────┴─> bulk

Pictures are decoded in a few threads and bulks are written in another, while this one encodes. Every queue in between
is bounded. Writing is idempotent: after any interruption the same command finishes the work.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opensearchpy import OpenSearch

from clipita.catalogue.readers import CatalogueFile
from clipita.catalogue.rejection import Rejection
from clipita.config import IngestConfig
from clipita.errors import ClusterError, FieldMappingError, ProductError
from clipita.opensearch import index as indices
from clipita.opensearch.bulk import BulkWriter, Document
from clipita.opensearch.cluster import capabilities
from clipita.opensearch.content import OURS, Draft, clashing_column, document_line, make_draft, make_thumbnail
from clipita.opensearch.mapping import choose_engine
from clipita.opensearch.outcomes import IngestReport, Ledger, Outcome
from clipita.opensearch.query import VECTOR_FIELD
from clipita.opensearch.retry import Backoff, Remark
from clipita.opensearch.stages import EncodeStage, Item, WriteStage
from clipita.runtime import Bundle, ProductEncoder

LOOKUP = 256
"""Products compared with the index at a time."""
MAX_THREADS = 8

Progress = Callable[[int, int], None]
"""Told how many products have an outcome, and how many the catalogue has."""


class Ingest:
    """One run over a catalogue.

    Args:
        client: connected, see `cluster.connect`.
        bundle: the model.
        config: batch size, device, engine, shards and so on.
        alias: the name that searches use.
        new_index: build a new index beside the present one and switch over when it is whole.
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
        progress: Progress | None = None,
        remark: Remark | None = None,
    ) -> None:
        self._client = client
        self._bundle = bundle
        self._config = config
        self._alias = alias
        self._new_index = new_index
        self._progress = progress or (lambda *_: None)
        self._remark = remark or (lambda _: None)
        self.report: IngestReport | None = None

    def run(self, files: Sequence[CatalogueFile]) -> IngestReport:
        """Go through the files, in their order.

        Raises:
            FieldMappingError: a column bears a name of ours.
            FingerprintError: the index belongs to another model and `new_index` is not set.
            IndexReadOnlyError: the cluster blocks writes.
            ClusterError: it refused, or stayed busy or away for too long. What was written stays, and the same call
                goes on from there.
            KeyboardInterrupt: passed on after what was under way has been written.
        """
        _check_columns(files)
        engine = choose_engine(self._config.engine, capabilities(self._client))
        encoder = ProductEncoder(self._bundle, self._config.device)
        with Ledger(self._config.rejected) as ledger:
            target = indices.open_for_ingest(
                self._client, self._alias, self._bundle, engine, self._config, new_index=self._new_index
            )
            behind = self._behind()
            work = _Work(self._client, indices.write_alias(target.name), encoder, self._config, ledger, self._remark)
            backoff = Backoff(self._remark, self._config.patience)
            started = time.monotonic()
            try:
                with indices.loading(self._client, target.name, backoff):
                    self._go_through(files, work)
                ledger.check()
                replaced = self._finish(target.name, behind, ledger, backoff)
            except BaseException:
                self.report = self._describe(target.name, work, time.monotonic() - started, finished=False)
                raise
            self.report = self._describe(target.name, work, time.monotonic() - started, True, replaced)
        return self.report

    def _go_through(self, files: Sequence[CatalogueFile], work: _Work) -> None:
        total = sum(file.rows for file in files)
        self._progress(0, total)
        with work:
            for batch in _batches(_items(files, work.ledger), LOOKUP):
                work.take(batch, lambda: self._progress(work.ledger.done, total))
            work.finish(lambda: self._progress(work.ledger.done, total))

    def _behind(self) -> str | None:
        """The index that the alias points at while this run begins."""
        present = indices.find(self._client, self._alias)
        return None if present is None else present.name

    def _finish(self, name: str, behind: str | None, ledger: Ledger, backoff: Backoff) -> str | None:
        counts = ledger.counts
        if not counts[Outcome.WRITTEN] + counts[Outcome.UPDATED] + counts[Outcome.UNCHANGED]:
            raise ClusterError(
                f"Not one of {ledger.seen} products is in the index {name}.",
                hint=f"The reasons are in {ledger.file}.",
            )
        indices.mark_complete(self._client, name, backoff)
        return backoff.call(self._client, lambda: indices.swap_alias(self._client, self._alias, name, behind))

    def _describe(
        self, name: str, work: _Work, seconds: float, finished: bool, replaced: str | None = None
    ) -> IngestReport:
        ledger = work.ledger
        return IngestReport(
            alias=self._alias,
            index=name,
            fingerprint=self._bundle.fingerprint,
            counts=ledger.counts,
            reasons=ledger.reasons,
            encoded=work.encoded,
            seconds=seconds,
            finished=finished,
            replaced=replaced,
        )


class _Work:
    """The stages of one run, and the threads they use."""

    def __init__(
        self,
        client: OpenSearch,
        name: str,
        encoder: ProductEncoder,
        config: IngestConfig,
        ledger: Ledger,
        remark: Remark,
    ) -> None:
        self.ledger = ledger
        self._client = client
        self._name = name
        self._config = config
        self._fingerprint = encoder.bundle.fingerprint
        self._backoff = Backoff(remark, config.patience)
        self._pool = ThreadPoolExecutor(min(MAX_THREADS, (os.cpu_count() or 1) + 1), "decode")
        # Its own Backoff: waits of the writing thread and of this one are counted apart.
        self._write = WriteStage(
            lambda done: BulkWriter(client, name, done, Backoff(remark, config.patience), config.bulk_documents),
            ledger,
            config.bulk_documents,
        )
        self._encode = EncodeStage(encoder, self._pool, self._write, ledger, config)

    @property
    def encoded(self) -> int:
        """Vectors made."""
        return self._encode.encoded

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        # After Ctrl-C what is encoded is still written; after an error of the cluster there is nowhere to write it.
        self._write.close(flush=kind is None or issubclass(kind, KeyboardInterrupt))

    def take(self, batch: Sequence[Item], on_step: Callable[[], None]) -> None:
        """Send a batch of products through the stages, as far as the queues have room."""
        drafted = self._drafts(batch)
        stored = self._stored([item.product.id for item, _ in drafted], "clipita.content_hash,clipita.document_hash")
        refreshed: list[tuple[Item, Draft]] = []
        for item, draft in drafted:
            marks = stored.get(item.product.id, {}).get("clipita", {})
            if marks.get("document_hash") == draft.document_hash:
                self.ledger.count(Outcome.UNCHANGED)
            elif marks.get("content_hash") == draft.content_hash:
                refreshed.append((item, draft))
            else:
                self._encode.put(item, draft)
                if self._encode.full and self._encode.step():
                    on_step()
        self._refresh(refreshed)
        on_step()

    def finish(self, on_step: Callable[[], None]) -> None:
        """Empty all queues."""
        while self._encode.step():
            on_step()
        self._write.flush()
        on_step()

    def _drafts(self, batch: Sequence[Item]) -> list[tuple[Item, Draft]]:
        drafts = self._pool.map(lambda item: _draft(item, self._fingerprint, self._config.thumbnails), batch)
        usable: list[tuple[Item, Draft]] = []
        for item, draft in zip(batch, drafts, strict=True):
            if isinstance(draft, ProductError):
                self.ledger.leave_out(item.rejection(draft.message))
            else:
                usable.append((item, draft))
        return usable

    def _refresh(self, changed: Sequence[tuple[Item, Draft]]) -> None:
        """Write documents whose vector is still right, with that vector."""
        stored = self._stored([item.product.id for item, _ in changed], f"{VECTOR_FIELD},clipita")
        for item, draft in changed:
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            # Another ingest may have written the product between the two requests.
            if VECTOR_FIELD not in source or marks.get("content_hash") != draft.content_hash:
                self._encode.put(item, draft)
                continue
            try:
                thumbnail = self._thumbnail(draft, marks)
            except ProductError as error:
                self.ledger.leave_out(item.rejection(error.message))
                continue
            line = document_line(draft, source[VECTOR_FIELD], self._fingerprint, thumbnail)
            self._write.put(item, Document(item.product.id, line), Outcome.UPDATED)

    def _thumbnail(self, draft: Draft, marks: Mapping[str, Any]) -> str | None:
        """The stored thumbnail where the content is the same; made only when an earlier run made none."""
        if not self._config.thumbnails:
            return None
        return marks.get("thumbnail") or make_thumbnail(draft.product)

    def _stored(self, ids: Sequence[str], fields: str) -> dict[str, dict[str, Any]]:
        """Fields of the documents that are there, by id; the index's present state, refreshed or not."""
        if not ids:
            return {}
        answer = self._backoff.call(
            self._client,
            lambda: self._client.mget(body={"ids": list(ids)}, index=self._name, _source_includes=fields),
        )
        return {found["_id"]: found["_source"] for found in answer["docs"] if found.get("found")}


def _check_columns(files: Sequence[CatalogueFile]) -> None:
    for file in files:
        clashing = clashing_column(file.extra_columns)
        if clashing is not None:
            raise FieldMappingError(
                f"{file.file} has a column {clashing!r}, a name that clipita writes itself.",
                hint="Rename it in the catalogue, or map it under [fields] in clipita.toml. "
                f"Taken are: {', '.join(OURS)}.",
            )


def _draft(item: Item, fingerprint: str, thumbnails: bool) -> Draft | ProductError:
    try:
        return make_draft(item.product, fingerprint, thumbnails)
    except ProductError as error:
        return error


def _items(files: Sequence[CatalogueFile], ledger: Ledger) -> Iterator[Item]:
    """All usable products of all files, each id once; the ledger gets the others."""

    def reject(rejection: Rejection) -> None:
        ledger.see()
        ledger.leave_out(rejection)

    first_files: dict[bytes, int] = {}
    for number, file in enumerate(files):
        for row, product in file.numbered_products(reject):
            ledger.see()
            item = Item(product, str(file.file), row)
            # A reader sees repetitions in its own file only.
            first = first_files.setdefault(_key(product.id), number) if len(files) > 1 else number
            if first == number:
                yield item
            else:
                ledger.leave_out(item.rejection(f"the id occurs twice: {files[first].file} has it already"))


def _key(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode(), digest_size=16).digest()


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(itertools.islice(items, size)):
        yield batch
