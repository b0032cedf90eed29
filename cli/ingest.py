"""`clipita ingest`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import (
    config_option,
    device_option,
    fields_options,
    flags,
    index_option,
    json_option,
    mapped_fields,
    model_option,
    url_option,
)
from clipita.cli.ingest_report import as_json_value, print_summary, save_metrics
from clipita.errors import ClipItaError, ConfigError, UsageError
from clipita.option_table import options

if TYPE_CHECKING:
    from clipita.catalogue.reader import CatalogueFile
    from clipita.opensearch.ingest.outcomes import IngestReport
    from clipita.opensearch.ingest.run import Ingest

PARTIAL = 3
RUNNERS = ("local", "ray")
STDIN = "-"


def way_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Flags for which index is written, and how."""
    for flag, text in (
        (
            "--force",
            "Go over a limit: remove any number of products (--prune, or what a copy's original lost), or switch to a "
            "new index that lacks products (--swap-limit).",
        ),
        ("--prune", "Remove products that left the catalogue, up to 10 % of the index (prune_limit)."),
        ("--in-place", "Add vectors to existing documents, and change nothing else."),
        ("--new-index", "Build a new index beside the present one, then switch the alias."),
    ):
        command = click.option(flag, is_flag=True, help=text)(command)
    return command


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--from-index", metavar="NAME", help="Read the shop's own index instead of files.")
@model_option
@way_options
@click.option("--watch", is_flag=True, help="Keep running: ingest files of a folder again when they change.")
@click.option("--metrics-file", type=click.Path(path_type=Path, dir_okay=False), help="Prometheus textfile to write.")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(["auto", "lucene", "faiss", *RUNNERS]),
    multiple=True,
    help="lucene or faiss: the k-NN engine; default: what the cluster has. ray: encode on a Ray cluster. One of each "
    "may be given.",
)
@flags(
    options(config.IngestConfig), "batch_size", "ray_encoders", "precision", "m", "ef_construction", "thumbnails",
    "rejected", "image_warnings", "language", "synonyms", "compounds", "swap_limit", ray_encoders="--encoders",
)  # fmt: skip
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
    **given: Any,
) -> int:
    """Write the products of FILES and their vectors into OpenSearch.

    FILES are Parquet, JSONL or CSV (also .gz, .zst), folders of them, or - for JSON lines from standard input. Without
    FILES all catalogue files of clipita.toml are read. The index is behind an alias, products by default. Another run
    encodes only what changed; after any interruption the same command goes on.

    For a shop that has an index already, --from-index copies it, with all of its fields, settings and aliases, into a
    new index with vectors, and switches the alias when both agree; --in-place adds the vectors to the index itself.
    Without --index, this is the index or alias of --from-index.

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
    ways = {name: given.pop(name) for name in ("new_index", "in_place", "prune", "force")}
    fields = mapped_fields(settings, given)
    # No run writes to an index that was not named.
    if from_index and not index and (ways["in_place"] or "index" not in settings.given.get("opensearch", {})):
        index = from_index
    cluster = config.override(settings.opensearch, url=url, index=index)
    chosen = config.override(settings.ingest, **given, **_engines(engines))
    if chosen.runner == "ray" and chosen.device == config.IngestConfig.device and given["device"] is None:
        chosen = config.override(chosen, device="auto")
    if from_index and (files or watch):
        raise UsageError("--from-index reads an index and excludes FILES and --watch.", hint="Leave one out.")
    from clipita import api
    from clipita.opensearch.cluster.connection import connect
    from clipita.runtime import Bundle

    root = settings.catalogue.image_root
    paths = files or (() if from_index else _configured(settings.catalogue))
    opened = [] if watch else _opened(paths, fields, root)
    bundle = Bundle.load(model or settings.export.bundle)
    client = connect(cluster)

    def once(catalogues: Sequence[CatalogueFile]) -> int:
        runs: list[Ingest] = []
        with console.progress() as bar:
            task = bar.add_task("Ingesting", total=None, note="")

            def show(done: int, total: int | None) -> None:
                pace = f"{bar.tasks[0].speed or 0:.0f}/s, {console.STAGES[runs[0].times.limit]} sets the pace"
                bar.update(task, completed=done, total=total, note=pace)

            try:
                report = api.ingest(
                    catalogues, cluster=client, index=cluster.index, model=bundle, from_index=from_index, **ways,
                    fields=fields, image_root=root, config=chosen, search=settings.given.get("search"),
                    started=runs.append, warn=console.note,
                    progress=show,
                )  # fmt: skip
            except BaseException:
                _tell_partly(runs)
                raise
            finally:
                if metrics_file is not None and runs and runs[0].report is not None:
                    save_metrics(metrics_file, runs[0].report)
        return _tell(report, chosen, as_json)

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


def _tell_partly(runs: Sequence[Ingest]) -> None:
    """The summary comes before the error."""
    report = runs[0].report if runs else None
    if report is not None:
        print_summary(report, to_stderr=True)
        console.note(
            "The products are written, the search templates are not; the same command adds them."
            if report.finished
            else "Not finished: the same command goes on from here."
        )


def _tell(report: IngestReport, settings: config.IngestConfig, as_json: bool) -> int:
    if as_json:
        console.print_json(as_json_value(report))
    else:
        print_summary(report)
    if report.image_warnings:
        console.note(
            f"{report.image_warnings:,} images could not be used; the reasons are in {settings.image_warnings}. Their "
            "products are in the index, with their former vector or one of the rest; the next run tries again."
        )
    if report.left_out:
        console.note(f"{report.left_out} products were left out; the reasons are in {settings.rejected}.")
    return PARTIAL if report.left_out else 0
