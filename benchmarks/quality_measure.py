"""Measuring trained runs by exact search with PyTorch, from the frozen features of the test split.

The exported graphs give the same vectors (the export itself demands a cosine of 0.9999 on real products), so the rows
are those of `clipita evaluate`; a dozen exports less make the benchmark short.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paper_relevance import Setup, protocol_of

from clipita.catalogue.product import CategoryTree
from clipita.catalogue.reader import CatalogueFile
from clipita.config import ModelConfig, TrainingConfig
from clipita.evaluation.bm25 import Bm25
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol, Vectors
from clipita.evaluation.summary import row
from clipita.model.checkpoint import TrainedModel, load_run
from clipita.model.clip_ita import ProductFeatures
from clipita.model.heads import ResidualHeads
from clipita.model.towers import TowerSource, build_towers
from clipita.training.dataset import held_out_names, read_examples
from clipita.training.features import FrozenSplit, encode_texts
from clipita.training.prepare import cache_folder, image_encoder
from clipita.training.query_variants import singular
from clipita.training.row_store import RowStore

GAPS = ("image", "title", "attributes")
BATCH = 1024


def _typo(name: str) -> str:
    """Two neighbouring letters swapped, drawn by the name itself."""
    places = [at for at in range(1, len(name) - 1) if name[at : at + 2].isalpha()]
    if not places:
        return name
    at = random.Random(name).choice(places)
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


TYPED: dict[str, Callable[[str], str]] = {
    "singular": singular,
    "buy X online": lambda name: f"buy {name} online",
    "X for women": lambda name: f"{name} for women",
    "a photo of X": lambda name: f"a photo of {name}",
    "lower case": str.lower,
    "a typo": _typo,
}
"""Queries as people type them."""


def write_draws(train: Path, files: dict[int, Path], count: int) -> None:
    """Write lists of leaves to hold out, one a draw, where they are missing."""
    tree = CategoryTree.of_products(product.category_paths for product in CatalogueFile(train).products(lambda _: None))
    for draw, file in files.items():
        names = sorted(held_out_names(count, tree, draw))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """A trained model and the names of the categories that it saw."""

    trained: TrainedModel
    names: frozenset[str]


@dataclass(frozen=True)
class Encoded:
    """Texts and products of a model.

    Attributes:
        queries: unit vectors, [texts, dim].
        gate: nearness to known names, [texts].
        free: unit vectors as if no text named a known category, [texts, dim].
        products: unit vectors in the protocol's order, [products, dim].
    """

    queries: Vectors
    gate: Vectors
    free: Vectors
    products: Vectors


class Test:
    """The test split, its tower features, and the rows that systems get on it."""

    __test__ = False

    def __init__(self, file: Path, tower: tuple[Path, Path], cache: Path) -> None:
        source = TowerSource.from_config(ModelConfig(tower_config=tower[0], pretrained=str(tower[1])))
        self._towers = build_towers(source)
        self._folder = cache_folder(TrainingConfig(cache=cache), self._towers)
        catalogue = CatalogueFile(file)
        self._products = [replace(product, images=()) for product in catalogue.products(lambda _: None)]
        with (
            self._store("images", self._towers.image_dim) as images,
            self._store("texts", self._towers.text_dim) as texts,
        ):
            encode = image_encoder(self._towers)
            examples = read_examples(catalogue, images, self._towers.image_spec, encode, lambda *_: None)
            titles = [title for title in examples.titles if title]
            attributes = sorted({text for product in examples.attributes for text in product})
            encode_texts([*titles, *attributes], self._towers, texts, lambda *_: None)
            self._split = FrozenSplit(examples, "ITA", images, texts)
        if len(self._products) != len(examples):
            raise SystemExit(f"{file} holds products that cannot be used; see clipita catalogue check.")
        # The protocol sorts products by id; features follow the file.
        self._order = torch.tensor(sorted(range(len(self._products)), key=lambda at: self._products[at].id))

    def load(self, run: Path) -> Run:
        """A finished training."""
        trained = load_run(run, self._towers)
        return Run(trained, frozenset(name for path in trained.categories for name in path))

    def bm25(self) -> list[dict[str, Any]]:
        """BM25 with the english analyzer over titles."""
        protocol = TreeProtocol(self._products)
        result = protocol.score(
            System("bm25", "lexical", "offline"), protocol.rank_scores(Bm25(protocol.products).scores)
        )
        return [row(result) | {"setup": "tree", "recipe": "none"}]

    def zero_shot(self, known: Collection[str] | None = None) -> list[dict[str, Any]]:
        """The text tower as it came, on titles."""
        protocol = TreeProtocol(self._products)
        titles = self._whole.title
        assert titles is not None
        queries = self._encode([query.text for query in protocol.queries])
        note = {"setup": "tree"} if known else {"setup": "tree", "recipe": "none"}
        return [row | note for row in self._score(protocol, "zero-shot", queries.numpy(), titles.numpy(), known)]

    def rows(self, run: Run, setup: Setup = "tree", **how: Any) -> list[dict[str, Any]]:
        """The row over all queries; see `_vectors` for the rest."""
        protocol, queries, products = self._vectors(run, setup, **how)
        rows = self._score(protocol, run.trained.name, queries, products, None)
        return [row | {"setup": setup} for row in rows]

    def subset_rows(self, run: Run, setup: Setup = "tree", **how: Any) -> list[dict[str, Any]]:
        """A row for the categories that training saw and one for those that it did not."""
        protocol, queries, products = self._vectors(run, setup, **how)
        rows = self._score(protocol, run.trained.name, queries, products, run.names)
        return [row | {"setup": setup} for row in rows]

    def results(self, setup: Setup, runs: Sequence[Run]) -> tuple[TreeProtocol, list[SystemResult]]:
        """One set-up's protocol, and BM25, the text tower on titles and trained models, scored by it."""
        protocol = protocol_of(self._products, setup)
        titles = self._whole.title
        assert titles is not None
        names = self._encode([query.text for query in protocol.queries])
        bm25, zero = System("bm25", "lexical", "offline"), System("zero-shot", "vector", "offline")
        results = [
            protocol.score(bm25, protocol.rank_scores(Bm25(protocol.products).scores)),
            protocol.score(zero, protocol.rank_vectors(names.numpy(), titles.numpy())),
        ]
        for run in runs:
            _, queries, products = self._vectors(run, setup)
            system = System(run.trained.name, "vector", "offline")
            results.append(protocol.score(system, protocol.rank_vectors(queries, products)))
        return protocol, results

    @torch.no_grad()
    def encoded(self, run: Run, texts: Sequence[str]) -> Encoded:
        """Texts and all products as the exported graphs give them; requires a model with a gate."""
        features = self._encode(texts)
        model = run.trained.model
        gate, free = model.gate(features)
        _, _, products = self._vectors(run)
        return Encoded(model.query(features).numpy(), gate.numpy(), free.numpy(), products)

    @property
    def protocol(self) -> TreeProtocol:
        """Every category of the split as a query."""
        return TreeProtocol(self._products)

    @torch.no_grad()
    def _vectors(
        self,
        run: Run,
        setup: Setup = "tree",
        typed: str | None = None,
        without: str | None = None,
        dim: int | None = None,
        anchor: bool = False,
    ) -> tuple[TreeProtocol, Vectors, Vectors]:
        """Queries and products as vectors.

        Args:
            run: the model.
            setup: `tree`, or one of the paper's.
            typed: how queries are typed; None for the exact names.
            without: a modality that no product has.
            dim: length to which vectors are cut.
            anchor: the anchor alone, nothing learnt.
        """
        protocol = protocol_of(self._products, setup)
        change = TYPED[typed] if typed else str
        texts = self._encode([change(query.text) for query in protocol.queries])
        model = run.trained.model
        features = (
            replace(self._whole, **{without: torch.zeros_like(getattr(self._whole, without))})
            if without
            else self._whole
        )
        read = ProductFeatures(
            features.image if "I" in model.modalities else None,
            features.title if "T" in model.modalities else None,
            features.attributes if "A" in model.modalities else None,
        )
        if anchor:
            assert isinstance(model.heads, ResidualHeads)
            assert read.title is not None
            return protocol, model.heads.anchor.query(texts).numpy(), model.heads.anchor.product(read.title).numpy()
        queries, products = model.query(texts), model.product(read)
        if dim is not None:
            queries, products = (torch.nn.functional.normalize(part[:, :dim], dim=-1) for part in (queries, products))
        return protocol, queries.numpy(), products.numpy()

    def _score(
        self, protocol: TreeProtocol, name: str, queries: Vectors, products: Vectors, known: Collection[str] | None
    ) -> list[dict[str, Any]]:
        result = protocol.score(System(name, "vector", "offline"), protocol.rank_vectors(queries, products))
        subsets: list[tuple[str, list[int] | None]] = [("all", None)]
        if known is not None:
            texts = [query.text for query in protocol.queries]
            subsets = [
                ("seen", [at for at, text in enumerate(texts) if text in known]),
                ("unseen", [at for at, text in enumerate(texts) if text not in known]),
            ]
        return [row(result, subset, chosen) for subset, chosen in subsets]

    @cached_property
    def _whole(self) -> ProductFeatures:
        return self._split.gathered(self._order)

    @torch.no_grad()
    def _encode(self, texts: Sequence[str]) -> torch.Tensor:
        batches = [list(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        encoded = [self._towers.encode_text(torch.from_numpy(self._towers.tokenizer(batch))) for batch in batches]
        return torch.cat(encoded)

    def _store(self, name: str, width: int) -> RowStore:
        return RowStore(self._folder, name, width, np.float16)
