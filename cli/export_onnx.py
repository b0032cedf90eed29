"""`clipita export-onnx`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, flags, json_option, mapped_fields
from clipita.errors import ExportError
from clipita.option_table import options


@click.command("export-onnx")
@flags(options(config.TrainingConfig), "run")
@flags(options(config.ExportConfig), "bundle", "precision", "max_loss", "parity", bundle="--out")
@click.option("--dim", type=click.IntRange(8), help="Cut the vectors, to save memory: 256, 128 or 64; default: uncut.")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Real products to compare on; default: valid.")
@click.option("--products", type=click.IntRange(1), help="How many to compare on; default 256, below fp32 2000.")
@click.option(
    "--ml-commons", type=click.Path(path_type=Path, dir_okay=False), metavar="ZIP",
    help="Also package the text encoder for OpenSearch's ML Commons plugin.",
)  # fmt: skip
@fields_options
@json_option
@config_option
def command(
    run: Path | None,
    dim: int | None,
    catalogue: Path | None,
    products: int | None,
    ml_commons: Path | None,
    config_file: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Export a trained model as a bundle that runs without PyTorch.

    Writes text.onnx (queries), product.onnx (image, title and attributes fused), tokenizer.json, manifest.json and a
    README.md for people. The bundle is loaded back and compared with PyTorch on real products: if a vector differs, or
    the categories' rankings lose more than --max-loss points of R-precision, nothing is written.

    int8 is the fastest on CPUs with VNNI, fp16 is for GPUs. What a precision loses is measured and written into
    manifest.json and README.md.

    --ml-commons packages the text encoder for a cluster that encodes queries by itself.

    \b
    Example:
      clipita export-onnx
      clipita export-onnx --dim 128 --out model-128
      clipita export-onnx --precision int8 --out model-int8
      clipita export-onnx --run runs/clip-it --out models/clip-it --catalogue valid.parquet
    """
    settings = config.load(config_file)
    fields, root = mapped_fields(settings, values), settings.catalogue.image_root
    chosen = config.override(settings.export, **values)
    from clipita import api

    with console.err().status("Loading the model") as status:
        bundle = api.export(
            run or settings.training.run, catalogue=catalogue or _catalogue(settings.catalogue), config=chosen, dim=dim,
            products=products, fields=fields, image_root=root, command=" ".join(["clipita", *sys.argv[1:]]),
            progress=status.update,
        )  # fmt: skip
    result = bundle.manifest["export"]["parity"]
    package = {}
    if ml_commons:
        from clipita.exporters.ml_commons import write_package

        package = {name: str(file) for name, file in write_package(bundle, ml_commons).items()}
    summary = {
        "bundle": str(bundle.path),
        "system": bundle.name,
        "dim": bundle.dim,
        "precision": chosen.precision,
        "fingerprint": bundle.fingerprint,
        "bytes": sum(entry["bytes"] for entry in bundle.manifest["files"].values()),
        "parity": result,
        "ml_commons": package or None,
    }
    if as_json:
        console.print_json(summary)
        return
    click.echo(
        f"Exported {bundle.name} ({chosen.precision}, {bundle.dim} dimensions, {summary['bytes'] / 1e6:.0f} MB) "
        f"to {bundle.path}.\n"
        f"ONNX agrees with PyTorch: lowest cosine {result['lowest_product']:.6f} on {result['products']} products, "
        f"{result['lowest_text']:.6f} on {result['texts']} category names.\n"
        f"R-precision on these products: {result['onnx_r_precision']:.2f}, PyTorch {result['torch_r_precision']:.2f}.\n"
        + (f"ML Commons: {package['zip']}; send it with: clipita opensearch register-model\n" if package else "")
        + f"Fingerprint {bundle.fingerprint[:16]}. Next: clipita ingest --index products"
    )


def _catalogue(catalogue: config.CatalogueConfig) -> Path:
    """The first of the configured files that exists."""
    for file in (catalogue.valid, catalogue.train):
        if file is not None and file.is_file():
            return file
    raise ExportError(
        "No catalogue is at hand to compare ONNX and PyTorch on real products.",
        hint="Give one with --catalogue, or set valid in [catalogue] of clipita.toml.",
    )
