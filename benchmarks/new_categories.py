"""Categories that training did not see, from their names and a few products: ten draws of 30 held-out leaves.

    python benchmarks/new_categories.py

Each draw trains the default recipe without the products of its leaves. Then 0, 1, 5 or 10 of these products make the
leaves' vectors, and known categories make room, by what `clipita categories add` computes. R-precision on test.parquet,
by exact search over all its products; thresholds come from train.parquet. Also: how well a new category's page ends.
Finished trainings are kept in build/new-categories, and not repeated. Writes benchmarks/results/new_categories.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import paper
import quality_measure as measure
import record
import torch
from towers import write_towers
from trainings import train

from clipita.catalogue.product import CategoryPath, Product
from clipita.catalogue.reader import CatalogueFile
from clipita.config import ModelConfig, SearchConfig, TrainingConfig
from clipita.evaluation.pages import measure_pages
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.evaluation.thresholds import at, expected, fit
from clipita.model.checkpoint import load_run
from clipita.model.clip_ita import ClipIta
from clipita.model.towers import Towers, TowerSource, build_towers
from clipita.opensearch.index.additions import SAMPLE
from clipita.runtime.new_categories import expected_cosine, moved, sharpening, vector_of
from clipita.training.dataset import read_examples
from clipita.training.features import FrozenSplit, encode_texts
from clipita.training.prepare import cache_folder, image_encoder
from clipita.training.row_store import RowStore

WORK = record.ROOT / "build" / "new-categories"
DRAWS = tuple(range(1, 11))
HELD_OUT = 30
COUNTS = (0, 1, 5, 10)
"""Examples of each new category."""
AT_ONCE = 4096
FITTED_ON = 20_000
Vectors = npt.NDArray[np.float32]


class Split:
    """Products of a file, in its order, and what the frozen towers say of them."""

    def __init__(self, file: Path, towers: Towers, folder: Path) -> None:
        catalogue = CatalogueFile(file)
        self.products: list[Product] = [
            dataclasses.replace(product, images=()) for product in catalogue.products(lambda _: None)
        ]
        with (
            RowStore(folder, "images", towers.image_dim, np.float16) as images,
            RowStore(folder, "texts", towers.text_dim, np.float16) as texts,
        ):
            examples = read_examples(catalogue, images, towers.image_spec, image_encoder(towers), lambda *_: None)
            attributes = sorted({text for product in examples.attributes for text in product})
            titles = [title for title in examples.titles if title]
            encode_texts([*titles, *attributes], towers, texts, lambda *_: None)
            self._frozen = FrozenSplit(examples, "ITA", images, texts)
        if len(self.products) != len(examples):
            raise SystemExit(f"{file} holds products that cannot be used; see clipita catalogue check.")
        self.paths = [product.category_path for product in self.products]

    @torch.no_grad()
    def vectors(self, model: ClipIta) -> Vectors:
        """Unit vectors of all products, [products, dim]."""
        rows = torch.arange(len(self.products)).split(AT_ONCE)
        return torch.cat([model.product(self._frozen.gathered(part)) for part in rows]).numpy()


@dataclass
class Draw:
    """A model that has not seen some leaves, and what is needed to add them.

    Attributes:
        names: all category names of train and test.
        learnt: their vectors as the model gives them, [names, dim].
        anchored: as if none named a known category, [names, dim].
        train: vectors of the training split's products, held-out ones included.
        paths: their categories.
        held_out: names of the leaves.
    """

    names: list[str]
    learnt: Vectors
    anchored: Vectors
    train: Vectors
    paths: list[CategoryPath]
    held_out: list[str]
    seed: int

    def __post_init__(self) -> None:
        self.row = {name: row for row, name in enumerate(self.names)}
        held = set(self.held_out)
        self.examples_of = {name: [at for at, path in enumerate(self.paths) if name in path] for name in self.held_out}
        seen = [at for at, path in enumerate(self.paths) if not held.intersection(path)]
        self.known = sorted({name for at in seen for name in self.paths[at]})
        self.sharpen = sharpening(self.train[self._drawn(np.arange(len(self.train)), SAMPLE)])
        self.ends = self._thresholds(self._drawn(np.array(seen), FITTED_ON))

    def add(self, count: int) -> tuple[Vectors, dict[str, float]]:
        """Vectors of all names once each leaf was added by up to `count` examples, and where the leaves' pages end."""
        vectors, pages = self.learnt.copy(), {}
        examples: list[Vectors] = []
        above: list[list[bool]] = []
        for name, products in self.examples_of.items():
            if not count or not products:
                continue
            chosen = self._drawn(np.array(products), count)
            own, text = self.train[chosen], self.anchored[self.row[name]]
            vectors[self.row[name]] = vector_of(text, own, self.sharpen)
            pages[name] = at(expected(expected_cosine(text, own, self.sharpen)), SearchConfig.precision)
            examples.append(own)
            above += [[other in self.paths[at][:-1] for other in self.known] for at in chosen]
        if examples:
            rows = [self.row[name] for name in self.known]
            together = np.concatenate(examples)
            vectors[rows] = moved(self.learnt[rows], self.ends, together, np.array(above, dtype=bool))
        return vectors, pages

    def _drawn(self, among: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
        chance = np.random.default_rng(self.seed)
        return among if count >= len(among) else np.sort(chance.choice(among, count, replace=False))

    def _thresholds(self, rows: npt.NDArray[np.int64]) -> Vectors:
        """As ingest fits them on labelled products."""
        products = self.train[rows]
        members: dict[str, list[int]] = {name: [] for name in self.known}
        for position, at_row in enumerate(rows):
            for name in self.paths[at_row]:
                members[name].append(position)
        queries = self.learnt[[self.row[name] for name in self.known]]
        fitted = fit(
            [(name,) for name in self.known],
            lambda row: products @ queries[row],
            lambda row: np.array(members[self.known[row]], dtype=np.int64),
        )
        return np.array([at(fitted.categories[(name,)], SearchConfig.precision) for name in self.known])


def main() -> int:
    """Run everything; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=record.FASHION)
    parser.add_argument("--cache", type=Path, default=WORK / "features", help="features of the frozen towers")
    parser.add_argument("--towers", type=Path, default=WORK / "towers", help="folder of the towers, made if need be")
    parser.add_argument("--runs", type=Path, default=WORK / "runs", help="folder of the trainings")
    options = parser.parse_args()
    files = [options.data / f"{split}.parquet" for split in ("train", "valid", "test")]
    tower = write_towers(options.towers)
    lists = {draw: WORK / f"held-out-{draw}.txt" for draw in DRAWS}
    measure.write_draws(files[0], lists, HELD_OUT)
    seconds = {
        draw: train(options.runs / f"draw{draw}", options.cache, files, tower, seed=0, hold_out_categories=lists[draw])
        for draw in DRAWS
    }
    towers = build_towers(TowerSource.from_config(ModelConfig(tower_config=tower[0], pretrained=str(tower[1]))))
    folder = cache_folder(TrainingConfig(cache=options.cache), towers)
    splits = [Split(file, towers, folder) for file in (files[0], files[2])]
    rows = []
    for draw in DRAWS:
        rows += measured(draw, load_run(options.runs / f"draw{draw}", towers).model, towers, *splits, lists[draw])
        for row in rows[-len(COUNTS) :]:
            print(row, flush=True)
    result = {
        **record.provenance(["torch", "open_clip_torch"], files),
        "draws": len(DRAWS),
        "held_out": HELD_OUT,
        "rows": rows,
        "means": [means(rows, count) for count in COUNTS],
        "seconds": seconds,
    }
    result["targets"] = targets(result["means"])
    print(f"Written: {record.write('new_categories', result)}\n")
    return paper.show(result["targets"])


@torch.no_grad()
def measured(
    draw: int, model: ClipIta, towers: Towers, train_split: Split, test: Split, held_out: Path
) -> list[dict[str, Any]]:
    """A row for each number of examples: R-precision of seen and unseen categories, and the unseen ones' pages."""
    names = sorted({name for split in (train_split, test) for paths in split.paths for path in paths for name in path})
    features = torch.cat(
        [towers.encode_text(torch.from_numpy(towers.tokenizer(names[start : start + 256])))
         for start in range(0, len(names), 256)]
    )  # fmt: skip
    leaves = held_out.read_text(encoding="utf-8").split("\n")[:-1]
    chosen = Draw(
        names, model.query(features).numpy(), model.gate(features)[1].numpy(), train_split.vectors(model),
        [paths[0] for paths in train_split.paths], leaves, draw,
    )  # fmt: skip
    protocol = TreeProtocol(test.products)
    # The protocol sorts products by id; vectors follow the file.
    products = test.vectors(model)[sorted(range(len(test.products)), key=lambda at_row: test.products[at_row].id)]
    known = set(chosen.known)
    groups = {
        "seen": [at_row for at_row, query in enumerate(protocol.queries) if query.text in known],
        "unseen": [at_row for at_row, query in enumerate(protocol.queries) if query.text not in known],
    }
    rows = []
    for count in COUNTS:
        vectors, ends = chosen.add(count)
        queries = np.array([vectors[chosen.row[query.text]] for query in protocol.queries])
        result = protocol.score(System("clip-ita", "vector", "offline"), protocol.rank_vectors(queries, products))
        row: dict[str, Any] = {"draw": draw, "examples": count}
        for group, positions in groups.items():
            row[group] = round(result.mean("R-precision", positions), 2)
            row[f"{group} queries"] = len(positions)
        new = [at_row for at_row in groups["unseen"] if protocol.queries[at_row].text in ends]
        if new:
            pages = measure_pages(
                [protocol.queries[at_row] for at_row in new],
                "clip-ita",
                lambda position: products @ queries[new[position]] >= ends[protocol.queries[new[position]].text],  # noqa: B023 - used at once
            )
            row |= {name: round(value, 2) for name, value in pages.means(range(len(new))).items()}
        rows.append(row)
    return rows


def means(rows: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """Means over the draws, and the lowest draw, for one number of examples."""
    chosen = [row for row in rows if row["examples"] == count]
    found: dict[str, Any] = {"examples": count}
    for name in ("seen", "unseen", "page F1", "pages within 20 %"):
        if name in chosen[0]:
            values = [row[name] for row in chosen]
            found[name] = round(float(np.mean(values)), 2)
            found[f"{name}, lowest draw"] = min(values)
    return found


def targets(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must hold, with what was seen."""
    of = {row["examples"]: row for row in found}
    return [
        _target("name and 5 examples: unseen >= 82", of[5]["unseen"], 82),
        _target("name and 5 examples: seen >= 92", of[5]["seen"], 92),
        _target("name and 10 examples: unseen >= 85", of[10]["unseen"], 85),
    ]


def _target(name: str, value: float, least: float) -> dict[str, Any]:
    return {"target": name, "value": value, "reached": value >= least}


if __name__ == "__main__":
    sys.exit(main())
