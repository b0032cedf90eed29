"""`clipita export-onnx`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, fields_options, json_option, mapped_fields
from clipita.errors import MissingExtraError


@click.command("export-onnx")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the training; default runs/clip-ita.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle; default model.")
@click.option("--dim", type=click.IntRange(8), help="Cut the vectors, to save memory: 256, 128 or 64; default: whole.")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Real products to compare on; default: valid.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of weights and arithmetic; default fp32.",
)
@click.option("--max-loss", type=click.FloatRange(0), help="Points of R-precision that may be lost; default 0.5.")
@click.option("--products", type=click.IntRange(1), help="How many to compare on; default 256, below fp32 2000.")
@click.option("--parity", type=click.FloatRange(0, 1), help="Cosine that every one must reach in fp32; default 0.9999.")
@click.option(
    "--ml-commons",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="ZIP",
    help="Also package the text encoder for OpenSearch's ML Commons plugin.",
)
@fields_options
@json_option
@config_option
def command(
    run: Path | None,
    out: Path | None,
    dim: int | None,
    catalogue: Path | None,
    precision: str | None,
    max_loss: float | None,
    products: int | None,
    parity: float | None,
    ml_commons: Path | None,
    config_file: Path | None,
    as_json: bool,
    **flags: Any,
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
    fields = mapped_fields(settings, flags)
    export = config.override(settings.export, bundle=out, precision=precision, max_loss=max_loss, parity=parity)
    count = products or (export.parity_products if export.precision == "fp32" else export.retrieval_products)
    try:
        from clipita.catalogue.reader import CatalogueFile
        from clipita.exporters.bundle import export_bundle
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
            products=count,
            precision=export.precision,
            max_loss=export.max_loss,
            command=" ".join(["clipita", *sys.argv[1:]]),
            report=status.update,
        )
    package = {}
    if ml_commons:
        from clipita.exporters.ml_commons import write_package

        package = {name: str(file) for name, file in write_package(bundle, ml_commons).items()}
    summary = {
        "bundle": str(bundle.path),
        "system": bundle.name,
        "dim": bundle.dim,
        "precision": export.precision,
        "fingerprint": bundle.fingerprint,
        "bytes": sum(entry["bytes"] for entry in bundle.manifest["files"].values()),
        "parity": bundle.manifest["export"]["parity"],
        "ml_commons": package or None,
    }
    if as_json:
        console.print_json(summary)
        return
    click.echo(
        f"Exported {bundle.name} ({export.precision}, {bundle.dim} dimensions, {summary['bytes'] / 1e6:.0f} MB) "
        f"to {bundle.path}.\n"
        f"ONNX agrees with PyTorch: lowest cosine {result.lowest_product:.6f} on {result.products} products, "
        f"{result.lowest_text:.6f} on {result.texts} category names.\n"
        f"R-precision on these products: {result.onnx_r_precision:.2f}, PyTorch {result.torch_r_precision:.2f}.\n"
        + (f"ML Commons: {package['zip']}; send it with: clipita opensearch register-model\n" if package else "")
        + f"Fingerprint {bundle.fingerprint[:16]}. Next: clipita ingest --index products"
    )
