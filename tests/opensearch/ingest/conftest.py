"""A small catalogue, and a second model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from clipita.runtime import Bundle
from clipita.runtime.bundle import MANIFEST, fingerprint_of


@pytest.fixture
def catalogue(shop: Path, tmp_path: Path) -> Path:
    """The first 40 products, in a file that a test may overwrite."""
    file = tmp_path / "catalogue.parquet"
    pq.write_table(pq.read_table(shop / "train.parquet").slice(0, 40), file)
    return file


@pytest.fixture
def other_bundle(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """The same graphs with pictures padded in white: another model, as every vector depends on the padding."""
    folder = tmp_path / "other"
    shutil.copytree(tiny_bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["image"]["fill"] = 255
    manifest["fingerprint"] = fingerprint_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Bundle.load(folder)
