"""`clipita export-onnx`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.options import config_option, fields_options, json_option, mapped_fields
from clipita.errors import MissingExtraError


@click.command("export-onnx")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the training; default runs/clip-ita.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle; default model.")
@click.option("--dim", type=click.IntRange(8), help="Cut the vectors, to save memory: 256, 128 or 64; default: whole.")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Real products to compare on; default: valid.")
@click.option("--products", type=click.IntRange(1), help="How many to compare on; default 256.")
@click.option("--parity", type=click.FloatRange(0, 1), help="Cosine that every one must reach; default 0.9999.")
@fields_options
@json_option
@config_option
def command(
    run: Path | None,
    out: Path | None,
    dim: int | None,
    catalogue: Path | None,
    products: int | None,
    parity: float | None,
    config_file: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Export a trained model as a bundle that runs without PyTorch.

    Writes text.onnx (queries), product.onnx (image, title and attributes fused), tokenizer.json and manifest.json. The
    bundle is loaded back and compared with PyTorch on real products; if one of them differs, nothing is written.

    \b
    Example:
      clipita export-onnx
      clipita export-onnx --dim 128 --out model-128
      clipita export-onnx --run runs/clip-it --out models/clip-it --catalogue valid.parquet
    """
    settings = config.load(config_file)
    fields = mapped_fields(settings.fields, flags)
    export = config.override(settings.export, bundle=out, parity=parity, parity_products=products)
    try:
        from clipita.catalogue.readers import CatalogueFile
        from clipita.exporters.bundle_writer import export_bundle
        from clipita.exporters.parity import open_catalogue
        from clipita.model.checkpoint import load_run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "onnx", "train,cpu") from error
    root = settings.catalogue.image_root
    with console.err().status("Loading the model") as status:
        trained = load_run(run or settings.training.run)
        if dim is not None:
            trained.model.truncate(dim)
        bundle, result = export_bundle(
            trained,
            CatalogueFile(catalogue, fields, root)
            if catalogue
            else open_catalogue([settings.catalogue.valid, settings.catalogue.train], fields, root),
            export.bundle,
            lowest_cosine=export.parity,
            products=export.parity_products,
            command=" ".join(["clipita", *sys.argv[1:]]),
            report=status.update,
        )
    summary = {
        "bundle": str(bundle.path),
        "system": bundle.name,
        "dim": bundle.dim,
        "fingerprint": bundle.fingerprint,
        "bytes": sum(entry["bytes"] for entry in bundle.manifest["files"].values()),
        "parity": bundle.manifest["export"]["parity"],
    }
    if as_json:
        console.print_json(summary)
        return
    click.echo(
        f"Exported {bundle.name} ({bundle.dim} dimensions, {summary['bytes'] / 1e6:.0f} MB) to {bundle.path}.\n"
        f"ONNX agrees with PyTorch: lowest cosine {result.lowest_product:.6f} on {result.products} products, "
        f"{result.lowest_text:.6f} on {result.texts} category names.\n"
        f"Fingerprint {bundle.fingerprint[:16]}. Next: clipita ingest --index products"
    )
