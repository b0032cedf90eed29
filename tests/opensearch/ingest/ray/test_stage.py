"""Encoding on a real Ray cluster of two workers, one of which is killed while it works."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipita.errors import ClipItaError, DeviceError
from clipita.opensearch.ingest.outcomes import IngestReport

ray = pytest.importorskip("ray", reason="needs Ray: the extra `ray`, or the dependency group `test`")
pytestmark = [
    pytest.mark.integration,
    # A cluster of eight processes and three generations of encoders, each of which imports everything anew.
    pytest.mark.slow,
    # Ray's own: it warns of settings that are its defaults, and leaves the sockets of its processes to the collector.
    pytest.mark.filterwarnings("ignore"),
]

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]
STARTS = 3


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray cluster of this test run alone: two worker slots, and one GPU that is there in name only."""
    # A machine that is busy with other tests takes longer than Ray's 30 s to start its processes, and leaves workers
    # that are as nice as Ray makes them no time at all.
    patience = {
        "RAY_agent_register_timeout_ms": "300000",
        "RAY_worker_register_timeout_seconds": "300",
        "RAY_worker_niceness": "0",
    }
    os.environ.update(patience)
    for attempt in range(STARTS):
        try:
            ray.init(
                address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False,
                logging_level=logging.ERROR,
            )  # fmt: skip
            break
        except Exception as error:  # noqa: BLE001 - Ray raises bare exceptions here
            ray.shutdown()
            if attempt + 1 == STARTS:
                pytest.skip(f"Ray cannot start on this machine: {error}")
    yield
    ray.shutdown()
    for name in patience:
        del os.environ[name]
    # What Ray leaves behind is collected here, and not in a test of something else.
    gc.collect()


@pytest.fixture
def on_ray(ingest: Run) -> Run:
    def run(files: Any, **options: Any) -> IngestReport:
        config = {"runner": "ray", "ray_encoders": 2, "batch_size": 8, **options.pop("config", {})}
        return ingest(files, config=config, **options)

    return run


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def test_an_encoder_is_killed_and_the_index_is_as_if_none_had_been(
    ingest: Run,
    on_ray: Run,
    documents: Documents,
    shop: Path,
    alias: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All products once, with the ordinary engine's hashes and vectors; a second run starts no encoder."""
    from clipita.opensearch.ingest.ray import stage as ray_stage

    table = pq.read_table(shop / "valid.parquet")
    rows = table.to_pylist()
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:50]
    pq.write_table(table.from_pylist(rows, schema=table.schema), tmp_path / "broken.parquet")
    files = [shop / "train.parquet", tmp_path / "broken.parquet", shop / "test.parquet"]

    flows: list[Any] = []
    begin = ray_stage._Flow.__init__

    def watched(flow: Any, *arguments: Any) -> None:
        begin(flow, *arguments)
        flows.append(flow)

    monkeypatch.setattr(ray_stage._Flow, "__init__", watched)
    killed: list[str] = []
    warnings: list[str] = []

    def kill_one(done: int, total: int | None) -> None:
        if done < 40 or killed:
            return
        working = ray.get(flows[0]._desk.encoders.remote())
        key, (handle, _) = next(iter(working.items()))
        ray.kill(handle, no_restart=True)
        killed.append(key)

    report = on_ray(files, progress=kill_one, warn=warnings.append)
    assert killed
    assert counted(report) == {"written": 200}
    assert (report.encoded, report.image_warnings, report.finished) == (200, 1, True)
    found = documents(alias)
    assert counted(ingest(files, alias=f"{alias}-plain")) == counted(report)
    wanted = documents(f"{alias}-plain")
    assert found.keys() == wanted.keys()
    for name, document in wanted.items():
        assert found[name]["clipita"] == document["clipita"]
        # Other companions in the batch change a float's last bits, not more.
        np.testing.assert_allclose(found[name]["product_vector"], document["product_vector"], atol=1e-5)
        rest = {"product_vector": None}
        assert found[name] | rest == document | rest

    again = on_ray(shop / "train.parquet")
    assert (again.encoded, counted(again)) == (0, {"unchanged": 120})
    assert len(flows) == 1


def test_an_encoder_that_cannot_start_says_why(on_ray: Run, shop: Path) -> None:
    """The cluster has a GPU in name, so that a place is found; ONNX Runtime then does not find it."""
    with pytest.raises(ClipItaError, match="cannot work: Device cuda"):
        on_ray(shop / "valid.parquet", config={"device": "auto", "ray_encoders": None})


def test_more_gpus_than_there_are(on_ray: Run, shop: Path) -> None:
    with pytest.raises(DeviceError, match="has 1"):
        on_ray(shop / "valid.parquet", config={"device": "cuda"})


def test_ctrl_c_ends_the_encoders_and_what_they_made_is_kept(ingest: Run, on_ray: Run, shop: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        on_ray(shop / "train.parquet", progress=stop)
    assert time.monotonic() - began < 120
    report = ingest(shop / "train.parquet")
    assert report.counts["written"] + report.counts["unchanged"] == 120
    assert report.counts["unchanged"] > 0
