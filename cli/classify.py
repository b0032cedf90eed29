"""`clipita classify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, device_option, fields_options, json_option, mapped_fields, model_option

if TYPE_CHECKING:
    from clipita.catalogue.product import CategoryPaths, Product, Rejection

_BATCH = 64
_LEVELS = (0.0, 0.5, 0.7, 0.9)


@click.command("classify")
@click.argument("catalogue_file", metavar="CATALOGUE", type=click.Path(path_type=Path))
@model_option
@click.option("--least", type=click.FloatRange(0, 1), default=0.0, help="Leave out suggestions less sure than this.")
@click.option("--count", type=click.IntRange(1, 20), default=1, help="Suggestions per product. Default: 1.")
@click.option("--check", is_flag=True, help="Classify products that have a category, and print how often it is found.")
@device_option
@fields_options
@json_option
@config_option
def command(
    catalogue_file: Path,
    model: Path | None,
    least: float,
    count: int,
    check: bool,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> int:
    """Suggest category paths for the products of CATALOGUE that have none.

    One line per product: id, confidence, path; with --json one JSON object per line. With --check the products that
    have a category are classified instead, and precision and recall are printed for several confidences; use products
    that training did not see.

    \b
    Example:
      clipita classify new-products.parquet --least 0.7
      clipita classify valid.parquet --check
    """
    from clipita.catalogue.reader import CatalogueFile
    from clipita.runtime import Bundle, ProductEncoder, TextEncoder
    from clipita.runtime.classify import Classifier

    settings = config.load(config_file)
    catalogue = CatalogueFile(catalogue_file, mapped_fields(settings, flags), settings.catalogue.image_root)
    bundle = Bundle.load(model or settings.export.bundle)
    where = device or settings.ingest.device
    classifier = Classifier(bundle, TextEncoder(bundle, where))
    encoder = ProductEncoder(bundle, where)
    rejected: list[Rejection] = []
    best, actual = [], []
    for products in _batches(catalogue, encoder, rejected, with_category=check):
        vectors = encoder.encode([prepared for _, prepared in products])
        for (product, _), suggestions in zip(products, classifier.suggest(vectors, count), strict=True):
            best.append(suggestions[0])
            actual.append(product.category_paths)
            if not check:
                _print(product.id, [item for item in suggestions if item.confidence >= least], as_json)
    if check:
        _print_quality(best, actual, as_json)
    elif not best:
        console.note("Every product has a category. To see how well they are found: --check")
    for item in rejected[:5]:
        console.note(f"row {item.row} ({item.id}): {item.reason}")
    if rejected:
        console.note(f"{len(rejected)} products cannot be used.")
    return 3 if rejected else 0


def _batches(
    catalogue: Any, encoder: Any, rejected: list[Rejection], *, with_category: bool
) -> Iterator[list[tuple[Product, Any]]]:
    from clipita.errors import ProductError

    batch: list[tuple[Product, Any]] = []
    with console.progress() as bar:
        task = bar.add_task("Classifying", total=catalogue.rows, note="")
        for row, product in catalogue.numbered_products(rejected.append):
            bar.advance(task)
            if bool(product.category_paths) != with_category:
                continue
            try:
                batch.append((product, encoder.prepare(product)))
            except ProductError as error:
                rejected.append(catalogue.rejection(row, product.id, error))
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _print(product_id: str, suggestions: list[Any], as_json: bool) -> None:
    if as_json:
        import orjson

        paths = [{"category_path": list(item.path), "confidence": round(item.confidence, 4)} for item in suggestions]
        click.echo(orjson.dumps({"id": product_id, "suggestions": paths}).decode())
        return
    for item in suggestions:
        click.echo(f"{product_id}\t{item.confidence:.2f}\t{' > '.join(item.path)}")


def _print_quality(best: list[Any], actual: list[CategoryPaths], as_json: bool) -> None:
    from clipita.runtime.classify import precision_and_recall

    names = ("least_confidence", "precision", "recall")
    rows = [
        (level, *(round(100 * share, 2) for share in precision_and_recall(best, actual, level))) for level in _LEVELS
    ]
    if as_json:
        levels = [dict(zip(names, row, strict=True)) for row in rows]
        console.print_json({"products": len(best), "levels": levels})
    else:
        cells = [[f"{value:.1f}" for value in row] for row in rows]
        console.table(("least confidence", *names[1:]), cells, f"{len(best):,} products with a category, percent")
