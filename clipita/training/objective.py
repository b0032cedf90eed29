"""Training objectives. A new loss of labels is a function and a row of `LOSSES` here, and its name in config.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from clipita.config import TrainingConfig
from clipita.model.clip_ita import ClipIta, ProductFeatures, distillation_loss, infonce_loss, tree_loss
from clipita.model.heads import ResidualHeads
from clipita.training.features import name_matrix, path_classes
from clipita.training.prepare import Data

PHRASES_A_STEP = 256
DISTILLATION_TEMPERATURE = 0.1
ROTATION_BATCH = 4096


class Objective(Protocol):
    """A loss over rows of the training split."""

    def loss(self, rows: Tensor) -> Tensor:
        """The loss of a batch, a scalar; rows are int64 [B]."""

    def finish(self) -> None:
        """Called once, when the model has its final weights and is in evaluation mode."""


def objective(model: ClipIta, data: Data, settings: TrainingConfig) -> Objective:
    """The objective that fits the model's heads."""
    if isinstance(model.heads, ResidualHeads):
        return ResidualObjective(model, model.heads, data, settings)
    return PlainObjective(model, data, settings)


class PlainObjective:
    """Labels alone, as the paper has it."""

    def __init__(self, model: ClipIta, data: Data, settings: TrainingConfig) -> None:
        self._model = model
        self._data = data
        self._settings = settings
        self._paths = name_matrix(data.names, data.train.paths)

    def loss(self, rows: Tensor) -> Tensor:
        """Tree loss or InfoNCE between products and category names."""
        features = drop_modalities(self._data.train.features(self._model, rows), self._settings.modality_dropout)
        categories = self._model.query(self._data.queries.features(self._model))
        products = self._model.product(features)
        return LOSSES[self._settings.loss](products, categories, self._paths[rows], self._model.scale)

    def finish(self) -> None:
        """Nothing is left to do."""


class ResidualObjective:
    """Labels, products without their title, and distillation of words that are no category.

    The constructor fits the anchor to the training split.
    """

    def __init__(self, model: ClipIta, heads: ResidualHeads, data: Data, settings: TrainingConfig) -> None:
        self._model = model
        self._heads = heads
        self._data = data
        self._settings = settings
        self._paths = name_matrix(data.names, data.train.paths)
        self._classes = path_classes(data.train.paths)
        features = data.train.features(model, torch.arange(len(self._classes)))
        names = data.queries.features(model)
        heads.fit(features.title, features.image, self._classes, names)
        if data.variants is not None:
            heads.know(names, data.variants.features, data.variants.owners)

    def loss(self, rows: Tensor) -> Tensor:
        """The sum of all three."""
        whole = self._data.train.features(self._model, rows)
        features = drop_modalities(whole, self._settings.modality_dropout, keep_title=True)
        raw, untitled = self._heads.learnt_products(torch.cat(features.present, dim=-1))
        products = functional.normalize(raw, dim=-1)
        names = self._data.queries.features(self._model)
        categories = functional.normalize(self._heads.categories(names), dim=-1)
        on_path, label_loss = self._paths[rows], LOSSES[self._settings.loss]
        loss = label_loss(products, categories, on_path, self._model.scale)
        if untitled is not None:
            # These products follow the categories and do not move them: most of the index has titles.
            untitled = functional.normalize(untitled, dim=-1)
            loss = loss + label_loss(untitled, categories.detach(), on_path, self._heads.untitled_scale)
        if self._settings.distillation and self._data.phrases is not None and features.title is not None:
            distillation = self._distillation(self._data.phrases, features.title, products)
            loss = loss + self._settings.distillation * distillation
        return loss

    @torch.no_grad()
    def finish(self) -> None:
        """Rotate the space so that vectors can be cut."""
        weights = 1 / torch.bincount(self._classes).float()[self._classes].sqrt()
        parts = torch.split(torch.arange(len(self._classes)), ROTATION_BATCH)
        features = (torch.cat(self._data.train.features(self._model, part).present, dim=-1) for part in parts)
        products = torch.cat([self._heads.learnt_products(part)[0] for part in features])
        self._heads.rotate(functional.normalize(products, dim=-1), weights / weights.sum(), self._data.phrases)

    def _distillation(self, phrases: Tensor, titles: Tensor, products: Tensor) -> Tensor:
        """How far the learnt space moves words that are no category, among products that have a title."""
        titled = titles.abs().sum(dim=1) > 0
        if not titled.any():
            return products.sum() * 0.0
        chosen = phrases[torch.randint(len(phrases), (PHRASES_A_STEP,))].to(titles.device)
        taught = self._heads.anchor.query(chosen) @ self._heads.anchor.product(titles[titled]).T
        learnt = functional.normalize(self._heads.free_query(chosen), dim=-1) @ products[titled].T
        return distillation_loss(taught, learnt, DISTILLATION_TEMPERATURE)


def _drawn_infonce(products: Tensor, categories: Tensor, on_path: Tensor, scale: Tensor) -> Tensor:
    """The paper's InfoNCE with one node drawn from the paths of each product."""
    drawn = torch.multinomial(on_path.float(), 1).squeeze(1)
    return infonce_loss(products, categories[drawn], scale)


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "tree": lambda products, categories, on_path, scale: tree_loss(
        products, categories, on_path.to(products.device), scale
    ),
    "infonce": _drawn_infonce,
}
"""Name in `[training] loss` to the loss of products [B, D], categories [C, D], on_path bool [B, C] and scale."""


def drop_modalities(features: ProductFeatures, share: float, *, keep_title: bool = False) -> ProductFeatures:
    """Zero whole modalities of random products, so that a product which lacks one still gets a good vector.

    Every modality is dropped with probability `share`, but no product loses all that it has. `keep_title` leaves titles
    alone: products without one are learnt apart.
    """
    parts = features.present
    if share == 0 or len(parts) < 2:
        return features
    keep = torch.rand(len(parts), len(parts[0])) >= share
    if keep_title:
        keep |= torch.tensor([part is features.title for part in parts])[:, None]
    present = torch.stack([part.detach().abs().sum(dim=1) > 0 for part in parts]).cpu()
    keep |= ~(keep & present).any(dim=0)
    masked = iter([part * kept.unsqueeze(1).to(part.device) for part, kept in zip(parts, keep, strict=True)])
    return features.map(lambda _: next(masked))
