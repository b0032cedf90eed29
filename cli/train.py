"""`clipita train`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, json_option, mapped_fields
from clipita.errors import ConfigError, MissingExtraError
from clipita.training.recipes import Recipe, apply_recipe


@click.command("train")
@click.argument("train_file", required=False, type=click.Path(path_type=Path))
@click.option("--valid", type=click.Path(path_type=Path), help="Products to stop by; never the ones you report on.")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the training; default runs/clip-ita.")
@click.option("--tower", help="open_clip model, for instance ViT-B-32, or local-dir:/path, or hf-hub:org/name.")
@click.option("--pretrained", help="Weights: an open_clip tag, or a checkpoint file.")
@click.option("--tower-config", type=click.Path(path_type=Path), help="An open_clip model config (JSON) of your own.")
@click.option("--modalities", help="What a product's vector is made of: ITA, or any of I, T, A, IT, IA, TA.")
@click.option(
    "--recipe",
    type=click.Choice(["default", "paper"]),
    help="default: corrections of the pretrained text space. paper: CLIP-ITA's own heads and loss.",
)
@click.option("--loss", type=click.Choice(["tree", "infonce"]), help="tree, or the paper's InfoNCE.")
@click.option("--dim", type=click.IntRange(8, 4096), help="Length of a vector; default 384.")
@click.option(
    "--hold-out-categories",
    metavar="N|FILE",
    help="Leave categories out, to measure how new ones fare: N leaves drawn by the seed, or a file of names.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the catalogue, at the most.")
@click.option("--batch-size", type=click.IntRange(2), help="Products a step.")
@click.option("--seed", type=int, help="Makes the training repeatable; default 0.")
@click.option("--unfreeze/--freeze", default=None, help="Train the towers too (a GPU, or a small tower), or not.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N; default cpu. With torchrun cuda is a GPU each.")
@click.option(
    "--lora",
    "lora_rank",
    metavar="RANK",
    type=click.IntRange(0),
    help="Train low-rank adapters on the towers' linear layers, 8 for instance; merged at the end. Wants a GPU.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Where tower features are kept between trainings.")
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
    **flags: Any,
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
    fields = mapped_fields(settings, flags)
    files = _sources(settings, train_file, valid)
    model_flags = {name: flags.pop(name) for name in _MODEL_FLAGS}
    model, training = settings.model, settings.training
    if recipe is not None:
        model, training = apply_recipe(recipe, model, training)
    model, training = config.override(model, **model_flags), config.override(training, **flags)
    # Threads that wait by spinning make training ten times as slow beside another busy program; read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from clipita.training.distributed import joined
        from clipita.training.prepare import Sources
        from clipita.training.run import train
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from error
    with joined(training.device) as ranks, console.progress("") if ranks.first else nullcontext() as bar:
        outcome = train(
            Sources(*files, fields, settings.catalogue.image_root, _hold_out(hold_out_categories)),
            model,
            training,
            console.stages(bar) if bar is not None else lambda *_: None,
            lambda epoch: console.note(
                f"Epoch {epoch.number}: loss {epoch.loss:.3f}, valid R-precision {epoch.r_precision:.1f}"
                f"{' *' if epoch.best else ''} ({epoch.seconds:.1f} s)"
            ),
            force=force,
            ranks=ranks,
        )
    if not ranks.first:
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


_MODEL_FLAGS = ("tower", "pretrained", "tower_config", "modalities", "dim")


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
