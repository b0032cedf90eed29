"""What `clipita ingest` says at its end: a table, JSON, or metrics for Prometheus."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita.cli import console

if TYPE_CHECKING:
    from clipita.opensearch.ingest.outcomes import IngestReport

MEANINGS = {
    "written": "encoded and written",
    "updated": "written with the vector they had",
    "unchanged": "nothing to do",
    "rejected": "unusable as they stand in the catalogue",
    "failed": "refused by the cluster",
}


def as_json_value(report: IngestReport) -> dict[str, Any]:
    """The report for scripts."""
    return dataclasses.asdict(report) | {
        "products": report.products,
        "left_out": report.left_out,
        "products_per_second": round(report.rate, 1),
        "limiting_stage": report.times.limit,
    }


def print_summary(report: IngestReport, to_stderr: bool = False) -> None:
    """The report as a table."""
    from rich.table import Table

    table = Table("products", "", "", box=None, show_header=False, pad_edge=False)
    for outcome, count in report.counts.items():
        if count or outcome.value in ("written", "unchanged"):
            table.add_row(f"{count:,}", outcome.value, f"[dim]{MEANINGS[outcome.value]}[/dim]")
    if report.pruned:
        table.add_row(f"{report.pruned:,}", "removed", "[dim]no longer in the catalogue[/dim]")
    if report.late:
        table.add_row(f"{report.late:,}", "late", "[dim]changed while they were copied, and taken once more[/dim]")
    target = console.err() if to_stderr else console.out()
    # Indices have long names, and a table or line that is wrapped at 80 columns is no good to a log.
    target.print(f"{report.products:,} products into {report.alias} ({report.index}):", soft_wrap=True)
    target.print(table)
    pace = f"{report.encoded:,} encoded in {report.seconds:.1f} s, {report.rate:.0f} products per second"
    target.print(f"{pace}; {console.STAGES[report.times.limit]} sets the pace.", soft_wrap=True)
    if report.replaced:
        target.print(
            f"{report.alias} now points to {report.index}; the index before it, {report.replaced}, is kept. "
            f"Back to it: clipita index rollback --index {report.alias}",
            soft_wrap=True,
        )


def save_metrics(file: Path, report: IngestReport) -> None:
    """Write the report for Prometheus.

    Raises:
        UsageError: the file cannot be written.
    """
    from clipita.opensearch.ingest.timing import write_textfile

    values = {
        "encoded": float(report.encoded),
        "pruned": float(report.pruned),
        "duration_seconds": report.seconds,
        "products_per_second": report.rate,
        "finished": float(report.finished),
        "last_run_timestamp_seconds": time.time(),
        **{f"{stage}_seconds": seconds for stage, seconds in dataclasses.asdict(report.times).items()},
    }
    write_textfile(file, report.alias, values, {outcome.value: count for outcome, count in report.counts.items()})
