"""The two ONNX graphs of a bundle.

Text graph: `ids` int64 [B, L] -> `vector` [B, D], `features` [B, F]; where the model knows categories by name also
`gate` [B], from 0 (like no known category) to 1 (a known name), and `anchored` [B, D], the vector without the gate.
Product graph: `pixels` uint8 [P, H, W, 3], all images of the batch, `image_weights` float32 [B, P], `title_ids` int64
[B, L], `has_title` bool [B], `known_attributes` float32 [K, F], `attribute_ids` int64 [U, L'], `attribute_weights`
float32 [B, K + U] -> `vector` [B, D], `features` [B, F], `attribute_features` [U, F], which a later batch may give as
known. A row of weights averages a product's images or attributes; zeros say that it has none. Inputs of
modalities that the model does not read are absent, and so is `features` where nothing of a product lies in the towers'
own space. Everything has unit length.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clipita.errors import ExportError
from clipita.model.clip_ita import ClipIta

OPSET = 18
INPUTS = {
    "I": ("pixels", "image_weights"),
    "T": ("title_ids", "has_title"),
    "A": ("known_attributes", "attribute_ids", "attribute_weights"),
}


class TextGraph(nn.Module):
    """What text.onnx computes."""

    def __init__(self, model: ClipIta) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        """Token ids [B, L] -> vector [B, D], zero-shot features [B, F], and with a gate [B] and anchored [B, D]."""
        features = self.model.towers.encode_text(ids)
        gate = self.model.gate(features) if self.model.has_gate else ()
        return (self.model.query(features), features, *gate)


class ProductGraph(nn.Module):
    """What product.onnx computes."""

    def __init__(self, model: ClipIta) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        pixels: Tensor | None = None,
        image_weights: Tensor | None = None,
        title_ids: Tensor | None = None,
        has_title: Tensor | None = None,
        known_attributes: Tensor | None = None,
        attribute_ids: Tensor | None = None,
        attribute_weights: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """A batch as `clipita.runtime.inputs.assemble` makes it, to the outputs of product.onnx."""
        features = self.model.product_features(
            pixels=pixels, image_weights=image_weights, title_ids=title_ids, has_title=has_title
        )
        fresh = None
        if attribute_ids is not None and known_attributes is not None and attribute_weights is not None:
            fresh = self.model.towers.encode_text(attribute_ids)
            features = replace(features, attributes=attribute_weights @ torch.cat([known_attributes, fresh]))
        zero_shot = self.model.zero_shot(features) if self.model.has_zero_shot else None
        outputs = (self.model.product(features), zero_shot, fresh)
        return tuple(output for output in outputs if output is not None)


def export_text(model: ClipIta, file: Path) -> None:
    """Write text.onnx.

    Raises:
        ExportError: the text tower holds an operation that ONNX lacks.
    """
    ids = torch.from_numpy(model.towers.tokenizer(["running shoes", "a red dress with long sleeves"]))
    length = _sequence(model, "length")
    outputs = ["vector", "features"] + ["gate", "anchored"] * model.has_gate
    _export(TextGraph(model), {"ids": ids}, {"ids": {0: _dim("batch"), 1: length}}, outputs, file)


def export_product(model: ClipIta, example: Mapping[str, Tensor], file: Path) -> None:
    """Write product.onnx.

    The example is a batch of at least two products, three images, two known attributes and three others, as `assemble`
    makes it.

    Raises:
        ExportError: a tower holds an operation that ONNX lacks.
    """
    names = [name for letter in model.modalities for name in INPUTS[letter]]
    batch, images, known, attributes = _dim("batch"), _dim("images"), _dim("known"), _dim("attributes")
    shapes: dict[str, dict[int, Any]] = {
        "pixels": {0: images},
        "image_weights": {0: batch, 1: images},
        "title_ids": {0: batch, 1: _sequence(model, "title_length")},
        "has_title": {0: batch},
        "known_attributes": {0: known},
        "attribute_ids": {0: attributes, 1: _sequence(model, "attribute_length")},
        "attribute_weights": {0: batch, 1: torch.export.Dim.AUTO},  # known + attributes
    }
    inputs, shapes = {name: example[name] for name in names}, {name: shapes[name] for name in names}
    outputs = ["vector"] + ["features"] * model.has_zero_shot + ["attribute_features"] * ("A" in model.modalities)
    _export(ProductGraph(model), inputs, shapes, outputs, file)


def _dim(name: str) -> Any:
    return torch.export.Dim(name, min=1, max=65536)


def _sequence(model: ClipIta, name: str) -> Any:
    """A dynamic axis for tokens, where the tower does not need the full context."""
    spec = model.towers.tokenizer.spec
    return torch.export.Dim(name, min=2, max=spec.context_length) if spec.pad_to == "longest" else None


def _export(
    graph: nn.Module,
    inputs: dict[str, Tensor],
    shapes: dict[str, dict[int, Any]],
    outputs: list[str],
    file: Path,
) -> None:
    # The exporter warns of its own internals.
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.eval(),
                kwargs=inputs,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                input_names=list(inputs),
                output_names=outputs,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(
                f"{file.name} cannot be exported: {error}", hint="Does the tower run data-dependent Python code?"
            ) from error
    assert program is not None
    _save(program, file)


def _save(program: Any, file: Path) -> None:
    """Write the graph in one file, without the exporter's stack traces: they hold paths of this machine."""
    model = program.model
    model.metadata_props.clear()
    for graph in (model.graph, *model.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
    try:
        program.save(file, external_data=False)
    except OSError as error:
        raise ExportError(f"{file} cannot be written: {error}.", hint="Free some disk space.") from error
    except ValueError as error:  # protobuf holds at most 2 GiB in one message
        raise ExportError(
            f"{file.name} is larger than one ONNX file can be ({error}).", hint="Use smaller towers."
        ) from error
