"""Our ONNX encoders against eager PyTorch open_clip as a user would write it, both in one run.

    make bench-runtime        (or: python benchmarks/runtime.py)

ViT-B-32 with random weights, for speed does not depend on them; real titles, attributes and JPEGs of the fashion
catalogue. What int8 loses in retrieval is measured on a model that is trained on that catalogue first, or on --run.
Every figure is a median over --rounds, the sides taking turns. Prints the machine and its versions, writes
benchmarks/results/runtime.json after every step, and exits 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import record
from runtime_gpu import gpu, host_ceiling
from runtime_int8 import int8_quality
from runtime_sides import TOWER, User, export_vit
from runtime_steps import batch_size, cold_start, memory, picture, product, text

from clipita.catalogue.reader import CatalogueFile

PACKAGES = ("torch", "open_clip_torch", "onnxruntime", "tokenizers", "pillow", "numpy")
STEPS = ["text", "product", "picture", "cold_start", "batch_size", "host_ceiling", "gpu", "int8_quality", "memory"]
LEAST_ROUNDS = 5


def main() -> int:
    """Everything, one after the other; gives the exit code."""
    arguments = _arguments()
    if arguments.rounds < LEAST_ROUNDS:
        print(f"Fewer than {LEAST_ROUNDS} rounds: good for a look, not for a result.", file=sys.stderr)
    train, valid, test = (arguments.data / f"{name}.parquet" for name in ("train", "valid", "test"))
    result: dict[str, Any] = record.provenance(PACKAGES, [train, valid, test])
    result |= {"tower": f"{TOWER}, random weights", "rounds": arguments.rounds, "load_average": os.getloadavg()}
    result["vnni"] = any(flag in Path("/proc/cpuinfo").read_text() for flag in ("avx512_vnni", "avx_vnni"))
    print(json.dumps({key: result[key] for key in ("machine", "versions", "load_average", "vnni")}, indent=2))
    with tempfile.TemporaryDirectory() as folder:
        kept = arguments.bundles or Path(folder)
        bundles = export_vit(valid, kept, ("fp32", "int8"))
        products = list(islice(CatalogueFile(test).products(lambda _: None), arguments.products))
        user = User()
        steps: dict[str, Callable[[], Any]] = {
            "text": lambda: text(user, bundles["fp32"], products[: arguments.texts], arguments.rounds),
            "product": lambda: product(user, bundles, products, arguments.torch_products, arguments.rounds),
            "picture": lambda: picture(user, bundles["fp32"], arguments.pictures, arguments.rounds),
            "cold_start": lambda: {name: cold_start(bundle, arguments.rounds) for name, bundle in bundles.items()},
            "batch_size": lambda: batch_size(bundles["fp32"], products),
            "host_ceiling": lambda: host_ceiling(bundles["fp32"], products, arguments.rounds),
            "gpu": lambda: gpu(valid, kept, products, arguments.rounds),
            "int8_quality": lambda: int8_quality(
                arguments.run, train, valid, arguments.train_products, arguments.quality_products
            ),
            "memory": lambda: memory(test, arguments.memory_products),
        }
        made = {key: result[key] for key in ("command", "commit", "uncommitted_changes", "created", "load_average")}
        result = earlier(arguments) or result
        for name in (name for name in STEPS if name in arguments.steps):
            result[name] = steps[name]()
            if set(arguments.steps) != set(STEPS):
                result.setdefault("measured_again", {})[name] = made
            print(json.dumps({name: result[name]}, indent=2), flush=True)
            result["load_average_after"] = os.getloadavg()
            result["targets"] = targets(result)
            print(f"Written to {record.write(arguments.name, result)}")
    for target in result["targets"]:
        print(f"{'reached' if target['reached'] else 'MISSED':8} {target['target']}: {target['value']:.4g}")
    return 0 if all(target["reached"] for target in result["targets"]) else 1


def earlier(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The whole result that only some steps are to be measured again for; None where all are, or there is none."""
    file = record.RESULTS / f"{arguments.name}.json"
    if set(arguments.steps) == set(STEPS) or not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold of the steps that were made, with what was seen."""
    wanted: list[tuple[str, str, Callable[[Any], float], Callable[[float], bool]]] = [
        ("text", "text >= 10 times PyTorch", lambda x: x["times"], lambda x: x >= 10),
        ("product", "product fp32 >= 2.5 times PyTorch", lambda x: x["fp32"]["times"], lambda x: x >= 2.5),
        ("product", "product int8 >= 5 times PyTorch", lambda x: x["int8"]["times"], lambda x: x >= 5),
        (
            "int8_quality",
            "int8 R-precision lost <= 0.5",
            lambda x: x["int8"].get("points_lost", 100),
            lambda x: x <= 0.5,
        ),
        ("picture", "picture >= 3 times PyTorch", lambda x: x["times"], lambda x: x >= 3),
        ("picture", "picture vector cosine >= 0.999", lambda x: x["lowest_vector_cosine"], lambda x: x >= 0.999),
        ("cold_start", "first text vector <= 1.0 s", lambda x: x["fp32"]["seconds"], lambda x: x <= 1.0),
        ("memory", "memory growth <= 5 % after warm-up", lambda x: x["growth_after_warm_up"], lambda x: x <= 0.05),
    ]
    return [
        {"target": name, "value": value(result[step]), "reached": bool(holds(value(result[step])))}
        for step, name, value, holds in wanted
        if step in result
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=record.FASHION, help="Folder of the real catalogue.")
    parser.add_argument("--run", type=Path, help="A run trained on it before, for what int8 loses.")
    parser.add_argument("--bundles", type=Path, help="Keep the exported ViT-B-32 here, and use it the next time.")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="Only these, the others stay.")
    parser.add_argument("--name", default="runtime", help="Of the result file.")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS)
    parser.add_argument("--texts", type=int, default=128, help="Products whose titles and categories are encoded.")
    parser.add_argument("--products", type=int, default=192)
    parser.add_argument("--torch-products", type=int, default=12, help="Products a round of the slow side.")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--train-products", type=int, default=8000, help="Of the model trained for int8's loss.")
    parser.add_argument("--quality-products", type=int, default=4116, help="Ranked before and after int8.")
    parser.add_argument("--memory-products", type=int, default=100_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
