"""What the parts of one ingest run share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from opensearchpy import OpenSearch

from clipita.config import IngestConfig
from clipita.opensearch.cluster.retry import Backoff, Warn
from clipita.opensearch.index.index import write_alias
from clipita.opensearch.index.lock import AliasLock
from clipita.opensearch.ingest.index_source import IndexSource
from clipita.opensearch.ingest.outcomes import Ledger
from clipita.opensearch.ingest.sources import CatalogueSource
from clipita.opensearch.ingest.target import Target
from clipita.opensearch.ingest.timing import Clock
from clipita.runtime import Bundle

Progress = Callable[[int, int | None], None]
"""Called with the number of products that have an outcome, and of all products where that is known."""


@dataclass(frozen=True)
class RunContext:
    """The source and target of one ingest run, and what its parts share.

    `warn` is called with waits and other events, `progress` after every batch.
    """

    client: OpenSearch
    config: IngestConfig
    bundle: Bundle
    alias: str
    source: CatalogueSource | IndexSource
    target: Target
    ledger: Ledger
    lock: AliasLock
    clock: Clock
    warn: Warn
    progress: Progress

    @property
    def write_alias(self) -> str:
        """The alias through which the run writes."""
        return write_alias(self.target.name)

    @property
    def images(self) -> bool:
        """Whether the model reads images."""
        return "I" in self.bundle.modalities

    @property
    def replacing(self) -> bool:
        """Whether documents replace what is stored."""
        return self.target.way == "replace"

    @property
    def original(self) -> IndexSource | None:
        """The shop's index, where the run copies it into another one."""
        source = self.source
        return source if isinstance(source, IndexSource) and self.target.name != source.name else None

    def backoff(self, ended: threading.Event | None = None) -> Backoff:
        """A back-off for one thread, as each counts its own failures."""
        return Backoff(self.warn, self.config.patience, ended=ended)
