"""`clipita demo`: the other commands, one after the other, on a drawn shop."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from clipita.cli import console
from clipita.errors import ClipItaError, UsageError

TOWER = "tower.json"
MARK = ".clipita-demo"
PARTIAL = 3


@dataclass(frozen=True)
class Step:
    """One command of the demo: what it is for, its arguments, and a file whose presence says that it has run."""

    purpose: str
    arguments: tuple[str, ...]
    result: str = ""


def steps(products: int, seed: int) -> list[Step]:
    """All steps in order; every path is relative to the demo's folder."""
    train = (
        # Towers that start from random weights have no space that an anchor could hold, so the heads are plain.
        "train", "--recipe", "paper", "--loss", "tree", "--tower-config", TOWER, "--unfreeze", "--dim", "128",
        "--epochs", "14", "--batch-size", "64",
        "--seed", str(seed),
    )  # fmt: skip
    return [
        Step(
            "Draw a catalogue: images, noisy titles, attributes, a category tree.",
            ("sample", "shop", "--products", str(products), "--seed", str(seed)),
            "shop/test.parquet",
        ),
        Step("See what is in it.", ("catalogue", "check", "shop/train.parquet")),
        Step(
            "Write clipita.toml, so that the next commands know the catalogue.",
            ("init", "--catalogue", "shop/train.parquet"),
            "clipita.toml",
        ),
        Step(
            f"Train CLIP-ITA. Your own shop starts from pretrained towers; the demo trains small ones ({TOWER}).",
            train,
            "runs/clip-ita/checkpoint.pt",
        ),
        Step("Export text and product encoder to ONNX, and compare them with PyTorch.", ("export-onnx",)),
        Step("Start a real OpenSearch of its own, without Docker.", ("opensearch", "start")),
        Step("Encode all products and write them into the index.", ("ingest", "--index", "products")),
        Step("Ask for a category, by words alone …", ("search", QUERY, "--size", "5", "--mode", "lexical")),
        Step("… and with the model.", ("search", QUERY, "--size", "5", "--facet", "brand")),
        Step("The same with the images, as a page.", ("search", QUERY, "--html", "search.html")),
        Step(
            "Measure category search on products that training did not see, offline and through the live index.",
            ("evaluate", "--index", "products", "--json", "results.json", "--report", "report.html"),
        ),
    ]


QUERY = "running shoes"


@click.command("demo")
@click.argument("folder", default=Path("demo"), type=click.Path(path_type=Path, file_okay=False))
@click.option("--products", default=4000, show_default=True, type=click.IntRange(500), help="Size of the drawn shop.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Another seed, another shop.")
def command(folder: Path, products: int, seed: int) -> None:
    """Run every step on a drawn sample shop, in FOLDER (default: demo).

    Draws a catalogue, trains CLIP-ITA on it, exports to ONNX, starts a local OpenSearch, ingests, searches and
    evaluates. Every command is printed before it runs, so that you can repeat it by hand. After an interruption the
    same call continues where it stopped. Nothing outside FOLDER is written, except the cache of downloads.

    \b
    Example:
      clipita demo
      clipita demo /tmp/shop --products 8000
    """
    _prepare(folder)
    started = time.monotonic()
    click.echo(_command_line(("cd", str(folder))))
    for step in steps(products, seed):
        click.echo(f"\n{click.style(f'# {step.purpose}', fg='cyan')}\n{_command_line(('clipita', *step.arguments))}")
        if step.result and (folder / step.result).exists():
            click.echo("Kept from the last time.")
            continue
        _run(step, folder)
    _print_next(folder, time.monotonic() - started)


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UsageError(f"{folder} holds files that are not the demo's.", hint="Name another: clipita demo FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        (folder / TOWER).write_text(resources.files(__package__).joinpath("demo_tower.json").read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.", hint="Name another folder.") from error


def _command_line(words: tuple[str, ...]) -> str:
    return click.style(f"$ {shlex.join(words)}", bold=True)


def _run(step: Step, folder: Path) -> None:
    # The settings are the demo's own: a CLIPITA_OPENSEARCH_URL of the caller must not get its index.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPITA_OPENSEARCH_")}
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", "clipita.cli", *step.arguments], cwd=folder, env=environment, check=False
    )
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode not in (0, PARTIAL):
        raise ClipItaError(
            f"clipita {step.arguments[0]} failed, see above.",
            hint="Once that is fixed, the same call continues from here.",
        )


def _print_next(folder: Path, seconds: float) -> None:
    minutes, rest = divmod(round(seconds), 60)
    click.echo(f"\nDone in {minutes} min {rest} s.\n")
    click.echo(f"  {folder / 'report.html'}   every query, BM25 beside hybrid, right and wrong marked")
    click.echo(f"  {folder / 'search.html'}   one search with its images")
    click.echo(f"\nOpenSearch still runs. From {folder}:")
    for arguments in (("search", "sandals", "--mode", "vector"), ("opensearch", "stop")):
        click.echo(f"  clipita {shlex.join(arguments)}")
    console.note(f"To start again: stop it, then remove {folder}.")
