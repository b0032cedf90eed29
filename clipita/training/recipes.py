"""Recipes: settings of model and training that belong together."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from clipita.config import ModelConfig, TrainingConfig

Recipe = Literal["default", "paper"]

# Section 3 of the CLIP-ITA paper; what it does not state (width, schedule) suits its loss best.
_PAPER = (
    ModelConfig(heads="plain", dim=256, hidden=1024),
    TrainingConfig(loss="infonce", epochs=12, patience=4, modality_dropout=0.1, balance=0.0, distillation=0.0),
)


def apply_recipe(recipe: Recipe, model: ModelConfig, training: TrainingConfig) -> tuple[ModelConfig, TrainingConfig]:
    """Model and training settings with those of a recipe; all other settings stay as they are.

    `default` are corrections of the pretrained text space, `paper` CLIP-ITA's own heads and loss.
    """
    chosen_model, chosen_training = _PAPER if recipe == "paper" else (ModelConfig(), TrainingConfig())
    of_training = ("loss", "epochs", "patience", "modality_dropout", "balance", "distillation")
    return (
        replace(model, **{name: getattr(chosen_model, name) for name in ("heads", "dim", "hidden")}),
        replace(training, **{name: getattr(chosen_training, name) for name in of_training}),
    )
