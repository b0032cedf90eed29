"""What is learnt on top of the towers: plain heads as the paper has them, or residual heads on an anchor.

Both take tower features and give vectors that are not normalised yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clipita.model.anchor import Anchor
from clipita.runtime.amendments import GATE_START

GATE_SHARPNESS = 50.0
"""Inverse temperature of the attention over known texts."""
START_SCALE = 20.0
MAX_SCALE = 100.0
IMAGE_DIM = 256
"""Directions of an image feature that the residual heads read: more cost time and gain nothing."""


def gate_share(nearness: Tensor) -> Tensor:
    """Cosines of queries to all known texts, [B, K], to the share of the learnt vectors in their answer, [B, 1]."""
    return ((nearness.max(dim=1, keepdim=True).values - GATE_START) / (1 - GATE_START)).clamp(0, 1)


def _mlp(inputs: int, hidden: int, dim: int, dropout: float, *norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), *norm, nn.Dropout(dropout), nn.Linear(hidden, dim))


class PlainHeads(nn.Module):
    """The paper's two heads (section 3.2: MLPs with GELU), which do not keep the towers' own space."""

    def __init__(self, text_dim: int, product_dim: int, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        self.query_head = _mlp(text_dim, hidden, dim, dropout, nn.LayerNorm(hidden))
        self.product_head = _mlp(product_dim, hidden, dim, dropout, nn.LayerNorm(hidden))

    def query(self, texts: Tensor) -> Tensor:
        """[B, text_dim] -> [B, dim]."""
        vectors: Tensor = self.query_head(texts)
        return vectors

    def product(self, parts: Tensor) -> Tensor:
        """[B, product_dim] -> [B, dim]."""
        vectors: Tensor = self.product_head(parts)
        return vectors


class ResidualHeads(nn.Module):
    """Corrections of the anchor.

    Product: anchor(title) + MLP(all parts); without a title another MLP's output alone. Category: anchor(name) +
    W anchor(name) + a vector of its own. Any query: near a text that stands for a known category (its name, or the
    name as people type it) it becomes that category's vector; far from all of them it keeps the anchor's, since
    nothing was learnt there. The product's vector does not depend on that gate, so it costs nothing in the index.

    `widths` are the lengths of the image, title and attributes features, 0 for what the model does not read; `known`
    are the numbers of texts that the gate knows (K) and of names that they stand for (C).
    """

    image_map: Tensor
    known: Tensor
    owners: Tensor
    names: Tensor
    rotation: Tensor

    def __init__(
        self,
        text_dim: int,
        widths: Sequence[int],
        hidden: int,
        dim: int,
        dropout: float,
        known: Sequence[int] = (0, 0),
    ) -> None:
        super().__init__()
        self.dim = dim
        self.anchor = Anchor(text_dim, dim)
        self._widths = list(widths)
        image, title, attributes = widths
        narrow = min(image, IMAGE_DIM)
        self.register_buffer("image_map", torch.eye(image, narrow))
        self.mlp = _mlp(narrow + title + attributes, hidden, dim, dropout)
        self.untitled = _mlp(narrow + attributes, hidden, dim, dropout) if title and narrow + attributes else None
        self.untitled_log_scale = nn.Parameter(torch.tensor(START_SCALE).log())
        texts, names = known
        self.correction = nn.Linear(dim, dim, bias=False)
        self.own = nn.Parameter(torch.zeros((names, dim)))
        self.register_buffer("known", torch.zeros((texts, dim)))
        self.register_buffer("owners", torch.zeros(texts, dtype=torch.int64))
        self.register_buffer("names", torch.zeros((names, dim)))
        self.register_buffer("rotation", torch.eye(dim))
        # Training starts at the anchor itself.
        nn.init.zeros_(self.correction.weight)
        if title:
            for parameter in self.mlp[-1].parameters():
                nn.init.zeros_(parameter)

    @property
    def untitled_scale(self) -> Tensor:
        """Factor of the cosines in the loss of products without a title."""
        return self.untitled_log_scale.exp().clamp(max=MAX_SCALE)

    @torch.no_grad()
    def fit(self, titles: Tensor | None, images: Tensor | None, classes: Tensor, names: Tensor) -> None:
        """Compute what has a closed form: the anchor, and the directions in which images differ most.

        A product without a title or image has a zero row in titles [N, F] or images [N, image_dim]. `classes`, int64
        [N], are the products' most specific categories, and `names` [C, F] the features of the category names.
        """
        if titles is not None:
            has_title = titles.abs().sum(dim=1) > 0
            if has_title.any():
                self.anchor.fit(titles[has_title], classes[has_title], names)
        if images is not None:
            _, directions = torch.linalg.eigh(images.T @ images / len(images))
            self.image_map.copy_(directions.flip(1)[:, : self.image_map.shape[1]])

    def know(self, names: Tensor, variants: Tensor, owners: Tensor) -> None:
        """Set what the gate knows.

        Features of the category names [C, F], of the texts that stand for them (the names included) [K, F], and the
        position of each text's name, int64 [K].
        """
        self.names.copy_(self.anchor.query(names))
        self.known.copy_(self.anchor.query(variants))
        self.owners.copy_(owners)

    def categories(self, texts: Tensor) -> Tensor:
        """Vectors of all known categories, from one text for each, in order: [C, F] -> [C, D]."""
        return self._correct(self.anchor.query(texts)) + self.own

    def free_query(self, texts: Tensor) -> Tensor:
        """Vectors of texts without the gate: [B, F] -> [B, D]."""
        return self._correct(self.anchor.query(texts))

    def query(self, texts: Tensor) -> Tensor:
        """Vectors of queries as they are served: [B, F] -> [B, D]."""
        anchored = self.anchor.query(texts)
        if not len(self.known):
            return self._correct(anchored) @ self.rotation
        nearness = anchored @ self.known.T
        share = gate_share(nearness)
        answers = nn.functional.normalize(self._correct(self.names) + self.own, dim=-1)[self.owners]
        answer = nn.functional.normalize((GATE_SHARPNESS * nearness).softmax(dim=1) @ answers, dim=-1)
        return ((1 - share) * anchored + share * answer) @ self.rotation

    def gate(self, texts: Tensor) -> Tensor:
        """How far the gate opens for queries: [B, F] -> [B], from 0 (like no known text) to 1 (a known text)."""
        return gate_share(self.anchor.query(texts) @ self.known.T)[:, 0]

    def anchored(self, texts: Tensor) -> Tensor:
        """Vectors of queries that the gate leaves alone: [B, F] -> [B, D]."""
        return self.anchor.query(texts) @ self.rotation

    def product(self, parts: Tensor) -> Tensor:
        """Vectors of products as they are served: [B, all widths] -> [B, D]."""
        return self.learnt_products(parts)[0] @ self.rotation

    def learnt_products(self, parts: Tensor) -> tuple[Tensor, Tensor | None]:
        """Vectors before the rotation, each [B, D]: of the products as they are, and as if none had a title.

        The second is None where the model reads no titles, or nothing else.
        """
        image, titles, attributes = torch.split(parts, self._widths, dim=1)
        image = image @ self.image_map
        learnt: Tensor = self.mlp(torch.cat([image, titles, attributes], dim=1))
        if not self._widths[1]:
            return learnt, None
        learnt = self.anchor.product(titles) + learnt
        if self.untitled is None:
            return learnt, None
        untitled = self.untitled(torch.cat([image, attributes], dim=1))
        return torch.where(titles.abs().sum(dim=1, keepdim=True) > 0, learnt, untitled), untitled

    @torch.no_grad()
    def rotate(self, products: Tensor, weights: Tensor, phrases: Tensor | None) -> None:
        """Rotate the space so that the leading numbers keep as much as possible of products, categories and words.

        Cosines of whole vectors do not change. Products are unit vectors [N, D] before the rotation with weights [N] of
        sum 1, phrases [P, F] the features of words that are no category.
        """
        scatter = (products * weights[:, None]).T @ products
        others = [self._correct(self.names) + self.own]
        if phrases is not None:
            others.append(self.anchor.query(phrases))
        for vectors in others:
            if len(vectors):
                units = nn.functional.normalize(vectors, dim=-1)
                scatter += units.T @ units / len(units)
        _, directions = torch.linalg.eigh(scatter)
        self.rotation.copy_(directions.flip(1))

    def _correct(self, anchored: Tensor) -> Tensor:
        corrected: Tensor = self.correction(anchored)
        return anchored + corrected
