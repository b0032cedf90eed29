"""`clipita tune`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import (
    check_targets,
    config_option,
    device_option,
    fields_options,
    index_option,
    json_option,
    mapped_fields,
    model_option,
    url_option,
    write,
)
from clipita.errors import ClusterError, ConfigError, UsageError

if TYPE_CHECKING:
    from clipita.evaluation.protocol import TreeProtocol
    from clipita.opensearch.quality.tuning import Fields, Tuning
    from clipita.opensearch.search.client import ProductSearch

BAR = 40
MEASURES = ("P@1", "P@5", "P@10", "mAP@5", "mAP@10", "R-precision")


@click.command("tune")
@click.option("--catalogue", metavar="FILE", type=click.Path(path_type=Path), help="Default: valid of clipita.toml.")
@click.option(
    "--search-fields", "field_sets", multiple=True, metavar="FIELDS",
    help="Text fields to try, such as title^2,attributes_text; may be repeated. Default: title, with attributes_text.",
)  # fmt: skip
@click.option(
    "--lexical", "lexical_file", metavar="FILE", type=click.Path(path_type=Path),
    help="Your own query clause as JSON, with {{query}} where the words belong, in place of BM25. Default: lexical of "
    "[search].",
)  # fmt: skip
@click.option("--measure", type=click.Choice(MEASURES), default="mAP@10", show_default=True, help="What to maximise.")
@model_option
@click.option(
    "--picture", "image", metavar="FILE", type=click.Path(path_type=Path), default=Path("tuning.svg"),
    help="Draw the curve into this file. Default: tuning.svg.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Write neither clipita.toml nor the index.")
@index_option
@url_option
@device_option
@fields_options
@json_option
@config_option
def command(
    catalogue: Path | None,
    field_sets: tuple[str, ...],
    lexical_file: Path | None,
    measure: str,
    model: Path | None,
    image: Path,
    dry_run: bool,
    index: str | None,
    url: str | None,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> None:
    """Find weights, pivot and fields of the hybrid search, and where pages end, on a validation catalogue.

    Its products must be in the index; each of its categories is a query. The settings are chosen by cross-validation
    over categories, and written to [search] of clipita.toml and into the index, where every search without settings of
    its own finds them. The test catalogue is refused: what measures the result must not choose it.

    \b
    Example:
      clipita tune --index products --catalogue valid.parquet
      clipita tune --measure R-precision --search-fields title --search-fields title^2,attributes_text
      clipita tune --lexical query.json
      clipita tune --dry-run --json
    """
    settings = config.load(config_file)
    fields = mapped_fields(settings, flags)
    source = _source(catalogue, settings.catalogue)
    check_targets(source, image)
    cluster = config.override(settings.opensearch, url=url, index=index)
    from clipita.catalogue.reader import CatalogueFile
    from clipita.opensearch.search.clauses.given import read_clause
    from clipita.opensearch.search.client import ProductSearch

    clause = None if lexical_file is None else read_clause(lexical_file)
    file = CatalogueFile(source, fields, settings.catalogue.image_root)
    bundle = model or settings.export.bundle
    device = device or settings.ingest.device
    # A clause that an earlier run left in the index alone is not tuned: without it in clipita.toml, BM25 is wanted.
    given = {"lexical": None, **settings.given.get("search", {}), **({} if clause is None else {"lexical": clause})}
    search = ProductSearch(None, cluster.index, bundle, given, cluster, device)
    protocol = _protocol(search, file)
    words = None if search.config.lexical is None else "your clause"
    if words and field_sets:
        raise UsageError(
            "A clause of your own and --search-fields are both given.", hint="Name the fields in the clause."
        )
    tuning = _tune(search, protocol, [search.config.fields] if words else _field_sets(search, field_sets), measure)
    if as_json:
        console.print_json(_document(tuning))
    else:
        _print(tuning, words)
    from clipita.opensearch.quality.tuning import draw

    write(image, draw(tuning, words).encode())
    console.note(f"The curve is in {image}.")
    if not dry_run:
        _store(search, tuning, config_file or Path(config.CONFIG_FILE))


def _source(catalogue: Path | None, configured: config.CatalogueConfig) -> Path:
    source = catalogue or configured.valid
    if source is None:
        raise ConfigError("No catalogue is named.", hint="Give --catalogue, or set valid in [catalogue].")
    test = configured.test
    if test is not None and test.exists() and source.exists() and source.samefile(test):
        raise ConfigError(
            f"{source} is the test catalogue, on which nothing may be tuned.", hint="Give the validation catalogue."
        )
    return source


def _protocol(search: ProductSearch, file: Any) -> TreeProtocol:
    """The categories of those products that are in the index."""
    from clipita.evaluation.protocol import TreeProtocol

    rejected: list[Any] = []
    products = list(file.products(rejected.append))
    if rejected:
        console.note(f"{len(rejected):,} products of {file.file} cannot be used and are left out.")
    present: set[str] = set()
    for start in range(0, len(products), 5_000):
        present |= search.present([product.id for product in products[start : start + 5_000]])
    if not present:
        raise ClusterError(
            f"The index {search.alias} holds none of the {len(products):,} products of {file.file}.",
            hint=f"Ingest them first: clipita ingest {file.file} --index {search.alias}",
        )
    if len(present) < len(products):
        console.note(f"{len(products) - len(present):,} products of {file.file} are not in the index: left out.")
    return TreeProtocol(product for product in products if product.id in present)


def _field_sets(search: ProductSearch, texts: tuple[str, ...]) -> list[Fields]:
    """The field sets to try, first those in use, with which the others are compared."""
    sets: list[Fields] = [tuple(name.strip() for name in text.split(",")) for text in texts] or [("title",)]
    if not texts and search.names.has("attributes_text"):
        sets += [("title", "attributes_text"), ("title^2", "attributes_text"), ("title^4", "attributes_text")]
    return list(dict.fromkeys([search.config.fields, *sets]))


def _tune(search: ProductSearch, protocol: TreeProtocol, sets: list[Fields], measure: str) -> Tuning:
    from clipita.opensearch.quality import tuning

    present = search.config
    weight = present.weight_known if present.weight is None else present.weight
    default = tuning.Setting(present.fields, weight, present.pivot)
    with console.progress("categories") as bar:
        task = bar.add_task("Asking the index", total=len(protocol.queries), note="")
        parts = tuning.collect(search, protocol, sets, lambda: bar.advance(task))
    pivots = tuning.pivots_of(present.fusion, present.pivot, parts if present.lexical else ())
    with console.progress("settings") as bar:
        total = len(sets) * len(pivots) * len(tuning.WEIGHTS)
        task = bar.add_task("Trying settings", total=total, note="")
        paths = [entry.path for entry in search.categories]
        return tuning.tune(protocol, parts, default, measure, lambda: bar.advance(task), present.fusion, pivots, paths)


def _store(search: ProductSearch, tuning: Tuning, file: Path) -> None:
    from clipita.opensearch.cluster.retry import Backoff
    from clipita.opensearch.index.index import remember
    from clipita.opensearch.quality import thresholds
    from clipita.opensearch.search.defaults import settings_to_store

    best, present = tuning.best, search.config
    unknown = present.weight_unknown if tuning.weight_unknown is None else tuning.weight_unknown
    chosen = dataclasses.replace(
        present, weight_known=best.weight, weight_unknown=unknown, pivot=best.pivot, fields=best.fields
    )
    values = settings_to_store(chosen)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    changed = with_values(text, "search", values)
    remember(search.client, search.index.name, search={**values, "measure": tuning.measure, "value": tuning.hybrid})
    paths = {entry.path for entry in search.categories}
    thresholds.store(search.client, search.index.name, tuning.thresholds, paths, Backoff(console.note), by="tune")
    write(file, changed.encode())
    console.note(f"Written to [search] of {file} and into the index {search.index.name}.")
    if present.weight is not None:
        console.note(
            "A weight is set, so it holds for all queries: remove `weight` from [search] to use the tuned ones."
        )


def with_values(text: str, section: str, values: Mapping[str, Any]) -> str:
    """A TOML file's text with settings of one section set; every other setting and all comments stay.

    A line that sets a value is changed, else the commented line that shows its default, else a line is added.
    """
    from tomlkit import item, parse, table

    for key, value in values.items():
        if key not in parse(text).get(section, {}) and not isinstance(value, Mapping):
            shown = rf"(?m)(^\s*\[\s*{section}\s*\].*(?:\n(?!\s*\[).*)*?\n)[ \t]*#\s*{key}\s*=.*"
            line = f"{key} = {item(value).as_string()}".replace("\\", "\\\\")
            text = re.sub(shown, rf"\1{line}", text, count=1)
    document = parse(text)
    document.setdefault(section, table()).update(values)
    return document.as_string()


def _document(tuning: Tuning) -> dict[str, Any]:
    return {
        **dataclasses.asdict(tuning),
        "curve": [{"weight": weight, "value": value} for weight, value in tuning.curve.items()],
        "thresholds": {"general": tuning.thresholds.general, "categories": len(tuning.thresholds.categories)},
        "pays": tuning.pays,
        "verdict": tuning.verdict,
    }


def _print(tuning: Tuning, words: str | None) -> None:
    best = tuning.best
    low, high = min(tuning.curve.values()), max(tuning.curve.values())
    rows = []
    for weight, value in tuning.curve.items():
        bar = "█" * round(BAR * (value - low) / (high - low or 1))
        rows.append((f"{weight:.2f}", f"{value:.2f}", bar + " ◀ best" * (weight == best.weight)))
    title = f"{tuning.measure} over the weight of the vector ({tuning.fusion}), {tuning.queries} categories, "
    columns = ("weight", tuning.measure, "")
    console.table(columns, rows, f"{title}{tuning.products:,} products", numbers=columns[:2])
    for name, value in (
        (f"{words or 'BM25'} alone", tuning.lexical),
        ("vector alone", tuning.vector),
        ("hybrid before", tuning.default),
        ("hybrid, held-out categories", tuning.hybrid),
    ):
        click.echo(f"{name:28} {value:6.2f}")
    click.echo(
        f"Best for the fusion {tuning.fusion}: weight {best.weight:g}, pivot {best.pivot:g}, "
        f"{words or 'fields ' + ', '.join(best.fields)}\n"
        f"{tuning.verdict}\n"
        f"Pages: F1 {tuning.page['page F1']:.1f}, {tuning.page['pages within 20 %']:.0f} % of them within 20 % of the "
        "right size (fitted on one half of the products, judged on the other)."
    )
