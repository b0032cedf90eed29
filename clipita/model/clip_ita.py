"""CLIP-ITA: one vector from image, title and attributes, in one space with category names, and its losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipita.errors import UsageError
from clipita.model.heads import MAX_SCALE, PlainHeads, ResidualHeads
from clipita.model.heads import START_SCALE as ANCHORED_START_SCALE
from clipita.model.towers import Towers

MODALITIES = "ITA"
START_SCALE = 1 / 0.07
HeadsKind = Literal["residual", "plain"]


def parse_modalities(text: str) -> str:
    """A subset of I, T and A in canonical order.

    Raises:
        UsageError: empty, or with another letter.
    """
    letters = set(text.upper())
    if not letters or not letters <= set(MODALITIES):
        raise UsageError(
            f"{text!r} names no modalities.",
            hint="Use I (image), T (title) and A (attributes), alone or together: I, IA, IT, ITA, …",
        )
    return "".join(letter for letter in MODALITIES if letter in letters)


@dataclass(frozen=True)
class ProductFeatures:
    """Tower features of a batch; rows of a missing modality are zero.

    Attributes:
        image: [B, image_dim], the mean over a product's images, or None where the model does not read images.
        title: [B, text_dim], likewise.
        attributes: [B, text_dim], the mean over a product's attributes, likewise.
    """

    image: Tensor | None = None
    title: Tensor | None = None
    attributes: Tensor | None = None

    @property
    def present(self) -> list[Tensor]:
        """The modalities at hand, in the order in which the head reads them: image, title, attributes."""
        return [part for part in (self.image, self.title, self.attributes) if part is not None]

    def map(self, change: Callable[[Tensor], Tensor]) -> ProductFeatures:
        """The same features with a function applied to each modality at hand."""
        parts = (self.image, self.title, self.attributes)
        return ProductFeatures(*(None if part is None else change(part) for part in parts))


class ClipIta(nn.Module):
    """Towers with heads on top: `residual` (corrections of an anchor) or `plain` (the paper's)."""

    def __init__(
        self,
        towers: Towers,
        modalities: str = MODALITIES,
        dim: int = 384,
        hidden: int = 512,
        dropout: float = 0.1,
        heads: HeadsKind = "residual",
        known: Sequence[int] = (0, 0),
    ) -> None:
        super().__init__()
        self.towers = towers
        self.modalities = parse_modalities(modalities)
        widths = {"I": towers.image_dim, "T": towers.text_dim, "A": towers.text_dim}
        read = [widths[letter] if letter in self.modalities else 0 for letter in MODALITIES]
        self.heads: PlainHeads | ResidualHeads
        if heads == "residual":
            self.heads = ResidualHeads(towers.text_dim, read, hidden, dim, dropout, known)
        else:
            self.heads = PlainHeads(towers.text_dim, sum(read), hidden, dim, dropout)
        start = ANCHORED_START_SCALE if heads == "residual" else START_SCALE
        self.hidden = hidden
        self.dim = dim
        self.log_scale = nn.Parameter(torch.tensor(start).log())

    def truncate(self, dim: int) -> None:
        """Cut every vector to its leading `dim` numbers, normalised again (Matryoshka representation).

        Raises:
            UsageError: the model's vectors are shorter.
        """
        if not 1 <= dim <= self.heads.dim:
            raise UsageError(f"Vectors of {self.heads.dim} dimensions cannot be cut to {dim}.")
        self.dim = dim

    @property
    def shape(self) -> dict[str, Any]:
        """Arguments of `__init__`, except the towers, for a model that takes this one's weights."""
        shape = {"modalities": self.modalities, "dim": self.heads.dim, "hidden": self.hidden}
        if isinstance(self.heads, ResidualHeads):
            return shape | {"heads": "residual", "known": [len(self.heads.known), len(self.heads.names)]}
        return shape | {"heads": "plain", "known": [0, 0]}

    @property
    def scale(self) -> Tensor:
        """Factor of the cosines in the losses (inverse temperature), learnt and capped."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def query(self, text_features: Tensor) -> Tensor:
        """Unit vectors of queries: [B, text_dim] -> [B, dim]."""
        return nn.functional.normalize(self.heads.query(text_features)[:, : self.dim], dim=-1)

    @property
    def has_gate(self) -> bool:
        """Whether queries that name a known category are told from others."""
        return isinstance(self.heads, ResidualHeads) and len(self.heads.known) > 0

    def gate(self, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """How near queries are to known categories, [B] from 0 to 1, and their unit vectors without the gate, [B, dim].

        Requires `has_gate`.
        """
        assert isinstance(self.heads, ResidualHeads)
        anchored = nn.functional.normalize(self.heads.anchored(text_features)[:, : self.dim], dim=-1)
        return self.heads.gate(text_features), anchored

    def product(self, features: ProductFeatures) -> Tensor:
        """Unit vectors of products: [B, dim]."""
        vectors = self.heads.product(torch.cat(features.present, dim=-1))[:, : self.dim]
        return nn.functional.normalize(vectors, dim=-1)

    def product_features(
        self,
        *,
        pixels: Tensor | None = None,
        image_weights: Tensor | None = None,
        title_ids: Tensor | None = None,
        has_title: Tensor | None = None,
        attribute_ids: Tensor | None = None,
        attribute_weights: Tensor | None = None,
    ) -> ProductFeatures:
        """Run the towers on a batch as `clipita.runtime.inputs.assemble` makes it.

        Args:
            pixels: uint8 [P, H, W, 3], the batch's images.
            image_weights: float32 [B, P]; a row averages a product's images.
            title_ids: int64 [B, L].
            has_title: bool [B].
            attribute_ids: int64 [U, L'], the batch's distinct attributes.
            attribute_weights: float32 [B, U]; a row averages a product's attributes.
        """
        image = title = attributes = None
        if "I" in self.modalities and pixels is not None and image_weights is not None:
            image = image_weights @ self.towers.encode_image(pixels)
        if "T" in self.modalities and title_ids is not None and has_title is not None:
            title = self.towers.encode_text(title_ids) * has_title.unsqueeze(1)
        if "A" in self.modalities and attribute_ids is not None and attribute_weights is not None:
            attributes = attribute_weights @ self.towers.encode_text(attribute_ids)
        return ProductFeatures(image, title, attributes)

    @property
    def has_zero_shot(self) -> bool:
        """Whether the model reads something in the space of the text tower."""
        return "T" in self.modalities or ("I" in self.modalities and self.towers.shared_space)

    def zero_shot(self, features: ProductFeatures) -> Tensor:
        """Unit vectors of products in the towers' own space; requires `has_zero_shot`.

        The mean of the title's feature and, where images and texts share a space, the image's.
        """
        parts = [features.title, features.image if self.towers.shared_space else None]
        return nn.functional.normalize(torch.stack([part for part in parts if part is not None]).sum(dim=0), dim=-1)


def infonce_loss(products: Tensor, categories: Tensor, scale: Tensor, weight: float = 0.5) -> Tensor:
    """The paper's bidirectional InfoNCE (section 3.3): the i-th product belongs to the i-th category of the batch.

    Both are [B, D]; a category that occurs more than once counts as a negative, as in the paper. `weight` is the share
    of the product-to-category direction (the paper's lambda).
    """
    logits = scale * products @ categories.T
    target = torch.arange(len(products), device=products.device)
    to_category = functional.cross_entropy(logits, target)
    to_product = functional.cross_entropy(logits.T, target)
    return weight * to_category + (1 - weight) * to_product


def tree_loss(products: Tensor, categories: Tensor, on_path: Tensor, scale: Tensor) -> Tensor:
    """Each product against every category of the tree, all nodes of its paths positive; and the transpose.

    The first term is the log-softmax over categories, averaged over the nodes of the product's paths. The second is
    the log-softmax over the batch's products for each category that occurs, averaged over its products. Products are
    [B, D], categories (the whole tree) [C, D], `on_path` bool [B, C].
    """
    logits = scale * products @ categories.T
    positive = on_path.to(logits.dtype)
    to_category = -(logits.log_softmax(dim=1) * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    occurs = on_path.any(dim=0)
    columns, members = logits.log_softmax(dim=0)[:, occurs], positive[:, occurs]
    to_product = -(columns * members).sum(dim=0) / members.sum(dim=0)
    return (to_category.mean() + to_product.mean()) / 2


def distillation_loss(taught: Tensor, learnt: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of learnt cosines from taught ones, both [Q, B]; the mean over both directions.

    Queries need no label, so this preserves what the labels say nothing about.
    """
    taught, learnt = taught / temperature, learnt / temperature
    directions = [
        functional.kl_div(learnt.log_softmax(side), taught.log_softmax(side), reduction="none", log_target=True)
        .sum(side)
        .mean()
        for side in (0, 1)
    ]
    return (directions[0] + directions[1]) / 2
