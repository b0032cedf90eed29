"""CLIP-ITA: one vector from image, title and attributes, in one space with category names.

Query: unit vector of head_c(text(category name)). Product: unit vector of head_p([image, title, mean of attributes]).
Hendriksen et al., "Extending CLIP for Category-to-image Retrieval in E-commerce", ECIR 2022, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clipita.errors import UsageError
from clipita.model.heads import mlp_head
from clipita.model.towers import Towers

MODALITIES = "ITA"
START_SCALE = 1 / 0.07
MAX_SCALE = 100.0


def parse_modalities(text: str) -> str:
    """Bring a subset of I, A, T into its canonical order.

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


def system_name(modalities: str) -> str:
    """The paper's name of a variant: clip-i, clip-ia, clip-it, clip-ita."""
    return f"clip-{modalities.lower()}"


@dataclass(frozen=True)
class ProductFeatures:
    """Tower features of a batch; rows of a missing modality are zero.

    Attributes:
        image: [B, image_dim], or None where the model does not read images.
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


class ClipIta(nn.Module):
    """Towers and the two heads.

    Args:
        towers: the pretrained encoders.
        modalities: which of image, title and attributes make a product's vector.
        dim: length of the vector.
        hidden: width of the heads' hidden layer.
        dropout: in the heads, while training.
    """

    def __init__(
        self, towers: Towers, modalities: str = MODALITIES, dim: int = 256, hidden: int = 1024, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.towers = towers
        self.modalities = parse_modalities(modalities)
        self.dim = dim
        widths = {"I": towers.image_dim, "T": towers.text_dim, "A": towers.text_dim}
        self.query_head = mlp_head(towers.text_dim, hidden, dim, dropout)
        self.product_head = mlp_head(sum(widths[letter] for letter in self.modalities), hidden, dim, dropout)
        self.log_scale = nn.Parameter(torch.tensor(START_SCALE).log())

    @property
    def scale(self) -> Tensor:
        """Factor of the cosines in the losses (inverse temperature), learnt and capped."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def query(self, text_features: Tensor) -> Tensor:
        """Unit vectors of queries: [B, text_dim] -> [B, dim]."""
        return nn.functional.normalize(self.query_head(text_features), dim=-1)

    def product(self, features: ProductFeatures) -> Tensor:
        """Unit vectors of products: [B, dim]."""
        return nn.functional.normalize(self.product_head(torch.cat(features.present, dim=-1)), dim=-1)

    def product_features(
        self,
        *,
        pixels: Tensor | None = None,
        has_image: Tensor | None = None,
        title_ids: Tensor | None = None,
        has_title: Tensor | None = None,
        attribute_ids: Tensor | None = None,
        attribute_weights: Tensor | None = None,
    ) -> ProductFeatures:
        """Run the towers on a batch as `clipita.runtime.encoders.assemble` makes it.

        Args:
            pixels: uint8 [B, H, W, 3].
            has_image: bool [B].
            title_ids: int64 [B, L].
            has_title: bool [B].
            attribute_ids: int64 [U, L'], the batch's distinct attributes.
            attribute_weights: float32 [B, U]; a row averages a product's attributes.
        """
        image = title = attributes = None
        if "I" in self.modalities and pixels is not None and has_image is not None:
            image = self.towers.encode_image(pixels) * has_image.unsqueeze(1)
        if "T" in self.modalities and title_ids is not None and has_title is not None:
            title = self.towers.encode_text(title_ids) * has_title.unsqueeze(1)
        if "A" in self.modalities and attribute_ids is not None and attribute_weights is not None:
            attributes = attribute_weights @ self.towers.encode_text(attribute_ids)
        return ProductFeatures(image, title, attributes)

    def zero_shot(self, features: ProductFeatures) -> Tensor | None:
        """Unit vectors of products in the towers' own space, or None where the model reads nothing that lies in it.

        The mean of the title's feature and, where images and texts share a space, the image's.
        """
        parts = [features.title] if features.title is not None else []
        if features.image is not None and self.towers.shared_space:
            parts.append(features.image)
        if not parts:
            return None
        return nn.functional.normalize(torch.stack(parts).sum(dim=0), dim=-1)
