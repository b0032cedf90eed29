"""`clipita ingest`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import (
    config_option,
    device_option,
    fields_options,
    index_option,
    json_option,
    mapped_fields,
    url_option,
)
from clipita.cli.ingest_report import as_json_value, print_summary, save_metrics
from clipita.errors import AuthenticationError, ClipItaError, ConfigError, UsageError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.catalogue.product import CategoryPath
    from clipita.catalogue.reader import CatalogueFile
    from clipita.opensearch.ingest.outcomes import IngestReport
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

PARTIAL = 3
RUNNERS = ("local", "ray")
STDIN = "-"


def index_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Flags for how a new index stores vectors."""
    for flag, kind, text in (
        ("--ef-construction", click.IntRange(2), "Candidates considered for each link of the k-NN graph."),
        ("--m", click.IntRange(2, 512), "Links per product in the k-NN graph; default: by the number of products."),
        ("--precision", click.Choice(["fp32", "fp16", "byte", "binary"]), "How vectors are stored; default fp32."),
    ):
        command = click.option(flag, type=kind, help=text)(command)
    return command


def way_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Flags for which index is written, and how."""
    for flag, text in (
        ("--force", "Remove any number of products: with --prune, or from a copy what its original lost."),
        ("--prune", "Remove products that left the catalogue, up to 10 % of the index (prune_limit)."),
        ("--in-place", "Add vectors to existing documents, and change nothing else."),
        ("--new-index", "Build a new index beside the present one, then switch the alias."),
    ):
        command = click.option(flag, is_flag=True, help=text)(command)
    return command


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--from-index", metavar="NAME", help="Read the shop's own index instead of files.")
@click.option("--model", type=click.Path(path_type=Path), help="The bundle's folder; default model.")
@way_options
@click.option("--watch", is_flag=True, help="Keep running: ingest files of a folder again when they change.")
@click.option("--rejected", type=click.Path(path_type=Path), help="Products left out, with reasons, as JSON lines.")
@click.option("--metrics-file", type=click.Path(path_type=Path, dir_okay=False), help="Prometheus textfile to write.")
@click.option("--batch-size", type=click.IntRange(0), help="Products encoded at once; 0 measures it; default 64.")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(["auto", "lucene", "faiss", *RUNNERS]),
    multiple=True,
    help="lucene or faiss: the k-NN engine; default: what the cluster has. ray: encode on a Ray cluster. One of each "
    "may be given.",
)
@click.option("--encoders", "ray_encoders", type=click.IntRange(1), help="With --engine ray; default: one per GPU.")
@index_options
@click.option("--thumbnails/--no-thumbnails", default=None, help="Keep a small JPEG in documents; default yes.")
@index_option
@url_option
@device_option
@fields_options
@json_option
@config_option
def command(
    files: tuple[Path, ...],
    from_index: str | None,
    model: Path | None,
    watch: bool,
    metrics_file: Path | None,
    index: str | None,
    url: str | None,
    config_file: Path | None,
    as_json: bool,
    engines: tuple[str, ...],
    **flags: Any,
) -> int:
    """Write the products of FILES and their vectors into OpenSearch.

    FILES are Parquet, JSONL or CSV (also .gz, .zst), folders of them, or - for JSON lines from standard input. Without
    FILES all catalogue files of clipita.toml are read. The index is behind an alias, products by default. Another run
    encodes only what changed; after any interruption the same command goes on.

    For a shop that has an index already, --from-index copies it, with all of its fields, settings and aliases, into a
    new index with vectors, and switches the alias when both agree; --in-place adds the vectors to the index itself.

    \b
    Example:
      clipita ingest --index products
      clipita ingest catalogue.parquet --index products --url https://search.internal:9200
      clipita ingest --new-index            after training a new model
      clipita ingest --from-index products --title-field name --attribute-field brand --attribute-field 'specs.*'
      zcat feed.jsonl.gz | clipita ingest - --index products
      clipita ingest feeds/ --prune --watch
      clipita ingest --engine ray           encode on all machines of a Ray cluster, see docs/scale.md
    """
    settings = config.load(config_file)
    ways = {name: flags.pop(name) for name in ("new_index", "in_place", "prune", "force")}
    fields = mapped_fields(settings, flags)
    cluster = config.override(settings.opensearch, url=url, index=index)
    chosen = config.override(settings.ingest, **flags, **_engines(engines))
    if chosen.runner == "ray" and chosen.device == config.IngestConfig.device and flags["device"] is None:
        chosen = config.override(chosen, device="auto")
    if from_index and (files or watch):
        raise UsageError("--from-index reads an index and excludes FILES and --watch.", hint="Leave one out.")
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.ingest.index_source import IndexSource
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

    root = settings.catalogue.image_root
    paths = files or (() if from_index else _configured(settings.catalogue))
    opened = [] if watch else _opened(paths, fields, root)
    bundle = Bundle.load(model or settings.export.bundle)
    client = connect(cluster)

    def once(catalogues: Sequence[CatalogueFile]) -> int:
        with console.progress() as bar:
            task = bar.add_task("Ingesting", total=None, note="")
            ingest = Ingest(
                client,
                bundle,
                chosen,
                alias=cluster.index,
                **ways,
                progress=lambda done, total: bar.update(task, completed=done, total=total, note=_pace(ingest)),
                warn=console.note,
            )
            source = IndexSource(client, from_index, fields, root) if from_index else None
            try:
                report = _run(ingest, source or catalogues)
            finally:
                if metrics_file is not None and ingest.report is not None:
                    save_metrics(metrics_file, ingest.report)
        try:
            _publish_categories(client, bundle, report, ingest.paths, chosen.patience)
            _put_templates(client, cluster.index, settings.given.get("search"))
        except ClipItaError:
            # The summary comes before the error: products are written.
            print_summary(report, to_stderr=True)
            console.note("The products are written, category vectors or templates are not; the same command adds them.")
            raise
        return _tell(report, chosen.rejected, as_json)

    if watch:
        # Only the entire catalogue shows which products left it.
        return _watch(paths, lambda changed: once(_opened(paths if ways["prune"] else changed, fields, root)))
    return once(opened)


def _engines(given: Sequence[str]) -> dict[str, str]:
    """The k-NN engine, and where products are encoded; --engine names both."""
    chosen: dict[str, str] = {}
    for name in given:
        kind = "runner" if name in RUNNERS else "engine"
        if chosen.setdefault(kind, name) != name:
            raise UsageError(f"--engine {chosen[kind]} and --engine {name} exclude each other.", hint="Give one.")
    return chosen


def _opened(paths: Sequence[Path], fields: config.FieldsConfig, image_root: Path | None) -> list[CatalogueFile]:
    from clipita.catalogue.reader import CatalogueFile, files_in

    if str(STDIN) in map(str, paths):
        if len(paths) > 1:
            raise UsageError("Standard input (-) excludes other files.", hint="Ingest them one after the other.")
        # Not sys.stdin: a thread may still be reading from it while Python shuts down and wants to lock it.
        stream = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 - lives as long as the process
        return [CatalogueFile(Path("standard input"), fields, image_root or Path(), stream=stream)]
    files = [file for path in paths for file in (files_in(path) if path.is_dir() else [path])]
    return [CatalogueFile(file, fields, image_root) for file in files]


def _configured(catalogue: config.CatalogueConfig) -> tuple[Path, ...]:
    files = tuple(file for file in (catalogue.train, catalogue.valid, catalogue.test) if file is not None)
    if not files:
        raise ConfigError("No catalogue is named.", hint="Give FILES, or set [catalogue] in clipita.toml.")
    return files


def _watch(paths: Sequence[Path], ingest: Callable[[Sequence[Path]], int]) -> int:
    from clipita.opensearch.ingest.sources import changes

    if any(str(path) == STDIN for path in paths):
        raise UsageError("Standard input is followed until it ends anyway.", hint="Leave --watch out.")
    for changed in changes(paths):
        try:
            ingest(changed)
        except ClipItaError as error:
            # A broken file or a long outage must not end the watch over other files.
            console.note(f"Error: {error}")
        console.note(f"Watching {', '.join(map(str, paths))}; Ctrl-C ends it.")
    return 0


def _run(ingest: Ingest, source: Any) -> IngestReport:
    try:
        return ingest.run(source)
    except BaseException:
        if ingest.report is not None:
            print_summary(ingest.report, to_stderr=True)
            console.note("Not finished: the same command goes on from here.")
        raise


def _publish_categories(
    client: OpenSearch, bundle: Bundle, report: IngestReport, paths: Collection[CategoryPath], patience: float
) -> None:
    """Write category vectors, with which a category page needs no model."""
    from clipita.opensearch.cluster.retry import Backoff
    from clipita.opensearch.index import categories

    backoff = Backoff(console.note, patience)
    written = categories.publish(client, report.alias, report.index, bundle, paths, backoff)
    console.note(f"{written:,} categories have their vectors in {report.alias}{categories.SUFFIX}.")


def _put_templates(client: OpenSearch, alias: str, search: Mapping[str, Any] | None) -> None:
    """Store the search templates with which other languages search."""
    from clipita.opensearch.cluster.connection import capabilities
    from clipita.opensearch.index.index import require
    from clipita.opensearch.search import templates
    from clipita.opensearch.search.settings import settings_in

    try:
        templates.put(client, alias, settings_in(require(client, alias), search), capabilities(client))
    except (AuthenticationError, UsageError) as error:
        # The products are in the index by now; templates are for other languages, and need a permission and a text
        # field, which an index of images may lack.
        console.note(f"The search templates were not stored: {error}")


def _pace(ingest: Ingest) -> str:
    return f"{ingest.rate:.0f}/s, {console.STAGES[ingest.times.limit]} sets the pace"


def _tell(report: IngestReport, rejected: Path, as_json: bool) -> int:
    if as_json:
        console.print_json(as_json_value(report))
    else:
        print_summary(report)
    if report.left_out:
        console.note(f"{report.left_out} products were left out; the reasons are in {rejected}.")
    return PARTIAL if report.left_out else 0
