"""`clipita ingest`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.options import (
    config_option,
    device_option,
    fields_options,
    index_option,
    json_option,
    mapped_fields,
    url_option,
)
from clipita.errors import AuthenticationError, ConfigError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.opensearch.categories import WatchedCatalogue
    from clipita.opensearch.ingest import Ingest
    from clipita.opensearch.outcomes import IngestReport
    from clipita.runtime import Bundle

PARTIAL = 3


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="The bundle's folder; default model.")
@click.option("--new-index", is_flag=True, help="Build a new index beside the present one, then switch the alias.")
@click.option("--rejected", type=click.Path(path_type=Path), help="Products left out, with reasons, as JSON lines.")
@click.option("--batch-size", type=click.IntRange(1), help="Products encoded at once; default 64.")
@click.option("--engine", type=click.Choice(["auto", "lucene", "faiss"]), help="k-NN engine; default: what is there.")
@click.option("--thumbnails/--no-thumbnails", default=None, help="Keep a small JPEG in documents; default yes.")
@index_option
@url_option
@device_option
@fields_options
@json_option
@config_option
def command(
    files: tuple[Path, ...],
    model: Path | None,
    new_index: bool,
    index: str | None,
    url: str | None,
    config_file: Path | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Write the products of FILES and their vectors into OpenSearch.

    Without FILES all catalogue files of clipita.toml are taken. The index stands behind an alias, products by default.
    Run again, only what changed is encoded; after any interruption the same command goes on.

    \b
    Example:
      clipita ingest --index products
      clipita ingest catalogue.parquet --index products --url https://search.internal:9200
      clipita ingest --new-index            after training a new model
    """
    settings = config.load(config_file)
    fields = mapped_fields(settings.fields, flags)
    cluster = config.override(settings.opensearch, url=url, index=index)
    from clipita.opensearch.categories import WatchedCatalogue
    from clipita.opensearch.cluster import connect
    from clipita.opensearch.ingest import Ingest
    from clipita.runtime import Bundle

    chosen = files or _configured(settings.catalogue)
    catalogues = [WatchedCatalogue(file, fields, settings.catalogue.image_root) for file in chosen]
    bundle = Bundle.load(model or settings.export.bundle)
    client = connect(cluster)
    with console.progress() as bar:
        task = bar.add_task("Ingesting", total=None, note="")
        ingest = Ingest(
            client,
            bundle,
            config.override(settings.ingest, **flags),
            alias=cluster.index,
            new_index=new_index,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            remark=console.note,
        )
        report = _run(ingest, catalogues)
    _publish_categories(client, bundle, report, catalogues)
    _put_templates(client, cluster.index, settings.search)
    if as_json:
        console.print_json(_as_json(report))
    else:
        click.echo(_summary(report))
    if report.left_out:
        file = flags.get("rejected") or settings.ingest.rejected
        console.note(f"{report.left_out} products were left out; the reasons are in {file}.")
    return PARTIAL if report.left_out else 0


def _configured(catalogue: config.CatalogueConfig) -> tuple[Path, ...]:
    files = tuple(file for file in (catalogue.train, catalogue.valid, catalogue.test) if file is not None)
    if not files:
        raise ConfigError("No catalogue is named.", hint="Give FILES, or set [catalogue] in clipita.toml.")
    return files


def _run(ingest: Ingest, catalogues: list[Any]) -> IngestReport:
    try:
        return ingest.run(catalogues)
    except BaseException:
        if ingest.report is not None:
            console.note(f"{_summary(ingest.report)}\nNot finished: the same command goes on from here.")
        raise


def _publish_categories(
    client: OpenSearch, bundle: Bundle, report: IngestReport, catalogues: list[WatchedCatalogue]
) -> None:
    """Write the vectors with which a category page needs no model."""
    from clipita.opensearch import categories

    paths = set().union(*(catalogue.paths for catalogue in catalogues))
    written = categories.publish(client, report.alias, report.index, bundle, paths)
    console.note(f"{written:,} categories have their vectors in {report.alias}{categories.SUFFIX}.")


def _put_templates(client: OpenSearch, alias: str, search: config.SearchConfig) -> None:
    """Store the search templates with which other languages search."""
    from clipita.opensearch import templates
    from clipita.opensearch.cluster import capabilities
    from clipita.opensearch.index import require
    from clipita.opensearch.tuned import chosen_settings, stored_settings

    chosen = chosen_settings(search) or stored_settings(require(client, alias).meta)
    try:
        templates.put(client, alias, chosen, capabilities(client))
    except AuthenticationError as error:
        # The products are in the index by now; templates are for other languages and want a right of their own.
        console.note(f"The search templates were not stored: {error}")


def _as_json(report: IngestReport) -> dict[str, Any]:
    return dataclasses.asdict(report) | {
        "products": report.products,
        "left_out": report.left_out,
        "products_per_second": round(report.rate, 1),
    }


def _summary(report: IngestReport) -> str:
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in report.counts.items())
    lines = [
        f"{report.products:,} products into {report.alias} ({report.index}): {counts}.",
        f"{report.encoded:,} encoded in {report.seconds:.1f} s, {report.rate:.0f} products per second.",
    ]
    if report.replaced:
        lines.append(f"{report.alias} now points to {report.index}; the index before it, {report.replaced}, is kept.")
    return "\n".join(lines)
