"""Catalogues as other systems export them, and a second real shop from its file to its measures.

    make bench-catalogues     (or: python benchmarks/catalogues.py --only foreign)

- foreign: each file of shared/data/foreign, read by what `clipita init` writes, without a flag.
- groceries: init, split, train and evaluate by the command line, without a flag; the default recipe beside BM25.
- names: the fashion shop's categories by invented names of another language, through the table of names.

Needs the data sets beside the repository. Writes benchmarks/results/catalogues.json after each part; exits 1 if a
figure is not reached.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import quality_measure as measure
import record
from catalogues_foreign import READINGS
from quality_hybrid import export
from towers import write_towers
from trainings import train

from clipita.catalogue.guessing.fields import guess_fields
from clipita.catalogue.reader import CatalogueFile
from clipita.categories import name_categories
from clipita.config import FieldsConfig
from clipita.errors import ClipItaError
from clipita.evaluation.measures import bootstrap_interval, r_precision
from clipita.runtime import Bundle, TextEncoder

WORK = record.ROOT / "build" / "catalogues"
PAGE = record.ROOT / "build" / "page"
"""Trainings that benchmarks/page.py makes too."""
DATA = record.ROOT.parent / "shared" / "data"
GROCERIES = DATA / "groceries" / "groceries.csv"
PARTS = ("foreign", "groceries", "names")
PACKAGES = ["torch", "open_clip_torch", "onnxruntime", "ijson", "pyarrow"]


def main() -> int:
    """Run everything; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], dict[str, Any]]] = {"foreign": _foreign, "groceries": _groceries, "names": _names}
    file = record.RESULTS / "catalogues.json"
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in options.only:
        result[name] = {**record.provenance(PACKAGES, []), **parts[name]()}
        print(f"Written: {record.write('catalogues', result)}", flush=True)
    targets = [target for name in options.only for target in result[name]["targets"]]
    for target in targets:
        print("reached" if target["reached"] else "MISSED ", target["target"], target["value"])
    return 0 if all(target["reached"] for target in targets) else 1


def _foreign() -> dict[str, Any]:
    rows = []
    for name, right in READINGS.items():
        try:
            guess = guess_fields(DATA / "foreign" / name).fields
            settings: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in guess.items()
            }
            fields = dataclasses.replace(FieldsConfig(), **settings)
            products = list(CatalogueFile(DATA / "foreign" / name, fields).products(lambda _: None))
            said = right(fields, products)
        except ClipItaError as error:
            said = error.message
        rows.append({"file": name, "right": said is None, "what": said})
    right_ones = sum(row["right"] for row in rows)
    target = f"{len(READINGS)} of {len(READINGS)} files read right by init alone"
    return {"files": rows, "targets": [record.target(target, right_ones, right_ones == len(READINGS))]}


def _groceries() -> dict[str, Any]:
    tower = write_towers(WORK / "towers")
    folder = WORK / "groceries"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(GROCERIES, folder / "groceries.csv")
    # The only thing that is not the default is the pretrained tower, as the benchmarks' machine has no model hub.
    environment = os.environ | {"CLIPITA_MODEL_TOWER_CONFIG": str(tower[0]), "CLIPITA_MODEL_PRETRAINED": str(tower[1])}
    commands = [
        ["init", "--catalogue", "groceries.csv"],
        ["catalogue", "split", "groceries.csv"],
        ["init", "--catalogue", "groceries-train.csv", "--force"],
        ["train"],
        ["export-onnx"],
        ["evaluate", "--json", "results.json"],
    ]
    for command in commands:
        done = subprocess.run([_clipita(), *command], cwd=folder, env=environment, check=False)
        # 3: rows were rejected, all others used.
        if done.returncode not in (0, 3):
            raise SystemExit(f"clipita {' '.join(command)} ended with exit code {done.returncode}.")
    systems = json.loads((folder / "results.json").read_text())["rows"]
    values = {row["system"]: round(row["R-precision"], 2) for row in systems if row.get("subset", "all") == "all"}
    gain = round(max(value for name, value in values.items() if name != "bm25") - values["bm25"], 2)
    return {
        "commands": [" ".join(["clipita", *command]) for command in commands],
        "R-precision": values,
        "targets": [record.target("groceries: default recipe >= BM25 + 20 R-precision", gain, gain >= 20)],
    }


def _names() -> dict[str, Any]:
    tower = write_towers(PAGE / "towers")
    files = [record.FASHION / f"{split}.parquet" for split in ("train", "valid", "test")]
    run = PAGE / "runs" / "all-0"
    train(run, PAGE / "features", files, tower, seed=0)
    test = measure.Test(files[2], tower, PAGE / "features")
    model = Path(shutil.copytree(export(run, WORK / "bundle", files[1]).path, WORK / "named", dirs_exist_ok=True))
    (model / "categories.json").unlink(missing_ok=True)
    known = {name for path in Bundle.load(model).categories for name in path}
    queries = [query for query in test.protocol.queries if query.text in known]
    originals = [query.text for query in queries]
    invented = [_invented(text) for text in originals]
    products = test.encoded(test.load(run), originals).products
    name_categories([(text, other, "x") for text, other in zip(originals, invented, strict=True)], model=model)
    encoder = TextEncoder(Bundle.load(model))
    values = {}
    for kind, texts in (("original", originals), ("other language", invented)):
        scores = encoder.encode(texts) @ products.T
        values[kind] = np.array([
            100 * r_precision(np.isin(np.argsort(-row, kind="stable"), query.relevant), len(query.relevant))
            for row, query in zip(scores, queries, strict=True)
        ])  # fmt: skip
    difference = values["other language"] - values["original"]
    mean = round(float(difference.mean()), 2)
    return {
        "queries": len(queries),
        "R-precision": {kind: round(float(each.mean()), 2) for kind, each in values.items()},
        "difference, 95 %": bootstrap_interval(difference),
        "targets": [record.target("other names within 1 point", mean, abs(mean) <= 1)],
    }


def _invented(text: str) -> str:
    """The same letters in another order, which no tower knows."""
    return " ".join(word[::-1].capitalize() + "ek" for word in text.split())


def _clipita() -> Path:
    return Path(sys.executable).parent / "clipita"


if __name__ == "__main__":
    sys.exit(main())
