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
from clipita.options import options
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
    "--recipe",
    type=click.Choice(["default", "paper"]),
    help="default: corrections of the pretrained text space. paper: CLIP-ITA's own heads and loss.",
)
@flags(options(config.TrainingConfig), *TRAINING, lora_rank="--lora", unfreeze="--unfreeze/--freeze")
@click.option(
    "--hold-out-categories",
    metavar="N|FILE",
    help="Leave categories out, to measure how new ones are found: N leaves drawn by the seed, or a file of names.",
)
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
    hold_out_categories: str | None,
    **given: Any,
) -> int:
    """Train CLIP-ITA on TRAIN_FILE: category names and products into one space.

    The default recipe keeps the pretrained text space and learns corrections of it, so that categories which training
    never saw stay searchable. `--recipe paper` trains the heads of the CLIP-ITA paper instead, with its loss or,
    beside `--loss tree`, with ours.

    The towers (pretrained encoders) stay frozen: what they say about your catalogue is computed once and kept in a
    cache, and only the heads on top are learnt, in minutes on a CPU. Training stops when R-precision on the
    validation products no longer rises. Interrupted, the same command goes on where it stopped.

    On many GPUs (or machines), with --unfreeze: torchrun starts a process a GPU. Each runs its share of a batch through
    the towers, and all products of the batch are negatives of each other, as in one process. Process 0 alone writes
    and prints. docs/scale.md says more.

    `--lora RANK` has the towers learn too, by low-rank adapters: their own weights stay, two thin matrices a layer are
    learnt beside the paper's heads and merged into the weights at the end, so that the bundle is an ordinary one. It
    runs every picture through the tower in every epoch, hence wants a GPU; it was tried on very small towers only.

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
    fields = mapped_fields(settings, given)
    files = _sources(settings, train_file, valid)
    model, training = settings.model, settings.training
    if recipe is not None:
        model, training = apply_recipe(recipe, model, training)
    model = config.override(model, **{name: given.pop(name) for name in MODEL})
    training = config.override(training, **given)
    # Threads that wait by spinning make training ten times as slow beside another busy program; read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from clipita import api

    # Of several processes that torchrun started the first one alone speaks.
    with console.progress("") if os.environ.get("RANK", "0") == "0" else nullcontext() as bar:
        outcome = api.train(
            *files, model=model, training=training, fields=fields, image_root=settings.catalogue.image_root,
            hold_out=_hold_out(hold_out_categories), force=force,
            progress=None if bar is None else console.stages(bar), on_epoch=_tell_epoch,
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


def _tell_epoch(epoch: Epoch) -> None:
    console.note(
        f"Epoch {epoch.number}: loss {epoch.loss:.3f}, valid R-precision {epoch.r_precision:.1f}"
        f"{' *' if epoch.best else ''} ({epoch.seconds:.1f} s)"
    )


def _sources(settings: config.Config, train_file: Path | None, valid: Path | None) -> tuple[Path, Path]:
    train_path, valid_path = train_file or settings.catalogue.train, valid or settings.catalogue.valid
    for path, name, flag in ((train_path, "train", "TRAIN_FILE"), (valid_path, "valid", "--valid FILE")):
        if path is None:
            raise ConfigError(
                f"No {name} catalogue is named.",
                hint=f"Give {flag}, or set {name} in [catalogue] of clipita.toml. "
                "One file becomes train, valid and test with: clipita catalogue split FILE",
            )
    assert train_path is not None
    assert valid_path is not None
    return train_path, valid_path


def _hold_out(text: str | None) -> int | Path | None:
    return None if text is None else int(text) if text.isdecimal() else Path(text)
