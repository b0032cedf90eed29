"""The metrics of a run, as Prometheus' node exporter reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clipita.cli.ingest_report import save_metrics
from clipita.errors import UsageError
from clipita.opensearch.ingest.outcomes import IngestReport, Outcome
from clipita.opensearch.ingest.timing import StageTimes

REPORT = IngestReport(
    alias='odd "name"', index="products-1a2b3c4d-1", fingerprint="f", reasons={},
    counts={Outcome.WRITTEN: 7, Outcome.UPDATED: 0, Outcome.UNCHANGED: 5, Outcome.REJECTED: 1, Outcome.FAILED: 0},
    encoded=7, seconds=6.5, finished=True, pruned=2, times=StageTimes(read=0.5, encode=4.0),
)  # fmt: skip


def test_metrics_keep_their_names_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "clipita.prom"
    save_metrics(file, REPORT)
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    assert {family.type for family in families.values()} == {"gauge"}
    samples = {
        (sample.name, *sample.labels.items()): sample.value for family in families.values() for sample in family.samples
    }
    index = ("index", 'odd "name"')
    assert samples["clipita_ingest_products", index, ("outcome", "written")] == 7
    assert samples["clipita_ingest_products", index, ("outcome", "rejected")] == 1
    expected = {
        "encoded": 7, "pruned": 2, "image_warnings": 0,
        "duration_seconds": 6.5, "products_per_second": 2, "finished": 1,
        "read_seconds": 0.5, "decode_seconds": 0, "encode_seconds": 4, "write_seconds": 0,
    }  # fmt: skip
    assert {name: samples[f"clipita_ingest_{name}", index] for name in expected} == expected
    assert samples["clipita_ingest_last_run_timestamp_seconds", index] > 1.7e9
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"metrics file .* cannot be written: No such file"):
        save_metrics(tmp_path / "absent" / "clipita.prom", REPORT)
