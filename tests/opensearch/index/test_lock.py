"""Two ingests into one alias: the second says who is at it, and a dead holder keeps nobody out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from clipita.errors import IndexLockedError
from clipita.opensearch.index.lock import AliasLock, Holder
from clipita.opensearch.ingest.outcomes import IngestReport

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]


def lock(client: OpenSearch, alias: str, beat: float = 0.1, stale: float = 60.0) -> AliasLock:
    return AliasLock(client, alias, beat_seconds=beat, stale_seconds=stale)


@pytest.fixture(autouse=True)
def _no_lock_left(client: OpenSearch, alias: str) -> object:
    yield
    client.indices.delete(index=f"{alias}.lock", ignore=[404])


def leave_behind(client: OpenSearch, alias: str, holder: Holder, seconds_ago: float = 0.0) -> None:
    """A lock document as a run leaves it that was killed."""
    with lock(client, alias):
        pass
    beat = round((time.time() - seconds_ago) * 1000)
    client.index(index=f"{alias}.lock", id="holder", body=vars(holder) | {"since": beat, "beat": beat})


def test_second_holder_is_told_who_has_it(client: OpenSearch, alias: str) -> None:
    with lock(client, alias):
        with pytest.raises(IndexLockedError) as caught, lock(client, alias):
            pytest.fail("two at once")
        assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in caught.value.message
    with lock(client, alias) as third:
        third.check()


def test_heartbeat_keeps_it_longer_than_it_takes_to_go_stale(client: OpenSearch, alias: str) -> None:
    with lock(client, alias, beat=0.1, stale=0.6) as held:
        time.sleep(1.2)
        with pytest.raises(IndexLockedError), lock(client, alias, stale=0.6):
            pytest.fail("two at once")
        held.check()


def test_lock_of_a_dead_process_of_this_machine_is_taken_over(client: OpenSearch, alias: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    here = Holder.here()
    leave_behind(client, alias, Holder("old", here.host, process.pid, here.place, 12345))
    with lock(client, alias) as held:
        held.check()


def test_lock_of_a_process_elsewhere_is_kept_until_it_is_silent_for_too_long(client: OpenSearch, alias: str) -> None:
    elsewhere = Holder("old", "other-host", 1, "another place", 12345)
    leave_behind(client, alias, elsewhere, seconds_ago=30)
    with pytest.raises(IndexLockedError, match="process 1 on other-host"), lock(client, alias):
        pytest.fail("two at once")
    leave_behind_again = time.time() - 61
    body = vars(elsewhere) | {"since": 0, "beat": round(leave_behind_again * 1000)}
    client.index(index=f"{alias}.lock", id="holder", body=body)
    with lock(client, alias) as held:
        held.check()


def test_run_that_was_held_up_learns_that_it_lost_the_lock(client: OpenSearch, alias: str) -> None:
    with lock(client, alias, beat=0.3) as slow:
        with lock(client, alias, stale=-1.0):
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    slow.check()
                except IndexLockedError:
                    break
                time.sleep(0.05)
        with pytest.raises(IndexLockedError, match="another one took over"):
            slow.check()


def test_of_many_at_once_one_gets_it(client: OpenSearch, alias: str) -> None:
    inside: list[int] = []
    refused: list[int] = []
    gate = threading.Barrier(6)

    def contend(number: int) -> None:
        gate.wait()
        try:
            with lock(client, alias):
                inside.append(number)
                # As long as it takes for the others, of which one may wait for the new index's shard.
                deadline = time.monotonic() + 20
                while len(refused) < 5 and len(inside) == 1 and time.monotonic() < deadline:
                    time.sleep(0.05)
        except IndexLockedError:
            refused.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(inside), len(refused)) == (1, 5)


def test_lock_index_is_hidden(client: OpenSearch, alias: str) -> None:
    with lock(client, alias):
        assert f"{alias}.lock" not in client.indices.get(index="*", allow_no_indices=True)


def test_second_ingest_stops_and_the_first_goes_on(ingest: Run, shop: Path, client: OpenSearch, alias: str) -> None:
    refused: list[str] = []

    def meanwhile(done: int, _: int | None) -> None:
        if not refused:
            with pytest.raises(IndexLockedError) as caught:
                ingest(shop / "valid.parquet", config={"rejected": shop.parent / "second.jsonl"})
            refused.append(str(caught.value))

    report = ingest(shop / "valid.parquet", progress=meanwhile)
    assert report.counts["written"] == 40
    assert f"Another ingest writes to {alias}: process {os.getpid()} on" in refused[0]
    assert ingest(shop / "valid.parquet").counts["unchanged"] == 40
