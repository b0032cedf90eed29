"""Everything that happens before the first step: towers, both splits, and their tower features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipita.catalogue.product import CategoryTree, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.config import FieldsConfig, ModelConfig, TrainingConfig
from clipita.errors import TrainingError
from clipita.files import sha256
from clipita.model.clip_ita import parse_modalities
from clipita.model.lora import check_rank
from clipita.model.towers import Towers, TowerSource, build_towers
from clipita.training.dataset import EncodeImages, Examples, Progress, held_out_names, read_examples, without_categories
from clipita.training.distributed import Ranks, SharedSplit, SharedTexts
from clipita.training.features import (
    FrozenSplit,
    FrozenTexts,
    LearningSplit,
    QueryTexts,
    Split,
    Variants,
    encode_texts,
    text_key,
)
from clipita.training.query_variants import all_variants, phrases
from clipita.training.row_store import RowStore


@dataclass(frozen=True)
class Data:
    """What the training loop reads.

    Attributes:
        tree: categories of the training split.
        names: their distinct names, the queries.
        valid: products whose R-precision decides when training stops.
        variants: the names as people type them; None for plain heads.
        phrases: features of words of the catalogue, float32 [P, text_dim]; likewise.
        held_out: names of categories whose products were left out of both splits.
        rejected: rows of either file that cannot be used.
    """

    towers: Towers
    tree: CategoryTree
    names: list[str]
    train: Split
    valid: Split
    queries: QueryTexts
    variants: Variants | None
    phrases: torch.Tensor | None
    held_out: list[str]
    rejected: list[Rejection]


@dataclass(frozen=True)
class Sources:
    """The catalogue files of a training.

    Attributes:
        valid: products whose R-precision decides when training stops; never those that quality is reported on.
        image_root: folder of the image files.
        hold_out: categories that training must not see, see `held_out_names`.
    """

    train: Path
    valid: Path
    fields: FieldsConfig = field(default_factory=FieldsConfig)
    image_root: Path | None = None
    hold_out: int | Path | None = None

    def describe(self) -> dict[str, Any]:
        """Names and SHA-256 of the files, for the run folder and the manifest."""
        return {
            name: {"file": file.name, "sha256": sha256(file)}
            for name, file in (("train", self.train), ("valid", self.valid), ("hold_out", self.hold_out))
            if isinstance(file, Path) and file.is_file()
        } | ({"hold_out": {"drawn": self.hold_out}} if isinstance(self.hold_out, int) else {})


def pretrained_source(model: ModelConfig, training: TrainingConfig) -> TowerSource:
    """The towers' source.

    Raises:
        TrainingError: the source cannot be read, or is random and frozen.
    """
    source = TowerSource.from_config(model)
    if not source.pretrained_text and not training.unfreeze:
        raise TrainingError(
            f"The tower {source.tower} has no pretrained weights, and frozen random towers cannot learn.",
            hint="Name weights with --pretrained (a tag or a checkpoint file), or train all weights with --unfreeze.",
        )
    return source


@contextmanager
def prepared_data(
    sources: Sources, model: ModelConfig, training: TrainingConfig, progress: Progress, ranks: Ranks | None = None
) -> Iterator[Data]:
    """Read both splits and keep the stores that they need open for as long as the training lasts.

    Of several processes, those that do not prepare must come after the one that does.

    Raises:
        TrainingError: no usable product, one category alone, adapters too large, or the cache cannot be used.
        CatalogueError: a file cannot be read.
    """
    ranks = ranks or Ranks()
    source = pretrained_source(model, training)
    progress("Building the towers", 0, None)
    towers = build_towers(source, training.seed).to(ranks.device)
    if training.lora_rank:
        check_rank(towers, training.lora_rank)
    modalities = parse_modalities(model.modalities)
    with ExitStack() as stack:

        def store(name: str) -> RowStore:
            return stack.enter_context(_open_store(name, training, towers, filled=not ranks.prepares))

        images = store("pixels" if training.learns_towers else "images") if "I" in modalities else None
        encode = (lambda pixels: pixels) if training.learns_towers else image_encoder(towers)
        examples = [
            read_examples(
                CatalogueFile(file, sources.fields, sources.image_root), images, towers.image_spec, encode, progress
            )
            for file in (sources.train, sources.valid)
        ]
        held_out = held_out_names(sources.hold_out, CategoryTree.of_products(examples[0].paths), training.seed)
        examples = [without_categories(split, held_out, sources.hold_out) for split in examples]
        tree = CategoryTree.of_products(examples[0].paths)
        names = sorted({category.name for category in tree.categories})
        if len(names) < 2:
            raise TrainingError(
                f"All products of {sources.train} are in one category ({names[0]}): there is nothing to tell apart.",
                hint="Check --category-field and --category-separator.",
            )
        variants = words = None
        if training.learns_towers:
            splits: list[Split] = [SharedSplit(LearningSplit(split, images, towers), ranks) for split in examples]
            queries: QueryTexts = SharedTexts(names, towers.tokenizer, ranks)
        else:
            texts = store("texts")
            titles = [title for split in examples for title in split.titles if title]
            attributes = {text for split in examples for product in split.attributes for text in product}
            encode_texts([*titles, *sorted(attributes), *names], towers, texts, progress)
            splits = [FrozenSplit(split, modalities, images, texts) for split in examples]
            queries = FrozenTexts(_gathered(names, texts))
            if model.heads == "residual":
                variants, words = _unlabelled(examples[0], names, training, towers, texts, progress)
        rejected = [rejection for split in examples for rejection in split.rejected]
        yield Data(towers, tree, names, splits[0], splits[1], queries, variants, words, sorted(held_out), rejected)


def cache_folder(training: TrainingConfig, towers: Towers) -> Path:
    """Folder of all features of the same towers; other weights or another frame get another folder."""
    identity = f"{towers.weights_hash()} {towers.image_spec} {towers.tokenizer.spec} {towers.tokenizer.definition}"
    return _hashed_folder(training, identity)


def _hashed_folder(training: TrainingConfig, identity: str) -> Path:
    return training.cache / hashlib.sha256(identity.encode()).hexdigest()[:16]


def _open_store(name: str, training: TrainingConfig, towers: Towers, *, filled: bool) -> RowStore:
    if name == "pixels":
        # Pixels depend on the frame alone, so towers of any weights share them.
        folder = _hashed_folder(training, str(towers.image_spec))
        return RowStore(folder, name, towers.image_spec.height * towers.image_spec.width * 3, np.uint8, filled=filled)
    width = towers.image_dim if name == "images" else towers.text_dim
    return RowStore(cache_folder(training, towers), name, width, np.float16, filled=filled)


def image_encoder(towers: Towers) -> EncodeImages:
    """Frozen towers as `read_examples` needs them: uint8 [B, H, W, 3] -> float32 [B, image_dim]."""

    @torch.no_grad()
    def encode(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return towers.encode_image(torch.from_numpy(pixels).to(towers.image_mean.device)).cpu().numpy()

    return encode


def _unlabelled(
    train: Examples, names: list[str], training: TrainingConfig, towers: Towers, texts: RowStore, progress: Progress
) -> tuple[Variants, torch.Tensor | None]:
    """Texts that no product is labelled with: the names as people type them, and the catalogue's own phrases."""
    variants = all_variants(names, training.query_templates, training.seed)
    typed = [text for own in variants for text in own]
    owners = torch.tensor([position for position, own in enumerate(variants) for _ in own])
    words = phrases(train.titles, train.attributes, training.seed) if training.distillation else []
    encode_texts([*typed, *words], towers, texts, progress)
    return Variants(_gathered(typed, texts), owners), _gathered(words, texts) if words else None


def _gathered(wanted: list[str], texts: RowStore) -> torch.Tensor:
    return torch.from_numpy(texts.gather([text_key(text) for text in wanted])).float()
