"""What may happen to a cluster and to a run: nothing is lost, and the same command finishes the work."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.errors import ClusterError, ClusterUnavailableError, IndexMissingError, IndexReadOnlyError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]


def interval(client: OpenSearch, alias: str) -> str | None:
    (found,) = client.indices.get_settings(index=alias).values()
    value: str | None = found["settings"]["index"].get("refresh_interval")
    return value


def test_nothing_is_lost_when_bulks_fail_in_every_way(
    ingest: Run, documents: Documents, shop: Path, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    proxy, client = proxied(0.3, seed=6)
    files = [shop / "train.parquet", shop / "valid.parquet"]
    report = ingest(files, client=client, config={"bulk_documents": 8, "batch_size": 8})
    assert sum(proxy.spoilt.values()) >= 5
    assert {"429", "503"} & set(proxy.spoilt)
    assert {"reset", "half answer"} & set(proxy.spoilt)
    assert (report.products, report.left_out) == (160, 0)
    reference = ingest(files, alias=f"{alias}-whole")
    assert documents(report.index) == documents(reference.index)


def test_cluster_that_stays_away_ends_the_run_and_the_same_call_finishes_it(
    ingest: Run, shop: Path, client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    proxy, through = proxied(0.0)

    def unplug(bulk: int) -> None:
        proxy.down = proxy.down or bulk == 6

    proxy.before_bulk = unplug
    with pytest.raises(ClusterUnavailableError) as caught:
        ingest(shop / "train.parquet", client=through, config={"patience": 1.5, "bulk_documents": 8})
    assert "refresh interval" in "".join(caught.value.__notes__)
    client.indices.refresh(index=alias)
    there = client.count(index=alias)["count"]
    assert there == 5 * 8
    assert interval(client, alias) == "-1"
    proxy.down, proxy.before_bulk = False, lambda _: None
    report = ingest(shop / "train.parquet", client=through)
    assert report.counts == {"unchanged": there, "written": 120 - there, "updated": 0, "rejected": 0, "failed": 0}
    assert interval(client, alias) is None


def test_short_outage_is_waited_for(ingest: Run, shop: Path, proxied: Callable[..., tuple[Any, OpenSearch]]) -> None:
    proxy, through = proxied(0.0)
    warnings: list[str] = []

    def hiccup(bulk: int) -> None:
        if bulk == 6:
            proxy.down = True
            threading.Timer(1.0, lambda: setattr(proxy, "down", False)).start()

    proxy.before_bulk = hiccup
    report = ingest(shop / "train.parquet", client=through, warn=warnings.append, config={"bulk_documents": 8})
    assert (report.products, report.left_out) == (120, 0)
    assert any("no connection; trying again in" in warning for warning in warnings)


def test_nothing_answers(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClusterUnavailableError, match=r"Nothing answers at .*Check the address"):
        connect(OpenSearchConfig(url=url))


def test_blocked_index_is_told_and_finished_after_the_block_is_gone(
    ingest: Run, shop: Path, client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    """The flood-stage watermark of the disk sets this very block."""
    proxy, through = proxied(0.0)
    blocked = {"index.blocks.read_only_allow_delete": True}

    def fill_disk(bulk: int) -> None:
        if bulk == 6:
            client.indices.put_settings(index=alias, body=blocked)

    proxy.before_bulk = fill_disk
    with pytest.raises(IndexReadOnlyError, match=r"is full.*Free some space"):
        ingest(shop / "train.parquet", client=through, config={"bulk_documents": 8, "patience": 1.0})
    # The cluster takes the block away by itself once it sees that the disk has room, every 30 s.
    client.indices.put_settings(index=alias, body=blocked)
    with pytest.raises(IndexReadOnlyError, match=r"is full.*Free some space"):
        ingest(shop / "train.parquet", config={"patience": 1.0})
    free = {"index.blocks.read_only_allow_delete": None}
    report = ingest(shop / "train.parquet", warn=lambda _: client.indices.put_settings(index=alias, body=free))
    assert report.counts == {"unchanged": 40, "written": 80, "updated": 0, "rejected": 0, "failed": 0}
    assert interval(client, alias) is None


def test_index_deleted_in_mid_run_is_an_error_and_not_made_anew_without_a_mapping(
    ingest: Run, shop: Path, client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    proxy, through = proxied(0.0)

    def drop(bulk: int) -> None:
        if bulk == 6:
            client.indices.delete(index=f"{alias}-*")

    proxy.before_bulk = drop
    with pytest.raises(IndexMissingError):
        ingest(shop / "train.parquet", client=through, config={"bulk_documents": 8})
    assert not client.indices.exists(index=f"{alias}-*", allow_no_indices=False)


def test_ctrl_c_writes_what_is_encoded_and_the_same_call_finishes(
    ingest: Run, shop: Path, client: OpenSearch, alias: str
) -> None:
    def interrupt(done: int, _: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(shop / "train.parquet", progress=interrupt, config={"bulk_documents": 4, "batch_size": 4})
    there = client.count(index=alias)["count"]
    assert 40 < there < 120
    report = ingest(shop / "train.parquet")
    assert report.counts["unchanged"] == there
    assert report.products == 120


def test_alias_moved_by_somebody_else_is_not_taken_back(
    ingest: Run, shop: Path, client: OpenSearch, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    first = ingest(shop / "valid.parquet")
    proxy, through = proxied(0.0)
    client.indices.create(index=f"{alias}-theirs")

    def move(bulk: int) -> None:
        if bulk == 1:
            actions = [
                {"remove": {"index": first.index, "alias": alias}},
                {"add": {"index": f"{alias}-theirs", "alias": alias}},
            ]
            client.indices.update_aliases(body={"actions": actions})

    proxy.before_bulk = move
    with pytest.raises(ClusterError, match=f"moved by somebody else meanwhile, to {alias}-theirs"):
        ingest(shop / "valid.parquet", client=through, new_index=True)
    assert list(client.indices.get_alias(name=alias)) == [f"{alias}-theirs"]


def command(shop: Path, bundle: Path, url: str, alias: str) -> list[str]:
    files = [str(shop / f"{split}.parquet") for split in ("train", "valid")]
    code = "from clipita.cli import main; main()"
    return [sys.executable, "-c", code, "ingest", *files, "--model", str(bundle), "--url", url, "--index", alias,
            "--batch-size", "4"]  # fmt: skip


def test_killed_run_is_finished_by_the_same_command(
    ingest: Run, documents: Documents, shop: Path, tiny_bundle: Path, node: NodeStatus, client: OpenSearch,
    alias: str, tmp_path: Path,
) -> None:  # fmt: skip
    environment = os.environ | {"CLIPITA_INGEST_BULK_DOCUMENTS": "4"}
    run = command(shop, tiny_bundle, node.url, alias)
    with subprocess.Popen(run, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while _indexed(client, alias) < 24 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert interval(client, alias) == "-1"
    client.indices.refresh(index=alias)
    there = client.count(index=alias)["count"]
    assert 24 <= there < 160
    again = subprocess.run([*run, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    counts = json.loads(again.stdout)["counts"]
    assert counts == {"written": 160 - there, "unchanged": there, "updated": 0, "rejected": 0, "failed": 0}
    assert interval(client, alias) is None
    reference = ingest(
        [shop / "train.parquet", shop / "valid.parquet"], alias=f"{alias}-whole", config={"batch_size": 4}
    )
    assert documents(alias) == documents(reference.index)


def _indexed(client: OpenSearch, alias: str) -> int:
    if not client.indices.exists(index=alias):
        return 0
    return int(client.indices.stats(index=alias, metric="indexing")["_all"]["primaries"]["indexing"]["index_total"])


def test_each_kind_of_request_may_be_refused_once(
    shop: Path, bundle: Bundle, settings: IngestConfig, alias: str, proxied: Callable[..., tuple[Any, OpenSearch]]
) -> None:
    """What comes after the products too: category vectors, thresholds and templates."""
    proxy, through = proxied(0.0)
    ends = ["/", "/_cat/plugins", "/_mapping", "/_search", "/_count", "/_refresh", "/_bulk", "/_mget", "/_settings"]
    ends += ["/_aliases", f"/{alias}-categories", "-categories", "-categories/_mapping", "-categories/_search"]
    ends += ["-categories/_refresh", "-lexical", "-saturation", "-vector", ".lock", "/_update/holder", ".writing"]
    for _ in range(2):
        proxy.busy = [*ends]
        report = clipita.ingest(
            shop / "valid.parquet", cluster=through, index=alias, model=bundle, new_index=True, config=settings
        )
        assert (report.products, report.left_out) == (40, 0)
        assert len(proxy.busy) < 5, proxy.busy
