"""`clipita sample`."""

from __future__ import annotations

from pathlib import Path

import click

from clipita.cli import console
from clipita.cli.common import json_option


@click.command("sample")
@click.argument("folder", default=Path("sample"), type=click.Path(path_type=Path, file_okay=False))
@click.option("--products", default=4000, show_default=True, type=click.IntRange(1), help="How many; any size.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Another seed, another shop.")
@click.option("--force", is_flag=True, help="Replace the shop that FOLDER holds.")
@json_option
def command(folder: Path, products: int, seed: int, force: bool, as_json: bool) -> None:
    """Draw a sample shop into FOLDER (default: sample), to try everything on.

    96 categories under 5 roots in 3 levels. The shape in the image tells the category, its colour and pattern are
    among the 3 to 8 attributes, and fewer than half of the titles name the category. FOLDER gets train.parquet (80 %),
    valid.parquet and test.parquet (10 % each). The same seed draws the same products, and more of them extend fewer.

    \b
    Example:
      clipita sample
      clipita sample shop --products 100000 --seed 1
      clipita init --catalogue sample/train.parquet
    """
    from clipita.catalogue.sample.writer import write_sample

    with console.progress() as bar:
        task = bar.add_task("Drawing", total=products, note="")
        counts = write_sample(folder, products, seed, lambda done: bar.update(task, completed=done), force=force)
    if as_json:
        console.print_json({"folder": str(folder), "seed": seed, "products": products, **counts})
    else:
        listed = ", ".join(f"{count:,} in {split}.parquet" for split, count in counts.items())
        click.echo(f"Drew {products:,} products into {folder}: {listed}.")
        click.echo(f"Next: clipita init --catalogue {folder}/train.parquet")
