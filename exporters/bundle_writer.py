"""Writing a bundle: drafted beside its place, verified there, and moved in only when everything holds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime
import torch

import clipita
from clipita.catalogue.readers import CatalogueFile
from clipita.errors import ExportError
from clipita.exporters.graphs import OPSET, export_product, export_text
from clipita.exporters.parity import Parity, compare, real_inputs
from clipita.model.checkpoint import TrainedModel
from clipita.runtime.bundle import (
    MANIFEST,
    PRODUCT_GRAPH,
    REQUIRED_FILES,
    SCHEMA,
    TEXT_GRAPH,
    TOKENIZER,
    Bundle,
    fingerprint_of,
    hash_file,
)
from clipita.runtime.encoders import ProductInput, assemble


def export_bundle(
    trained: TrainedModel,
    catalogue: CatalogueFile,
    target: Path,
    *,
    lowest_cosine: float,
    products: int,
    command: str,
    report: Callable[[str], None],
) -> tuple[Bundle, Parity]:
    """Export a model, compare it with PyTorch, and put the bundle in its place.

    Args:
        trained: the model.
        catalogue: real products for the comparison.
        target: the bundle's folder; an older bundle there is replaced once the new one holds.
        lowest_cosine: what every compared product and category name must reach.
        products: how many products to compare.
        command: what made it, for the manifest.
        report: told what is being done.

    Raises:
        ExportError: a graph cannot be exported or written, or `target` is something else than a bundle.
        ParityError: ONNX and PyTorch disagree; nothing is left behind.
    """
    _check_target(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        report("Reading products to compare on")
        inputs = real_inputs(catalogue, trained.model, products)
        report("Exporting the text encoder")
        export_text(trained.model, draft / TEXT_GRAPH)
        report("Exporting the product encoder")
        export_product(trained.model, _example(trained), draft / PRODUCT_GRAPH)
        (draft / TOKENIZER).write_text(trained.model.towers.tokenizer.definition, encoding="utf-8")
        manifest = _manifest(trained, draft, command)
        _write_manifest(manifest, draft)
        report(f"Comparing ONNX with PyTorch on {len(inputs)} products")
        parity = compare(trained, Bundle.load(draft), inputs, lowest_cosine)
        manifest["export"]["parity"] = asdict(parity)
        _write_manifest(manifest, draft)
        _swap(draft, target)
    except OSError as error:
        raise ExportError(f"The bundle cannot be written: {error}.", hint="Free some disk space.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Bundle.load(target), parity


def _check_target(target: Path) -> None:
    if target.exists() and not (target / MANIFEST).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(
            f"{target} exists and is not a model bundle, so it is not replaced.", hint="Choose another one with --out."
        )


def _example(trained: TrainedModel) -> dict[str, torch.Tensor]:
    """Two made-up products: the exporter wants shapes, and no dimension of 1, which it would take for fixed."""
    import numpy as np

    spec = trained.model.towers.image_spec
    grey = np.full((spec.height, spec.width, 3), 128, dtype=np.uint8)
    inputs: Sequence[ProductInput] = [
        ProductInput("a red dress with long sleeves", ("colour: red", "season: summer"), grey),
        ProductInput("running shoes", ("colour: blue",), grey),
    ]
    tensors = assemble(inputs, spec, trained.model.towers.tokenizer)
    return {name: torch.from_numpy(value) for name, value in tensors.items()}


def _manifest(trained: TrainedModel, draft: Path, command: str) -> dict[str, Any]:
    model = trained.model
    source = model.towers.source
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "name": trained.name,
        "modalities": model.modalities,
        "dim": model.dim,
        "files": {
            name: {"sha256": hash_file(draft / name), "bytes": (draft / name).stat().st_size} for name in REQUIRED_FILES
        },
        "image": model.towers.image_spec.to_json(),
        "text": model.towers.tokenizer.spec.to_json(),
        "zero_shot": _zero_shot(trained),
        "towers": {
            "tower": source.tower,
            "pretrained": source.pretrained and Path(source.pretrained).name,
            "learnt": trained.learnt_towers,
        },
        "categories": [list(path) for path in trained.categories],
        "metrics": trained.metrics,
        "training": trained.training,
        "export": {
            "opset": OPSET,
            "clipita": clipita.__version__,
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    return manifest | {"fingerprint": fingerprint_of(manifest)}


def _zero_shot(trained: TrainedModel) -> bool:
    """Whether the towers say something without the heads: they came pretrained, and training left them alone."""
    readable = "T" in trained.model.modalities or (
        "I" in trained.model.modalities and trained.model.towers.shared_space
    )
    return trained.pretrained_towers and not trained.learnt_towers and readable


def _write_manifest(manifest: dict[str, Any], folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _swap(draft: Path, target: Path) -> None:
    """Move the draft in; the old bundle goes only after the new one stands."""
    old = target.with_name(f".{target.name}.old.{os.getpid()}")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)
