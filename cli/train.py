"""`clipita train`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, flags, json_option, mapped_fields
from clipita.errors import ConfigError
from clipita.option_table import options
from clipita.training.recipes import Recipe, apply_recipe

if TYPE_CHECKING:
    from clipita.training.trainer import Epoch


MODEL = ("tower", "pretrained", "tower_config", "modalities", "dim")
TRAINING = ("run", "loss", "epochs", "batch_size", "seed", "unfreeze", "device", "lora_rank", "cache")


@click.command("train")
@click.argument("train_file", required=False, type=click.Path(path_type=Path))
@click.option("--valid", type=click.Path(path_type=Path), help="Products to stop by; never the ones you report on.")
@flags(options(config.ModelConfig), *MODEL)
@click.option(
    "--recipe", type=click.Choice(["default", "paper"]),
    help="default: corrections of the pretrained text space. paper: CLIP-ITA's own heads and loss.",
)  # fmt: skip
@flags(options(config.TrainingConfig), *TRAINING, lora_rank="--lora", unfreeze="--unfreeze/--freeze")
@click.option(
    "--hold-out-categories", "hold_out", default="", metavar="N|FILE",
    help="Leave categories out, to measure how new ones are found: N leaves drawn by the seed, or a file of names.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what the run folder holds.")
@fields_options
@json_option
@config_option
def command(
    train_file: Path | None,
    valid: Path | None,
    config_file: Path | None,
    as_json: bool,
    force: bool,
    recipe: Recipe | None,
    hold_out: str,
    **values: Any,
) -> int:
    """Train CLIP-ITA on TRAIN_FILE: category names and products into one space.

    The default recipe keeps the pretrained text space and learns corrections of it, so that categories which training
    never saw stay searchable. `--recipe paper` trains the heads of the CLIP-ITA paper instead, with its loss or,
    beside `--loss tree`, with ours.

    The towers (pretrained encoders) stay frozen: their outputs for your catalogue are computed once and cached, and
    only the heads on top are learnt, in minutes on a CPU. Training stops when R-precision on the validation products
    no longer rises. After an interruption the same command continues where it stopped.

    On many GPUs or machines, with --unfreeze: torchrun starts one process per GPU. Each runs its share of a batch
    through the towers, and all products of the batch are negatives of each other, as in one process. Only process 0
    writes and prints. docs/scale.md says more.

    `--lora RANK` trains the towers by low-rank adapters: their own weights stay, two thin matrices per layer are learnt
    beside the paper's heads and merged into the weights at the end, so that the bundle is an ordinary one. Every image
    runs through the tower in every epoch, which requires a GPU; it was tried on very small towers only.

    \b
    Example:
      clipita train                                     with everything in clipita.toml
      clipita train train.parquet --valid valid.parquet --tower ViT-B-32 --pretrained laion2b_s34b_b79k
      clipita train --recipe paper --modalities IA --run runs/clip-ia
      clipita train --hold-out-categories 30 --run runs/unseen
      torchrun --nproc-per-node 8 -m clipita.cli train --unfreeze --device cuda --batch-size 4096
      clipita train --lora 8 --batch-size 128 --run runs/lora
    """
    settings = config.load(config_file)
    fields = mapped_fields(settings, values)
    catalogue = settings.catalogue
    train_file = _named(train_file or catalogue.train, "train", "TRAIN_FILE")
    valid = _named(valid or catalogue.valid, "valid", "--valid FILE")
    model, training = settings.model, settings.training
    if recipe is not None:
        model, training = apply_recipe(recipe, model, training)
    model = config.override(model, **{name: values.pop(name) for name in MODEL})
    training = config.override(training, **values)
    # Threads that wait by spinning make training ten times as slow beside another busy program; read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from clipita import api

    # Of the processes that torchrun started only the first one prints.
    with console.progress("") if os.environ.get("RANK", "0") == "0" else nullcontext() as bar:
        outcome = api.train(
            train_file, valid, model=model, training=training, fields=fields, image_root=settings.catalogue.image_root,
            hold_out=int(hold_out) if hold_out.isdecimal() else Path(hold_out) if hold_out else None, force=force,
            progress=None if bar is None else console.stages(bar), on_epoch=_print_epoch,
            warn=console.note,
        )  # fmt: skip
    if outcome is None:
        return 0
    if outcome.rejected:
        console.note(f"{outcome.rejected} rows could not be used: {training.run / 'rejected.jsonl'}")
    result = {
        "run": str(training.run),
        "system": outcome.trained.name,
        "products": outcome.products,
        "categories": outcome.categories,
        "rejected": outcome.rejected,
        "held_out": outcome.held_out,
        "epochs": outcome.epochs,
        "resumed_epochs": outcome.resumed,
        "best_epoch": outcome.best.number,
        "valid R-precision": outcome.best.r_precision,
    }
    if as_json:
        console.print_json(result)
    else:
        click.echo(
            f"Trained {result['system']} on {outcome.products:,} products of {outcome.categories} categories: "
            f"valid R-precision {outcome.best.r_precision:.1f} (epoch {outcome.best.number} of {outcome.epochs}).\n"
            f"The run is in {training.run}. Next: clipita export-onnx"
        )
    return 3 if outcome.rejected else 0


def _print_epoch(epoch: Epoch) -> None:
    console.note(
        f"Epoch {epoch.number}: loss {epoch.loss:.3f}, valid R-precision {epoch.r_precision:.1f}"
        f"{' *' if epoch.best else ''} ({epoch.seconds:.1f} s)"
    )


def _named(file: Path | None, name: str, flag: str) -> Path:
    if file is None:
        raise ConfigError(
            f"No {name} catalogue is named.",
            hint=f"Give {flag}, or set {name} in [catalogue] of clipita.toml. "
            "One file becomes train, valid and test with: clipita catalogue split FILE",
        )
    return file
