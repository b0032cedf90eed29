"""What is learnt on top of the towers."""

from __future__ import annotations

from torch import nn


def mlp_head(inputs: int, hidden: int, dim: int, dropout: float) -> nn.Sequential:
    """The paper's non-linear head (section 3.2: an MLP with GELU); cosine similarity follows, so no output norm.

    Args:
        inputs: length of the (concatenated) tower features.
        hidden: width of the hidden layer.
        dim: length of the vector.
        dropout: share of hidden units dropped in training.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Dropout(dropout), nn.Linear(hidden, dim)
    )
