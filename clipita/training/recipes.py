"""Recipes: settings of model and training that belong together."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from clipita.config import ModelConfig, TrainingConfig

Recipe = Literal["default", "paper"]

# What a recipe sets; all other settings stay as they are.
_MODEL = ("heads", "dim", "hidden")
_TRAINING = ("loss", "epochs", "patience", "modality_dropout", "balance", "distillation")
# Section 3 of the CLIP-ITA paper; where it is silent (width, schedule), what served its loss best.
_PAPER = (
    ModelConfig(heads="plain", dim=256, hidden=1024),
    TrainingConfig(loss="infonce", epochs=12, patience=4, modality_dropout=0.1, balance=0.0, distillation=0.0),
)


def apply_recipe(recipe: Recipe, model: ModelConfig, training: TrainingConfig) -> tuple[ModelConfig, TrainingConfig]:
    """Model and training settings with those of a recipe.

    Args:
        recipe: `default`, corrections of the pretrained text space; or `paper`, CLIP-ITA's own heads and loss.
        model: the settings to start from; heads, dim and hidden are replaced.
        training: likewise; loss, epochs, patience, modality_dropout, balance and distillation are replaced.
    """
    chosen_model, chosen_training = _PAPER if recipe == "paper" else (ModelConfig(), TrainingConfig())
    return (
        replace(model, **{name: getattr(chosen_model, name) for name in _MODEL}),
        replace(training, **{name: getattr(chosen_training, name) for name in _TRAINING}),
    )
