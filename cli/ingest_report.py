"""The report of `clipita ingest`: a table, JSON, or metrics for Prometheus."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita.cli import console
from clipita.errors import UsageError

if TYPE_CHECKING:
    from clipita.opensearch.ingest.outcomes import IngestReport

MEANINGS = {
    "written": "new or with other content",
    "updated": "written with their stored vector",
    "unchanged": "nothing to do",
    "rejected": "unusable as they are in the catalogue",
    "failed": "refused by the cluster",
}


def as_json_value(report: IngestReport) -> dict[str, Any]:
    """The report for scripts."""
    return dataclasses.asdict(report) | {
        "products": report.products,
        "left_out": report.left_out,
        "image_warnings": report.image_warnings,
        "products_per_second": round(report.rate, 1),
        "limiting_stage": report.times.limit,
    }


def print_summary(report: IngestReport, to_stderr: bool = False) -> None:
    """The report as a table."""
    rows = [
        (f"{count:,}", outcome.value, MEANINGS[outcome.value])
        for outcome, count in report.counts.items()
        if count or outcome.value in ("written", "unchanged")
    ]
    if report.pruned:
        rows.append((f"{report.pruned:,}", "removed", "no longer in the catalogue"))
    if report.image_warnings:
        rows.append(
            (f"{report.image_warnings:,}", "image warnings", "in the index, but an image of theirs cannot be used")
        )
    if report.late:
        rows.append((f"{report.late:,}", "late", "changed while they were copied, and copied again"))
    target = console.err() if to_stderr else console.out()
    # Not wrapped at 80 columns: index names are long, and logs hold one line per message.
    target.print(f"{report.products:,} products into {report.alias} ({report.index}):", soft_wrap=True)
    console.table(("products", "", ""), rows, to=target, box=None, show_header=False, pad_edge=False)
    pace = f"{report.encoded:,} encoded in {report.seconds:.1f} s, {report.rate:.0f} products per second"
    target.print(f"{pace}; {console.STAGES[report.times.limit]} sets the pace.", soft_wrap=True)
    if report.replaced:
        target.print(
            f"{report.alias} now points to {report.index}; the index before it, {report.replaced}, is kept. "
            f"Back to it: clipita index rollback --index {report.alias}",
            soft_wrap=True,
        )


def save_metrics(file: Path, report: IngestReport) -> None:
    """Write the report for the textfile collector of Prometheus' node exporter.

    https://github.com/prometheus/node_exporter#textfile-collector
    """
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    values = {
        "encoded": ("Vectors made by the last run.", report.encoded),
        "pruned": ("Products removed by the last run.", report.pruned),
        "image_warnings": ("Products with an image that the last run could not use.", report.image_warnings),
        "duration_seconds": ("Duration of the last run.", report.seconds),
        "products_per_second": ("Throughput of the last run.", report.rate),
        "finished": ("Whether the last run went through all products.", report.finished),
        "last_run_timestamp_seconds": ("When the last run ended.", time.time()),
    }
    for stage, seconds in dataclasses.asdict(report.times).items():
        values[f"{stage}_seconds"] = (f"Time of the encoding thread in the stage {stage}.", seconds)
    registry = CollectorRegistry()
    products = Gauge(
        "clipita_ingest_products", "Products of the last run by outcome.", ("index", "outcome"), registry=registry
    )
    for outcome, count in report.counts.items():
        products.labels(report.alias, outcome.value).set(count)
    for name, (text, value) in values.items():
        Gauge(f"clipita_ingest_{name}", text, ("index",), registry=registry).labels(report.alias).set(value)
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        raise UsageError(
            f"The metrics file {file} cannot be written: {error.strerror}.", hint="Name another with --metrics-file."
        ) from error
