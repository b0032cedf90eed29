"""A bundle with a gate that a test may amend."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def model(gated_bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(gated_bundle, folder)
    return folder
