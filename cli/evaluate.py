"""`clipita evaluate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import (
    STDOUT,
    check_targets,
    config_option,
    device_option,
    fields_options,
    flags,
    mapped_fields,
    url_option,
    write,
)
from clipita.errors import ConfigError, UsageError
from clipita.option_table import options

if TYPE_CHECKING:
    from clipita.evaluation.protocol import Subset

SOME_REJECTED = 3


@click.command("evaluate")
@click.argument("catalogue_file", metavar="[CATALOGUE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model", "bundles", metavar="BUNDLE", multiple=True, type=click.Path(path_type=Path),
    help="A bundle to measure; may be repeated. Default: model.",
)  # fmt: skip
@click.option("--index", metavar="ALIAS", help="Measure this live index too: lexical, vector and hybrid.")
@click.option(
    "--subset", type=click.Choice(["all", "seen", "unseen"]), default="all",
    help="Ask only categories that the models' training saw, or only those it did not. Default: all.",
)  # fmt: skip
@click.option(
    "--queries", "queries_file", metavar="FILE", type=click.Path(path_type=Path),
    help="Ask these queries instead of the categories: one JSON object per line with query, kind, categories, and "
    "attributes that a product must have.",
)  # fmt: skip
@click.option(
    "--without", type=click.Choice(["image", "title", "attributes"]), multiple=True,
    help="Measure the models once more with this taken from all products; may be repeated.",
)  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="All results; - is stdout.")
@click.option("--report", "report_file", metavar="FILE", type=click.Path(path_type=Path), help="A page with images.")
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of the image files.")
@device_option
@flags(options(config.IngestConfig), "language")
@url_option
@fields_options
@config_option
def command(
    catalogue_file: Path | None,
    bundles: tuple[Path, ...],
    index: str | None,
    subset: Subset,
    queries_file: Path | None,
    without: tuple[str, ...],
    json_file: Path | None,
    report_file: Path | None,
    image_root: Path | None,
    device: str | None,
    language: str | None,
    url: str | None,
    config_file: Path | None,
    **values: Any,
) -> int:
    """Measure category search on CATALOGUE, products that training did not see.

    Every category name is a query; a product is right if the category lies on its path. BM25 in the catalogue's
    language, the pretrained towers without training (zero-shot) and the trained model are measured exactly, over all
    products, without a cluster. With --index the same queries go to the live index.

    --report writes one HTML file with every query's hits, BM25 beside the model, right and wrong marked.
    Exit code 3 says that some products could not be used.

    \b
    Example:
      clipita evaluate                                   test catalogue and bundle of clipita.toml
      clipita evaluate test.parquet --model models/clip-i --model models/clip-ita
      clipita evaluate test.parquet --subset unseen      of a training with --hold-out-categories
      clipita evaluate test.parquet --without image --without title
      clipita evaluate test.parquet --index products --queries typed.jsonl
      clipita evaluate test.parquet --index products --report report.html --json results.json
    """
    if url is not None and index is None:
        raise UsageError("--url names a cluster, but no index of it is to be measured.", hint="Add --index products.")
    settings = config.load(config_file)
    fields = mapped_fields(settings, values)
    source = catalogue_file or settings.catalogue.test
    if source is None:
        raise ConfigError("No catalogue is named.", hint="Give CATALOGUE, or set test in [catalogue] of clipita.toml.")
    check_targets(source, json_file, report_file)
    from clipita import api

    default = settings.export.bundle
    absent = not bundles and not default.exists()
    missing = f"There is no bundle {default}, so only BM25 is measured; make one with: clipita export-onnx"
    if absent:
        _warn(missing)
    with console.progress("") as bar:
        measured = api.evaluate(
            source, models=() if absent else bundles or (default,), index=index,
            opensearch=config.override(settings.opensearch, url=url), search=settings.given.get("search"),
            subset=subset, queries=queries_file, without=without, fields=fields,
            image_root=image_root or settings.catalogue.image_root,
            device=device or settings.ingest.device, language=language or settings.ingest.language,
            progress=console.stages(bar), warn=_warn,
        )  # fmt: skip
    if absent:
        measured.warnings.insert(0, missing)
    document = measured.as_json(shlex.join(["clipita", *sys.argv[1:]]))
    if json_file == STDOUT:
        console.print_json(document)
    else:
        _print_table(document["rows"])
        if document["pages"]:
            _print_pages(document["pages"])
    if json_file is not None and json_file != STDOUT:
        write(json_file, console.as_json(document) + b"\n")
    if report_file is not None:
        before = len(measured.warnings)
        with console.progress("images") as bar:
            page = measured.report(console.stages(bar))
        for warning in measured.warnings[before:]:
            _warn(warning)
        write(report_file, page.encode())
        click.echo(f"The report is in {report_file}.", err=True)
    return SOME_REJECTED if measured.rejections else 0


def _warn(text: str) -> None:
    click.echo(click.style("Note: ", fg="yellow", bold=True) + text, err=True)


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    from rich.text import Text

    from clipita.evaluation.measures import MEASURES

    best = {name: max(row[name] for row in rows) for name in MEASURES}
    cells = []
    for row in rows:
        gap = f" without {row['without']}" if row["without"] else ""
        values = (Text(f"{row[name]:.1f}", "bold" if row[name] == best[name] else "") for name in MEASURES)
        cells.append((row["system"] + gap, row["mode"], row["where"], *values))
    numbers = [name.replace("precision", "prec") for name in MEASURES]
    console.table(
        ("System", "Mode", "Where", *numbers), cells, f"{rows[0]['queries']} category queries, percent", numbers=numbers
    )


def _print_pages(rows: Sequence[dict[str, Any]]) -> None:
    """Where pages end. BM25's holds every product with a word of the query, a model's those above its threshold."""
    measures = ("page F1", "page size", "pages within 20 %")
    cells = [
        (row["group"], row["system"], row["queries"], f"{row[measures[0]]:.1f}", f"{row[measures[1]]:.2f}",
         f"{row[measures[2]]:.1f}")
        for row in rows
    ]  # fmt: skip
    numbers = ("Queries", *measures)
    title = "Pages: what is found beside what belongs there; thresholds from the other half of the products"
    console.table(("Categories", "System", *numbers), cells, title, numbers=numbers)
