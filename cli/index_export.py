"""`clipita index export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, json_option, mapped_fields, url_option


@click.command("export")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--products", type=click.IntRange(1), help="Approximate number, evenly over the index; default: all.")
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of relative image paths.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Another seed gives other parts.",
)
@click.option("--force", is_flag=True, help="Replace the files that FOLDER holds.")
@fields_options
@url_option
@json_option
@config_option
def command(
    name: str,
    folder: Path,
    products: int | None,
    image_root: Path | None,
    seed: int,
    force: bool,
    url: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> None:
    """Write the documents of index NAME into FOLDER, as files to train and measure on.

    For a shop that has an index and no feed. The files are train.jsonl.gz (80 %), valid.jsonl.gz and test.jsonl.gz
    (10 % each), with the columns product_id, title, category_path, attributes and image, which all other commands
    expect by default. A product's id decides its file, as in `clipita catalogue split`. The index is only read.
    Products without a category are left out.

    \b
    Example:
      clipita index export products shop/ --title-field name --category-field category --attribute-field brand
      clipita index export products shop/ --products 20000 --attribute-field 'specs.*'
      clipita train shop/train.jsonl.gz --valid shop/valid.jsonl.gz
    """
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.ingest.export import export_catalogue
    from clipita.opensearch.ingest.index_source import IndexSource

    settings = config.load(config_file)
    client = connect(config.override(settings.opensearch, url=url))
    root = image_root or settings.catalogue.image_root
    source = IndexSource(client, name, mapped_fields(settings, flags), root and root.absolute())
    with console.progress("documents") as bar:
        task = bar.add_task("Reading", total=None, note="")
        found = export_catalogue(
            source, folder, products, seed, lambda done, total: bar.update(task, completed=done, total=total), force
        )
    if as_json:
        console.print_json(dataclasses.asdict(found))
        return
    listed = ", ".join(f"{count:,} in {split}.jsonl.gz" for split, count in found.written.items())
    click.echo(f"Read {found.documents:,} documents of {found.index}, wrote to {folder}: {listed}.")
    if found.without_category:
        console.note(f"{found.without_category:,} have no category and are in no file.")
    if found.unusable:
        console.note(f"{found.unusable:,} give no product; the first is {found.first_problem}.")
    click.echo(f"Next: clipita train {folder}/train.jsonl.gz --valid {folder}/valid.jsonl.gz")
