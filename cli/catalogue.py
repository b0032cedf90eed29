"""`clipita catalogue check` and `clipita catalogue split`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, json_option, mapped_fields
from clipita.errors import UsageError

if TYPE_CHECKING:
    from clipita.catalogue.check import CheckReport
    from clipita.catalogue.product import Rejection
    from clipita.catalogue.reader import OnReject

SOME_REJECTED = 3
_SHOWN_ATTRIBUTES = 12
_SHOWN_ROWS = 5


@click.group("catalogue")
def command() -> None:
    """Check and split catalogue files.

    \b
    Example:
      clipita catalogue check products.parquet
      clipita catalogue split products.parquet
    """


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of the image files; default: FILE's.")
@click.option("--images/--no-images", default=True, help="Decode every image (default), or leave them unopened.")
@click.option(
    "--against", type=click.Path(path_type=Path), multiple=True,
    help="A file that is to share no product with FILE; default: the others of [catalogue] where FILE is one of them.",
)  # fmt: skip
@click.option("--rejected", "rejected_file", type=click.Path(path_type=Path), help="Write all unusable rows here.")
@fields_options
@json_option
@config_option
def check(
    file: Path,
    image_root: Path | None,
    images: bool,
    against: tuple[Path, ...],
    rejected_file: Path | None,
    config_file: Path | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Read all of FILE and report what is missing, broken or unusual.

    FILE is Parquet, JSON Lines (.jsonl, .ndjson, .json) or CSV (.csv, .tsv); the text formats also as .gz. Each row is
    a product with an id and at least one of title, image and attributes; training also needs a category path.

    Nothing is written, except the rows that cannot be used, with the reasons, to --rejected.
    Exit code 3 says that there are such rows.

    \b
    Example:
      clipita catalogue check products.parquet
      clipita catalogue check feed.csv --id-field sku --title-field name --category-separator /
      clipita catalogue check feed.csv.gz --attribute-field brand --attribute-field colour
      clipita catalogue check products.jsonl --no-images --json
      clipita catalogue check products.jsonl --rejected rejected.jsonl
      clipita catalogue check test.parquet --against train.parquet
    """
    from clipita.catalogue.check import check_catalogue
    from clipita.catalogue.reader import CatalogueFile

    settings = config.load(config_file)
    fields = mapped_fields(settings, flags)
    image_root = image_root or settings.catalogue.image_root
    catalogue = CatalogueFile(file, fields, image_root)
    others = [CatalogueFile(other, fields, image_root) for other in against or _siblings(file, settings.catalogue)]
    with _rejections(rejected_file, file) as on_reject, console.progress("rows") as bar:
        task = bar.add_task(f"Checking {file.name}", total=catalogue.rows, note="")
        report = check_catalogue(
            catalogue, images=images, on_reject=on_reject, on_rows=lambda rows: bar.update(task, completed=rows),
            others=others,
        )  # fmt: skip
    if as_json:
        console.print_json(report.as_json())
    else:
        _print(report)
    if report.clean:
        return 0
    unusable = report.rows - report.joined - report.usable
    where = f"; all are in {rejected_file}" if rejected_file else "; --rejected FILE writes them all"
    click.echo(f"{unusable:,} of {report.rows:,} rows cannot be used{where}.", err=True)
    return SOME_REJECTED


@command.command("split")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id-field", metavar="NAME", help="Column of the product id.")
@click.option(
    "--group-field", metavar="NAME", help='Column that rows of one product share; default: guessed; "": none.'
)
@click.option("--force", is_flag=True, help="Replace files of an earlier split.")
@json_option
@config_option
def split(
    file: Path, id_field: str | None, group_field: str | None, force: bool, config_file: Path | None, as_json: bool
) -> int:
    """Split FILE into products to train on (80 %), to stop training by, and to measure on (10 % each).

    FILE-train, FILE-valid and FILE-test are written beside FILE, in its format and with all of its columns. The id
    alone decides, so a product stays in its part when the catalogue grows, and no product is in two of them. Rows of
    one product, such as sizes of a shirt, are in one part by their group. A part that would be empty is an error.
    Exit code 3 says that rows without a readable id were left out.

    \b
    Example:
      clipita catalogue split products.csv
      clipita catalogue split products.csv --id-field sku
      clipita catalogue split products.csv --id-field sku --group-field parent_sku
      clipita init --catalogue products-train.csv
    """
    from clipita.catalogue.split import split_catalogue

    fields = config.override(config.load(config_file).fields, id=id_field, group=group_field)
    with console.progress("rows") as bar:
        task = bar.add_task(f"Splitting {file.name}", total=None, note="")
        report = split_catalogue(
            file, fields, lambda done, total: bar.update(task, completed=done, total=total), force=force,
            guess=group_field is None,
        )  # fmt: skip
    if as_json:
        files = {part: {"file": str(report.files[part]), "products": count} for part, count in report.counts.items()}
        console.print_json({**files, "rejected": len(report.rejected), "group": report.group or None})
    else:
        for part, count in report.counts.items():
            click.echo(f"{count:,} products in {report.files[part]}")
        if report.why:
            console.note(f'Rows of one {report.group} stay together ({report.why}); --group-field "" splits by the id.')
        console.note(f"Next: clipita init --catalogue {report.files['train']}")
    for rejection in report.rejected[:_SHOWN_ROWS]:
        console.note(f"Row {rejection.row}: {rejection.reason}")
    if report.rejected:
        console.note(f"{len(report.rejected):,} rows are in none of the files.")
    return SOME_REJECTED if report.rejected else 0


def _siblings(file: Path, catalogue: config.CatalogueConfig) -> list[Path]:
    """The other files of [catalogue] where `file` is one of them, as far as they exist."""
    parts = [part for part in (catalogue.train, catalogue.valid, catalogue.test) if part is not None and part.is_file()]
    same = [part.samefile(file) for part in parts] if file.exists() else []
    return [part for part, it_is in zip(parts, same, strict=True) if not it_is] if any(same) else []


@contextlib.contextmanager
def _rejections(rejected_file: Path | None, catalogue_file: Path) -> Iterator[OnReject | None]:
    """Writes rejections as they are found; the file is created even when no row was rejected."""
    if rejected_file is None:
        yield None
        return
    try:
        if rejected_file.exists() and rejected_file.samefile(catalogue_file):
            raise UsageError(f"--rejected names the catalogue itself: {rejected_file}.", hint="Name another file.")
        stream = rejected_file.open("wb")
    except OSError as error:
        raise UsageError(f"{rejected_file} cannot be written: {error.strerror}.", hint="Name another file.") from error

    def write(rejection: Rejection) -> None:
        try:
            stream.write(rejection.to_json_line())
            stream.flush()
        except OSError as error:
            hint = "Free some disk space, or name another file."
            raise UsageError(f"{rejected_file} cannot be written: {error.strerror}.", hint=hint) from error

    try:
        yield write
    finally:
        # All of it is written, or the error says that it is not.
        with contextlib.suppress(OSError):
            stream.close()


def _print(report: CheckReport) -> None:

    rows = [("rows", f"{report.rows:,}"), ("usable products", f"{report.usable:,}")]
    rows += [("rejected", f"{count:,}  {kind}") for kind, count in report.rejected.items()]
    if report.joined:
        rows.append(("joined", f"{report.joined:,}  rows that are variants or images of other rows' products"))
    if report.groups is not None:
        rows.append(("groups", f"{report.groups:,}"))
    troubles = "".join(f"\n{count:,}  {kind}" for kind, count in report.image_troubles.items())
    checked = report.broken_images is not None
    rows.append(("broken images", f"{report.broken_images:,}{troubles}" if checked else "not checked"))
    counts = [f"{images}: {count:,}" for images, count in report.products_by_images.items()]
    rows.append(("products by images", ", ".join(counts) or "none"))
    rows += [(f"without {name}", f"{lack.count:,}  ({lack.percent} %)") for name, lack in report.missing.items()]
    if (titles := report.titles) is not None:
        length = f"{titles.shortest} to {titles.longest:,} characters, median {titles.median:g}"
        rows.append(("title length", length))
    rows.append(("attributes", _attributes(report.attribute_names)))
    tree = report.tree
    levels = ", ".join(f"level {level}: {count:,}" for level, count in tree.nodes_by_level.items())
    rows.append(("categories", f"{tree.nodes:,}, of which leaves {tree.leaves:,}" + (f" ({levels})" if levels else "")))
    counts = [f"{paths}: {count:,}" for paths, count in report.products_by_paths.items()]
    rows.append(("products by paths", ", ".join(counts) or "none"))
    for name, leaves in (("largest leaves", tree.largest), ("smallest leaves", tree.smallest)):
        rows.append((name, "\n".join(f"{count:,}  {category}" for category, count in leaves) or "none"))
    kept = (f"{name} ({report.column_types.get(name, 'no value')})" for name in report.extra_columns)
    rows.append(("other columns", ", ".join(kept) or "none"))
    if report.dropped_columns:
        rows.append(("not kept", ", ".join(report.dropped_columns)))
    console.table(("", ""), rows, str(report.file), show_header=False)
    for warning in report.remarks:
        console.out().print(f"Note: {warning}", markup=False)
    for rejection in report.examples:
        id_ = f", id {rejection.id}" if rejection.id is not None else ""
        console.out().print(f"Row {rejection.row}{id_}: {rejection.reason}", soft_wrap=True, markup=False)


def _attributes(names: dict[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(names.items())[:_SHOWN_ATTRIBUTES]]
    more = len(names) - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more > 0 else "")
