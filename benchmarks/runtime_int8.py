"""What 8 bits cost in retrieval: a model trained on the real catalogue, before and after, on validation products.

The towers are the benchmarks' pretrained ones (EfficientNet-lite0 and MiniLM, see towers.py): no pretrained ViT-B-32
comes in a package, and of random weights no ranking says anything.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import record
from towers import write_towers

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ParityError
from clipita.exporters.bundle import export_bundle
from clipita.model.checkpoint import TrainedModel, load_run

WORK = record.ROOT / "build" / "runtime"


def int8_quality(run: Path | None, train: Path, valid: Path, train_products: int, products: int) -> dict[str, Any]:
    """R-precision of PyTorch and of the int8 bundle, or why the export's own gate refused it.

    Args:
        run: a model trained before; None trains one now.
        train: the catalogue to train on.
        valid: the catalogue to measure on.
        train_products: how many of `train` a model trained now sees.
        products: how many of `valid` are ranked.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    ranked = _part(valid, products)
    chosen = run or _train(_part(train, train_products), ranked)
    trained = load_run(chosen)
    try:
        lost = _lost(trained, ranked, products)
    except ParityError as error:
        lost = {"refused": error.message}
    return {
        "model": str(run) if run else f"trained here on {train_products} products",
        "towers": trained.model.towers.source.tower,
        "int8": lost,
    }


def _lost(trained: TrainedModel, ranked: Path, products: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        _, parity = export_bundle(
            trained, CatalogueFile(ranked), Path(folder) / "int8", lowest_cosine=0.9999, products=products,
            precision="int8", max_loss=100, command="benchmark", report=lambda _: None,
        )  # fmt: skip
    return {
        "products": parity.products,
        "pytorch R-precision": parity.torch_r_precision,
        "R-precision": parity.onnx_r_precision,
        "points_lost": parity.lost,
        "lowest_cosine": parity.lowest_product,
    }


def _part(file: Path, count: int) -> Path:
    """So many products of a catalogue, from all over it: it is in no random order."""
    table = pq.read_table(file)
    step = max(1, len(table) // count)
    part = WORK / f"{file.stem}-{count}.parquet"
    pq.write_table(table.take(list(range(0, len(table), step))[:count]), part)
    return part


def _train(train: Path, valid: Path) -> Path:
    config, checkpoint = write_towers(WORK / "towers")
    run = WORK / "run"
    command = [
        Path(sys.executable).parent / "clipita", "train", train, "--valid", valid,
        "--tower-config", config, "--pretrained", checkpoint, "--run", run, "--cache", WORK / "features", "--force",
    ]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True)
    return run
