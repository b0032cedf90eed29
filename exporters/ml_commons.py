"""The text encoder as a model that OpenSearch's ML Commons plugin runs inside the cluster.

https://docs.opensearch.org/latest/ml-commons-plugin/custom-local-models/ : a zip with one ONNX graph and
tokenizer.json; the graph gets `input_ids` and `attention_mask` of one document, int64 [1, L], and gives one unit
vector [1, D]. The onnxruntime inside reads opset 19 and IR version 9 at most.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from clipita.errors import ExportError, UsageError
from clipita.files import replacing, sha256
from clipita.runtime.bundle import TEXT_GRAPH, TOKENIZER, Bundle
from clipita.runtime.preprocess import TextSpec

MAX_OPSET, MAX_IR = 19, 9
CHUNK_BYTES = 10_000_000
"""Most bytes that the plugin takes in one chunk."""


def write_package(bundle: Bundle, target: Path, name: str | None = None) -> dict[str, Path]:
    """Write the zip `target`, and `<stem>.register.json` and `<stem>.deploy.txt` beside it; returns the three files.

    The model's name in the cluster is by default the bundle's.

    Raises:
        ExportError: the graph is newer than the cluster's onnxruntime, or the disk refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
            package.writestr("model.onnx", text_graph(bundle).SerializeToString())
            package.writestr("tokenizer.json", cluster_tokenizer(bundle))
        register = target.with_suffix(".register.json")
        register.write_text(json.dumps(registration(bundle, target, name), indent=2) + "\n", encoding="utf-8")
        deploy = target.with_suffix(".deploy.txt")
        deploy.write_text(_DEPLOY, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error}.", hint="Free some disk space.") from error
    return {"zip": target, "register": register, "deploy": deploy}


def text_graph(bundle: Bundle) -> Any:
    """text.onnx with the inputs and the one output that the plugin expects.

    `attention_mask` is not needed, for nothing is padded when one document is encoded at a time; but the plugin gives
    it, so it must be an input that the graph uses.

    Raises:
        ExportError: the graph's opset is too new for the cluster.
    """
    model = onnx.load(bundle.path / TEXT_GRAPH)
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    if opset > MAX_OPSET:
        raise ExportError(f"{bundle.path / TEXT_GRAPH} has opset {opset}; ML Commons reads up to {MAX_OPSET}.")
    model.ir_version = min(model.ir_version, MAX_IR)
    graph = model.graph
    nodes = [
        # ids * mask: a masked position becomes token 0, as padding would be.
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["masked_ids"]),
        *_padded(bundle.text_spec, graph),
        *_without_wide_argmax(graph),
    ]
    vector = next(output for output in graph.output if output.name == "vector")
    del graph.output[:], graph.input[:], graph.node[:]
    graph.node.extend(nodes)
    graph.output.append(vector)
    for name in ("input_ids", "attention_mask"):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]))
    return model


def _without_wide_argmax(graph: Any) -> list[Any]:
    """The graph's nodes, with every ArgMax over int64 made one over int32, which the cluster's onnxruntime has.

    What CLIP takes the largest of are token numbers, which fit by far.
    """
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}
    nodes = []
    for node in graph.node:
        if node.op_type == "ArgMax" and types.get(node.input[0]) == TensorProto.INT64:
            narrow = f"{node.input[0]}_{node.name}_int32"
            nodes.append(helper.make_node("Cast", [node.input[0]], [narrow], to=TensorProto.INT32))
            node.input[0] = narrow
        nodes.append(node)
    return nodes


def _padded(spec: TextSpec, graph: Any) -> list[Any]:
    """What turns `masked_ids` into the graph's `ids`: nothing, or padding up to the full context."""
    if spec.pad_to == "longest":
        return [helper.make_node("Identity", ["masked_ids"], ["ids"])]
    constants = {"clip_one": [1], "clip_full": [spec.context_length], "clip_zero": [0, 0, 0], "clip_pad": [spec.pad_id]}
    for name, values in constants.items():
        shape = [] if name == "clip_pad" else [len(values)]
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, shape, values))
    return [
        helper.make_node("Shape", ["masked_ids"], ["clip_length"], start=1, end=2),
        helper.make_node("Sub", ["clip_full", "clip_length"], ["clip_missing"]),
        helper.make_node("Concat", ["clip_zero", "clip_missing"], ["clip_pads"], axis=0),
        helper.make_node("Pad", ["masked_ids", "clip_pads", "clip_pad"], ["ids"]),
    ]


def cluster_tokenizer(bundle: Bundle) -> str:
    """tokenizer.json that also cleans and truncates: the cluster runs `tokenizers` alone, without our cleaning.

    What the cleaning repairs beyond that (mojibake, HTML entities of other than the common names) has no counterpart
    in a tokenizer.json; `clipita ingest` and ML Commons differ on such texts.
    """
    from tokenizers import Regex, Tokenizer, normalizers

    spec = bundle.text_spec
    tokenizer = Tokenizer.from_file(str(bundle.path / TOKENIZER))
    entities = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": " ", "&amp;": "&"}
    # `&amp;lt;` is unescaped twice by the cleaning, so the ampersand comes first, and then once more last.
    steps: list[Any] = [normalizers.Replace("&amp;", "&")]
    steps += [normalizers.Replace(entity, character) for entity, character in entities.items()]
    steps += [normalizers.Replace(quote, "'") for quote in "‘’‚‛"]
    steps += [normalizers.Replace(quote, '"') for quote in "“”„‟"]
    steps += [normalizers.Replace(ligature, plain) for ligature, plain in _LIGATURES.items()]
    steps.append(normalizers.NFC())
    if spec.clean == "canonicalize":
        steps += [normalizers.Replace("_", " "), normalizers.Replace(Regex(r"[!-/:-@\[-`{-~]"), "")]
    if spec.clean in {"lower", "canonicalize"}:
        steps.append(normalizers.Lowercase())
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    if tokenizer.normalizer is not None:
        steps.append(tokenizer.normalizer)
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.enable_truncation(max_length=spec.context_length)
    tokenizer.no_padding()
    definition: str = tokenizer.to_str()
    return definition


def checked_name(name: str) -> str:
    """The name, if the plugin can deploy it; it registers others too.

    Raises:
        UsageError: the name has brackets, commas or the like.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name):
        raise UsageError(f"{name!r} is not a model name.", hint="Use letters, digits, blanks, dots, hyphens and _.")
    return name


def registration(bundle: Bundle, package: Path, name: str | None = None) -> dict[str, Any]:
    """The body of POST /_plugins/_ml/models/meta; the zip follows in chunks of `CHUNK_BYTES`."""
    size = package.stat().st_size
    return {
        "name": checked_name(name or f"clipita-{bundle.name}"),
        "version": "1.0.0",
        "description": f"clipita text encoder, fingerprint {bundle.fingerprint}",
        "function_name": "TEXT_EMBEDDING",
        "model_task_type": "TEXT_EMBEDDING",
        "model_format": "ONNX",
        "model_content_size_in_bytes": size,
        "model_content_hash_value": sha256(package),
        "total_chunks": -(-size // CHUNK_BYTES),
        "model_config": {
            "model_type": "clip",  # of bert and albert the plugin would demand token_type_ids
            "embedding_dimension": bundle.dim,
            "framework_type": "sentence_transformers",
            # Takes the first of one: the graph has pooled and normalised already.
            "pooling_mode": "CLS",
            "normalize_result": False,
            "all_config": json.dumps({"fingerprint": bundle.fingerprint}),
        },
    }


_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ſt", "ﬆ": "st"}
_DEPLOY = """\
PUT  /_cluster/settings                            {"persistent": {"plugins.ml_commons.only_run_on_ml_node": false,
                                                    "plugins.ml_commons.allow_registering_model_via_local_file": true}}
POST /_plugins/_ml/models/meta                     with the body of the .register.json beside this file -> model_id
POST /_plugins/_ml/models/<model_id>/upload_chunk/<n>   n = 0, 1, …: the zip in pieces of 10,000,000 bytes
POST /_plugins/_ml/models/<model_id>/_deploy      -> task_id
GET  /_plugins/_ml/tasks/<task_id>                until state is COMPLETED

All but the settings: clipita opensearch register-model <this zip>
"""
