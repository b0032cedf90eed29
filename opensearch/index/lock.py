"""A lock per alias that all machines see, kept as a document in the cluster: one ingest at a time.

The hidden index `<alias>.lock` holds one document that names the holder. Its heartbeat is the node's clock (`ctx._now`
of an update script), so the clocks of the ingesting machines do not matter; taking, keeping and taking over are each
one atomic update.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from opensearchpy import OpenSearch, OpenSearchException

from clipita.errors import IndexLockedError
from clipita.files import boot_id, start_ticks
from clipita.opensearch.cluster.errors import address_of, translate
from clipita.opensearch.cluster.retry import Backoff

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""After this time without a heartbeat a holder counts as dead."""

_HELD: set[str] = set()
"""Tokens that this process holds; a stored token of this process that is not among them could not be released."""
_ID = "holder"
_TAKE = """
boolean free = ctx._source.token == null || ctx._source.token == params.dead;
boolean late = ctx._source.beat != null && ctx._now - ctx._source.beat > params.stale;
if (free || late) { ctx._source = params.holder; ctx._source.since = ctx._now; ctx._source.beat = ctx._now; }
else { ctx.op = 'none'; }
"""
_BEAT = "if (ctx._source.token == params.token) { ctx._source.beat = ctx._now; } else { ctx.op = 'none'; }"
_LEAVE = "if (ctx._source.token == params.token) { ctx.op = 'delete'; } else { ctx.op = 'none'; }"


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        token: of one run.
        place: boot and process namespace, within which process ids are comparable.
        started: the process's start, see `start_ticks`.
    """

    token: str
    host: str
    pid: int
    place: str
    started: int

    @classmethod
    def here(cls) -> Holder:
        """The present process, with a new token."""
        pid = os.getpid()
        return cls(secrets.token_hex(8), socket.gethostname(), pid, _place(), start_ticks(pid) or 0)

    @property
    def dead(self) -> bool:
        """Whether the process is known to be gone; False for one that cannot be checked from here."""
        if self.place != _place():
            return False
        released = self.pid == os.getpid() and self.token not in _HELD
        return released or start_ticks(self.pid) != self.started


class AliasLock:
    """Holds an alias for one run; a context manager.

    Raises:
        IndexLockedError: on entering: another run holds it; the text says who, where and since when.
        ClusterError: the cluster refused it.
    """

    def __init__(
        self,
        client: OpenSearch,
        alias: str,
        backoff: Backoff | None = None,
        beat_seconds: float = BEAT_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._client = client
        self._alias = alias
        self._backoff = backoff or Backoff()
        self._beat_seconds = beat_seconds
        self._stale = round(stale_seconds * 1000)
        self._holder = Holder.here()
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)

    def __enter__(self) -> AliasLock:
        self._backoff.call(self._client, self._make_index)
        # Before the lock is taken: another thread that reads the token in between would take it for released.
        _HELD.add(self._holder.token)
        try:
            self._backoff.call(self._client, self._take)
        except BaseException:
            _HELD.discard(self._holder.token)
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        _HELD.discard(self._holder.token)
        try:
            self._update(_LEAVE, {"token": self._holder.token})
        except OpenSearchException as second:
            # Without heartbeats the lock ends by itself; an error of the run takes precedence.
            if error is None and getattr(second, "status_code", None) != 404:
                raise translate(second, address_of(self._client)) from second

    def check(self) -> None:
        """Raise an IndexLockedError if another run has taken over the lock."""
        if self._lost:
            raise IndexLockedError(
                f"This run was delayed for so long that another one took over {self._alias}.",
                hint="Let the other one finish; run this command again afterwards if need be.",
            )

    def _make_index(self) -> None:
        settings = {"hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"}
        body = {"settings": {"index": settings}, "mappings": {"enabled": False}}
        if not self._client.indices.exists(index=_index(self._alias)):
            # Two runs may start at once; 400 then says that the index exists.
            self._client.indices.create(index=_index(self._alias), body=body, ignore=[400])

    def _take(self) -> None:
        present = self._present()
        dead = present.token if present is not None and present.dead else None
        holder = dict(vars(self._holder))
        params = {"holder": holder, "dead": dead, "stale": self._stale}
        self._update(_TAKE, params, upsert=True)
        found = self._read()
        if found.get("token") != self._holder.token:
            raise IndexLockedError(
                f"Another ingest writes to {self._alias}: process {found.get('pid')} on {found.get('host')}, since "
                f"{_clock(found.get('since'))}.",
                hint=f"Wait until it is done. If it died on another machine, its lock ends {self._stale // 1000} s "
                "after its last heartbeat.",
            )

    def _present(self) -> Holder | None:
        found = self._read()
        names = ("token", "host", "pid", "place", "started")
        return Holder(**{name: found[name] for name in names}) if all(name in found for name in names) else None

    def _read(self) -> dict[str, Any]:
        answer = self._client.get(index=_index(self._alias), id=_ID, ignore=[404])
        found: dict[str, Any] = answer.get("_source", {})
        return found

    def _update(self, script: str, params: dict[str, Any], upsert: bool = False) -> Any:
        body: dict[str, Any] = {"script": {"source": script, "params": params}}
        if upsert:
            body |= {"scripted_upsert": True, "upsert": {}}
        return self._client.update(index=_index(self._alias), id=_ID, body=body, retry_on_conflict=5)

    def _keep(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            try:
                answer = self._update(_BEAT, {"token": self._holder.token})
            except OpenSearchException as error:
                # 404: another run took the lock and has finished. The run itself waits for the end of an outage.
                self._lost = self._lost or getattr(error, "status_code", None) == 404
                continue
            self._lost = self._lost or answer["result"] == "noop"


def _index(alias: str) -> str:
    return f"{alias}.lock"


def _clock(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int):
        return "a moment ago"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _place() -> str:
    try:
        return f"{boot_id()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # Without /proc no process can be checked; a random place makes all others foreign.
        return secrets.token_hex(8)
