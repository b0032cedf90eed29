"""`clipita evaluate`."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import __version__, config
from clipita.cli import console
from clipita.cli.common import (
    STDOUT,
    check_targets,
    config_option,
    device_option,
    fields_options,
    mapped_fields,
    url_option,
    write,
)
from clipita.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from clipita.catalogue.product import Rejection
    from clipita.catalogue.reader import CatalogueFile
    from clipita.evaluation.encode import Evaluated, Model
    from clipita.evaluation.protocol import Subset, SystemResult, TreeProtocol

SOME_REJECTED = 3
_SHOWN_REJECTIONS = 5


@click.command("evaluate")
@click.argument("catalogue_file", metavar="[CATALOGUE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model", "bundles", metavar="BUNDLE", multiple=True, type=click.Path(path_type=Path),
    help="A bundle to measure; may be repeated. Default: model.",
)  # fmt: skip
@click.option("--index", metavar="ALIAS", help="Measure this live index too: lexical, vector and hybrid.")
@click.option(
    "--subset",
    type=click.Choice(["all", "seen", "unseen"]),
    default="all",
    help="Ask only categories that the models' training saw, or only those it did not; default: all.",
)
@click.option(
    "--without",
    type=click.Choice(["image", "title", "attributes"]),
    multiple=True,
    help="Measure the models once more with this taken from all products; may be repeated.",
)
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="All results; - is stdout.")
@click.option("--report", "report_file", metavar="FILE", type=click.Path(path_type=Path), help="A page with pictures.")
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of relative image paths.")
@device_option
@url_option
@fields_options
@config_option
def command(
    catalogue_file: Path | None,
    bundles: tuple[Path, ...],
    index: str | None,
    subset: Subset,
    without: tuple[str, ...],
    json_file: Path | None,
    report_file: Path | None,
    image_root: Path | None,
    device: str | None,
    url: str | None,
    config_file: Path | None,
    **flags: Any,
) -> int:
    """Measure category search on CATALOGUE, products that training did not see.

    Every category name is a query; a product is right if the category lies on its path. Measured are BM25 with the
    english analyzer, the pretrained towers as they came (zero-shot) and the trained model: exactly, over all products,
    without a cluster. With --index the same queries go to the live index.

    --report writes one HTML file with every query's hits, BM25 beside the model, right and wrong marked.
    Exit code 3 says that some products could not be used.

    \b
    Example:
      clipita evaluate                                   test catalogue and bundle of clipita.toml
      clipita evaluate test.parquet --model models/clip-i --model models/clip-ita
      clipita evaluate test.parquet --subset unseen      of a training with --hold-out-categories
      clipita evaluate test.parquet --without image --without title
      clipita evaluate test.parquet --index products --report report.html --json results.json
    """
    from clipita.catalogue.reader import CatalogueFile
    from clipita.evaluation.protocol import TreeProtocol

    if url is not None and index is None:
        raise UsageError("--url names a cluster, but no index of it is to be measured.", hint="Add --index products.")
    settings = config.load(config_file)
    fields = mapped_fields(settings, flags)
    source = catalogue_file or settings.catalogue.test
    if source is None:
        raise ConfigError("No catalogue is named.", hint="Give CATALOGUE, or set test in [catalogue] of clipita.toml.")
    check_targets(source, json_file, report_file)
    session = _Session(settings, device or settings.ingest.device)
    catalogue = CatalogueFile(source, fields, image_root or settings.catalogue.image_root)
    models = session.open_models(bundles)
    evaluated = session.encode(catalogue, models, tuple(dict.fromkeys(without)))
    protocol = TreeProtocol(evaluated.products)
    if models:
        names = [{name for path in model.bundle.categories for name in path} for model in models]
        protocol.select(subset, set.intersection(*names))
    elif without:
        raise UsageError("--without measures models, and there is none.", hint="Name a bundle with --model.")
    elif subset != "all":
        raise UsageError("Without a model no category is seen or unseen.", hint="Name a bundle with --model.")
    results = session.measure_offline(protocol, evaluated, models)
    live: dict[str, Any] | None = None
    if index is not None:
        from clipita.cli.evaluate_live import measure_live

        cluster = config.override(settings.opensearch, index=index, url=url)
        measured = measure_live(protocol, models, cluster, settings.given.get("search"), session.device, session.remark)
        results += measured.results
        live = measured.facts
    document = session.document(catalogue, protocol, results, models, live)
    if json_file == STDOUT:
        console.print_json(document)
    else:
        _print_table(document["rows"])
    if json_file is not None and json_file != STDOUT:
        write(json_file, _json_bytes(document))
    if report_file is not None:
        write(report_file, session.report(catalogue, protocol, results, document).encode())
        click.echo(f"The report is in {report_file}.", err=True)
    return SOME_REJECTED if session.rejections else 0


class _Session:
    """One evaluation: what was remarked and rejected on the way."""

    def __init__(self, settings: config.Config, device: str) -> None:
        self.settings = settings
        self.device = device
        self.remarks: list[str] = []
        self.rejections: list[Rejection] = []

    def remark(self, text: str) -> None:
        """Say it now, and again in JSON and report."""
        self.remarks.append(text)
        click.echo(click.style("Note: ", fg="yellow", bold=True) + text, err=True)

    def open_models(self, bundles: Sequence[Path]) -> list[Model]:
        default = self.settings.export.bundle
        if not bundles and not default.exists():
            self.remark(f"There is no bundle {default}, so only BM25 is measured; make one with: clipita export-onnx")
            return []
        from clipita.evaluation.encode import Model
        from clipita.runtime import Bundle, ProductEncoder, TextEncoder

        loaded = [Bundle.load(path) for path in bundles or (default,)]
        names = [bundle.name for bundle in loaded]
        return [
            Model(
                bundle.name if names.count(bundle.name) == 1 else f"{bundle.name} ({bundle.path})",
                bundle,
                TextEncoder(bundle, self.device),
                ProductEncoder(bundle, self.device),
            )
            for bundle in loaded
        ]

    def encode(self, catalogue: CatalogueFile, models: Sequence[Model], without: Sequence[str]) -> Evaluated:
        from clipita.evaluation.encode import encode_catalogue

        columns = [name.partition("^")[0] for name in self.settings.search.fields]
        with console.progress() as bar:
            verb = "Encoding" if models else "Reading"
            task = bar.add_task(f"{verb} {catalogue.file.name}", total=catalogue.rows, note="")
            evaluated = encode_catalogue(
                catalogue,
                models,
                kept_columns=columns,
                without=without,
                on_reject=self.rejections.append,
                on_products=lambda count: bar.advance(task, count),
            )
        if self.rejections:
            shown = "; ".join(
                f"row {item.row} ({item.id}): {item.reason}" for item in self.rejections[:_SHOWN_REJECTIONS]
            )
            more = "; …" if len(self.rejections) > _SHOWN_REJECTIONS else ""
            self.remark(f"{len(self.rejections):,} products cannot be used and are left out: {shown}{more}")
        return evaluated

    def measure_offline(
        self, protocol: TreeProtocol, evaluated: Evaluated, models: Sequence[Model]
    ) -> list[SystemResult]:
        from clipita.evaluation.systems import measure_bm25, measure_models

        return [
            measure_bm25(protocol, self.settings.search.fields, self.remark),
            *measure_models(protocol, evaluated, models, self.remark),
        ]

    def document(
        self,
        catalogue: CatalogueFile,
        protocol: TreeProtocol,
        results: Sequence[SystemResult],
        models: Sequence[Model],
        live: dict[str, Any] | None,
    ) -> dict[str, Any]:
        from clipita.evaluation.summary import as_json

        return {
            **as_json(protocol, results),
            "catalogue": str(catalogue.file),
            "models": [
                {
                    "system": model.name,
                    "fingerprint": model.bundle.fingerprint,
                    "modalities": model.bundle.modalities,
                    "zero_shot": model.bundle.zero_shot,
                }
                for model in models
            ],
            "live": live,
            "search": {name: getattr(self.settings.search, name) for name in ("fields", "weight", "pivot")},
            "rejected": [{"row": item.row, "id": item.id, "reason": item.reason} for item in self.rejections],
            "remarks": self.remarks,
            "command": shlex.join(["clipita", *sys.argv[1:]]),
            "version": __version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    def report(
        self,
        catalogue: CatalogueFile,
        protocol: TreeProtocol,
        results: Sequence[SystemResult],
        document: dict[str, Any],
    ) -> str:
        from clipita.evaluation.report import Report, choose_pair, render
        from clipita.evaluation.thumbnails import thumbnails

        left, right = choose_pair(results)
        facts = {
            "Catalogue": catalogue.file.name,
            "Products": f"{len(protocol.products):,}",
            "Queries": f"{len(protocol.queries):,}",
        }
        if document["models"]:
            facts["Model"] = ", ".join(f"{item['system']} {item['fingerprint'][:8]}" for item in document["models"])
        if document["live"]:
            facts["Index"] = document["live"]["index"]
        facts["Made"] = f"{document['created'][:10]}, clipita {__version__}"
        page = Report(protocol, results, left, right, facts, self.remarks)
        wanted = page.pictured()
        with console.progress("pictures") as bar:
            task = bar.add_task("Shrinking pictures", total=len(wanted), note="")
            small, failed = thumbnails(catalogue, wanted, lambda: bar.advance(task))
        if failed:
            self.remark(
                f"{len(failed)} pictures cannot be read and are missing in the report, the first of {failed[0]}."
            )
        return render(page, small)


def _json_bytes(document: dict[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from clipita.evaluation.measures import MEASURES

    table = Table(title=f"{rows[0]['queries']} category queries, percent", title_justify="left")
    table.add_column("System", overflow="fold")
    for heading in ("Mode", "Where"):
        table.add_column(heading, no_wrap=True)
    for name in MEASURES:
        table.add_column(name.replace("precision", "prec"), justify="right", no_wrap=True)
    best = {name: max(row[name] for row in rows) for name in MEASURES}
    for row in rows:
        values = (f"[bold]{row[name]:.1f}[/]" if row[name] == best[name] else f"{row[name]:.1f}" for name in MEASURES)
        gap = f" without {row['without']}" if row["without"] else ""
        table.add_row(escape(row["system"] + gap), row["mode"], row["where"], *values)
    console.out().print(table)
