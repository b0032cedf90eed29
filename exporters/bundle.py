"""Writing a bundle: a draft beside the target is verified, and moved in only when every check passes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import clipita
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ExportError
from clipita.exporters.card import write_card
from clipita.exporters.graphs import OPSET, export_product, export_text
from clipita.exporters.parity import Parity, compare, real_samples
from clipita.exporters.precision import LOWEST_COSINE, PRECISIONS, convert
from clipita.files import sha256
from clipita.model.checkpoint import TrainedModel
from clipita.model.towers import TowerSource
from clipita.runtime.bundle import (
    CARD,
    MANIFEST,
    PRODUCT_GRAPH,
    REQUIRED_FILES,
    SCHEMA,
    TEXT_GRAPH,
    TOKENIZER,
    Bundle,
    fingerprint_of,
)
from clipita.runtime.inputs import ProductInput, assemble


def export_bundle(
    trained: TrainedModel,
    catalogue: CatalogueFile,
    target: Path,
    *,
    lowest_cosine: float,
    products: int,
    precision: str = "fp32",
    max_loss: float = 0.5,
    command: str,
    report: Callable[[str], None],
) -> tuple[Bundle, Parity]:
    """Export a model, compare it with PyTorch on real products, and replace the bundle at `target`.

    In fp32 every compared product and category name must reach `lowest_cosine`; other precisions have bounds of their
    own (`precision.LOWEST_COSINE`). At most `max_loss` points of R-precision may be lost. The manifest records the
    command; `report` is called with each step.

    Raises:
        ExportError: a graph cannot be exported or written, or `target` is not a bundle.
        ParityError: ONNX and PyTorch disagree; nothing is left behind.
    """
    if precision not in PRECISIONS:
        raise ExportError(f"There is no precision {precision}.", hint=f"Choose one of {', '.join(PRECISIONS)}.")
    _check_target(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    sweep(target)
    try:
        draft.mkdir(parents=True)
        report("Reading products to compare on")
        samples = real_samples(catalogue, trained.model, products)
        report("Exporting the text encoder")
        export_text(trained.model, draft / TEXT_GRAPH)
        report("Exporting the product encoder")
        export_product(trained.model, _example(trained), draft / PRODUCT_GRAPH)
        (draft / TOKENIZER).write_text(trained.model.towers.tokenizer.definition, encoding="utf-8")
        if precision != "fp32":
            report(f"Converting to {precision}")
            convert(draft / PRODUCT_GRAPH, precision)
            convert(draft / TEXT_GRAPH, precision)
        manifest = _manifest(trained, draft, precision, command)
        _write_manifest(manifest, draft)
        report(f"Comparing ONNX with PyTorch on {len(samples)} products")
        lowest_cosine = LOWEST_COSINE.get(precision, lowest_cosine)
        parity = compare(trained, Bundle.load(draft), samples, lowest_cosine, max_loss)
        manifest["export"]["parity"] = asdict(parity) | {"lost": parity.lost}
        (draft / CARD).write_text(write_card(manifest), encoding="utf-8")
        manifest["files"][CARD] = _entry(draft / CARD)
        _write_manifest(manifest, draft)
        # The old bundle is removed after the new one is in place.
        old = target.with_name(f".{target.name}.old.{os.getpid()}")
        if target.exists():
            target.rename(old)
        draft.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ExportError(f"The bundle cannot be written: {error}.", hint="Free some disk space.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Bundle.load(target), parity


def sweep(target: Path) -> None:
    """Remove what a killed export left beside the target; a bundle that it had moved aside is moved back."""
    for leftover in target.parent.glob(f".{target.name}.*"):
        number = leftover.name.rpartition(".")[2]
        if not number.isdecimal() or Path(f"/proc/{number}").exists():
            continue
        if leftover.name == f".{target.name}.old.{number}" and not target.exists():
            leftover.rename(target)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _check_target(target: Path) -> None:
    if target.exists() and not (target / MANIFEST).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(
            f"{target} exists and is not a model bundle, so it is not replaced.", hint="Choose another one with --out."
        )


def _example(trained: TrainedModel) -> dict[str, torch.Tensor]:
    """Two made-up products, one with two images: the exporter takes shapes from them, and a dimension of 1 as fixed."""
    spec = trained.model.towers.image_spec
    grey = np.full((spec.height, spec.width, 3), 128, dtype=np.uint8)
    inputs = [
        ProductInput("a red dress with long sleeves", ("colour: red", "season: summer", "size: M"), (grey, 255 - grey)),
        ProductInput("running shoes", ("colour: blue", "size: 42"), (grey,)),
    ]
    feature = np.zeros(trained.model.towers.text_dim, dtype=np.float32)
    known = {"size: M": feature, "size: 42": feature}
    tensors = assemble(inputs, spec, trained.model.towers.tokenizer, known)
    return {name: torch.from_numpy(value) for name, value in tensors.items()}


def _manifest(trained: TrainedModel, draft: Path, precision: str, command: str) -> dict[str, Any]:
    model = trained.model
    source = model.towers.source
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "name": trained.name,
        "modalities": model.modalities,
        "dim": model.dim,
        "precision": precision,
        "files": {name: _entry(draft / name) for name in REQUIRED_FILES},
        "image": asdict(replace(model.towers.image_spec, reduced_jpeg=True)),
        "text": asdict(model.towers.tokenizer.spec),
        # Features mean something without the heads where the towers came pretrained and training did not change them.
        "zero_shot": trained.pretrained_towers and not trained.learnt_towers and model.has_zero_shot,
        "towers": {
            "tower": source.tower,
            "pretrained": source.pretrained and Path(source.pretrained).name,
            "learnt": trained.learnt_towers,
            **provenance_of(source),
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


def _entry(file: Path) -> dict[str, Any]:
    return {"sha256": sha256(file), "bytes": file.stat().st_size}


def _write_manifest(manifest: dict[str, Any], folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# Licences as their publishers state them; a family that is not listed is "unknown".
LICENCES = {
    "openai": "MIT (code and weights, OpenAI CLIP)",
    "laion": "MIT (weights, LAION / OpenCLIP)",
    "datacomp": "MIT (weights, DataComp)",
    "commonpool": "MIT (weights, DataComp)",
    "webli": "Apache-2.0 (weights, Google SigLIP)",
}


def provenance_of(source: TowerSource) -> dict[str, Any]:
    """`origin` and `licence` of a tower."""
    if source.pretrained is None and not source.is_schema:
        if source.pretrained_text:
            return {"origin": "a Hugging Face text tower; random image tower", "licence": "unknown: see its card"}
        return {"origin": "random weights", "licence": "none: nothing was taken over"}
    if source.is_schema:
        return {"origin": source.tower, "licence": "unknown: see its model card"}
    tag = str(source.pretrained)
    if source.config is not None or Path(tag).is_file():
        return {"origin": f"local checkpoint {Path(tag).name}", "licence": "unknown: as its author states"}
    licence = next((text for start, text in LICENCES.items() if tag.startswith(start)), "unknown: see its model card")
    return {"origin": f"open_clip {source.tower}, tag {tag}", "licence": licence}
