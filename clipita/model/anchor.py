"""The anchor: a linear map in closed form that makes the text tower's own space tell categories apart.

Titles of one category differ in brand, colour and size; these directions say nothing about the category, and take much
of a pretrained tower's space. The anchor whitens the space by the covariance WITHIN categories, each of equal weight,
so that such directions shrink. It is linear and depends on no single category, so it also serves unseen ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHRINKAGE = 0.3
"""Share of the identity (at the mean eigenvalue) in the covariance, for fewer titles than dimensions."""


class Anchor(nn.Module):
    """Text features of length F into the anchored space of length D; before `fit` the identity, cut or padded."""

    title_mean: Tensor
    name_mean: Tensor
    matrix: Tensor

    def __init__(self, text_dim: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("title_mean", torch.zeros(text_dim))
        self.register_buffer("name_mean", torch.zeros(text_dim))
        self.register_buffer("matrix", torch.eye(text_dim, dim))

    def fit(self, titles: Tensor, classes: Tensor, names: Tensor) -> None:
        """Compute the map from titles' features [N, F], their classes, int64 [N], and names' features [C, F]."""
        self.title_mean.copy_(titles.mean(dim=0))
        self.name_mean.copy_(names.mean(dim=0))
        means, share = _class_means(titles, classes)
        values, vectors = torch.linalg.eigh(_shrunk(_scatter(titles - means[classes], share[classes])))
        whitening = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        centred = (titles - self.title_mean) @ whitening
        # Rotated, so that an anchor shorter than a feature leaves out what matters least.
        _, rotation = torch.linalg.eigh(_scatter(centred, share[classes]))
        width = min(self.matrix.shape)
        self.matrix.zero_()
        self.matrix[:, :width] = whitening @ rotation.flip(1)[:, :width]

    def product(self, titles: Tensor) -> Tensor:
        """Anchored vectors of titles, [B, F] -> [B, D]; a product without a title (a zero row) stays zero."""
        has_title = (titles.abs().sum(dim=1, keepdim=True) > 0).to(titles.dtype)
        return nn.functional.normalize((titles - self.title_mean) @ self.matrix, dim=-1) * has_title

    def query(self, texts: Tensor) -> Tensor:
        """Anchored unit vectors of queries, [B, F] -> [B, D]."""
        return nn.functional.normalize((texts - self.name_mean) @ self.matrix, dim=-1)


def _class_means(rows: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each class, and the weight of one of its rows when all classes count the same (the sum of all is 1)."""
    sizes = torch.bincount(classes).to(rows.dtype)
    sums = torch.zeros((len(sizes), rows.shape[1]), dtype=rows.dtype).index_add_(0, classes, rows)
    known = int((sizes > 0).sum())
    return sums / sizes.clamp(min=1)[:, None], 1 / (sizes.clamp(min=1) * known)


def _scatter(rows: Tensor, weights: Tensor) -> Tensor:
    return (rows * weights[:, None]).T @ rows


def _shrunk(covariance: Tensor) -> Tensor:
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    # A catalogue whose titles never vary within a category has no covariance; the identity changes nothing.
    level = covariance.diagonal().mean().clamp(min=1e-6)
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * level * identity
