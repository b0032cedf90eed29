"""What many tests share: the real OpenSearch node, a small shop with drawn pictures, and a model trained on it."""

from __future__ import annotations

import io
import json
import os
import random
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

from clipita.config import ModelConfig, TrainingConfig
from clipita.errors import ClusterVersionError
from clipita.opensearch.local.node import LocalNode, NodeStatus

# The same examples in every run: a change is judged by what it changes. HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

FASHION = Path(__file__).resolve().parents[2] / "shared" / "data" / "fashion-products"

TEST_URL = os.environ.get("CLIPITA_TEST_URL")
"""A running node for the integration tests, in place of one that the test run starts."""

LEAVES = {
    ("Home", "Plates", "Round Plates"): "ellipse",
    ("Home", "Plates", "Square Plates"): "rectangle",
    ("Home", "Boards", "Cutting Boards"): "bar",
    ("Toys", "Kites", "Delta Kites"): "triangle",
    ("Toys", "Balls", "Footballs"): "ellipse",
}
COLOURS = {"red": "#c22", "green": "#2a4", "blue": "#24c", "yellow": "#cc2"}
WORDS = ["fine", "classic", "family", "gift", "new", "Acme", "Globex", "summer"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Skips, on a node that was named, a test of what that version or its plugins do not offer; the error says what."""
    try:
        return (yield)
    except ClusterVersionError as error:
        if TEST_URL is None:
            raise
        pytest.skip(f"{TEST_URL}: {error}")


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> NodeStatus:
    """The node that integration tests use; `.url` is where it answers.

    It is `own_node`, or the one that runs at CLIPITA_TEST_URL: any version, a cluster behind a proxy.
    """
    if TEST_URL is None:
        status: NodeStatus = request.getfixturevalue("own_node")
        return status
    with urllib.request.urlopen(TEST_URL, timeout=10) as answer:
        version = str(json.load(answer)["version"]["number"])
    nothing = Path(os.devnull)
    return NodeStatus(TEST_URL, 0, nothing, nothing, "", "", version)


@pytest.fixture(scope="session")
def own_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStatus]:
    """A node of this test run alone, with empty data, for tests of the node itself and of its log.

    A start that fails is an error of every test that asked for the node, never a skip.
    """
    local_node = LocalNode(tmp_path_factory.mktemp("opensearch"))
    status = local_node.start(heap="512m")
    yield status
    local_node.stop()


@pytest.fixture(scope="session")
def fashion() -> Path:
    """The real catalogue's folder; tests that need it are skipped where it is absent."""
    if not FASHION.is_dir():
        pytest.skip(f"the real catalogue is not at {FASHION}")
    return FASHION


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.parquet (120 products), valid.parquet (40) and test.parquet (40)."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [_row(number) for number in range(200)]
    for name, part in (("train", rows[:120]), ("valid", rows[120:160]), ("test", rows[160:])):
        pq.write_table(pa.Table.from_pylist(part, schema=_SCHEMA), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="session")
def tiny_tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip config of a CLIP that is as small as it can be."""
    file = tmp_path_factory.mktemp("tower") / "tiny.json"
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    file.write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}))
    return file


@pytest.fixture(scope="session")
def tiny_weights(tiny_tower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint for the tiny tower, random: towers that stay frozen must come with weights."""
    import open_clip
    import torch

    file = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.manual_seed(1)
    open_clip.add_model_config(tiny_tower)
    torch.save(open_clip.create_model(tiny_tower.stem, force_custom_text=True).state_dict(), file)
    return file


@pytest.fixture(scope="session")
def tiny_run(shop: Path, tiny_tower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a model trained on the shop, towers included."""
    from clipita.training.prepare import Sources
    from clipita.training.run import train

    folder = tmp_path_factory.mktemp("training")
    training = TrainingConfig(
        epochs=6, batch_size=32, unfreeze=True, patience=6, run=folder / "run", cache=folder / "cache"
    )
    model = ModelConfig(tower_config=tiny_tower, pretrained=None, dim=32, hidden=64)
    train(Sources(shop / "train.parquet", shop / "valid.parquet"), model, training, lambda *_: None, lambda _: None)
    return training.run


@pytest.fixture(scope="session")
def tiny_bundle(shop: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real exported bundle of that model."""
    from clipita.catalogue.reader import CatalogueFile
    from clipita.exporters.bundle import export_bundle
    from clipita.model.checkpoint import load_run

    target = tmp_path_factory.mktemp("bundle") / "model"
    export_bundle(
        load_run(tiny_run),
        CatalogueFile(shop / "valid.parquet"),
        target,
        lowest_cosine=0.9999,
        products=40,
        command="tests",
        report=lambda _: None,
    )
    return target


@pytest.fixture(scope="session")
def gated_bundle(shop: Path, tiny_tower: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the default recipe on frozen towers, whose text graph has a gate."""
    from clipita.catalogue.reader import CatalogueFile
    from clipita.exporters.bundle import export_bundle
    from clipita.model.checkpoint import load_run
    from clipita.training.prepare import Sources
    from clipita.training.run import train

    folder = tmp_path_factory.mktemp("gated")
    training = TrainingConfig(epochs=4, batch_size=32, run=folder / "run", cache=folder / "cache")
    model = ModelConfig(tower_config=tiny_tower, pretrained=str(tiny_weights), dim=32, hidden=32)
    train(Sources(shop / "train.parquet", shop / "valid.parquet"), model, training, lambda *_: None, lambda _: None)
    export_bundle(
        load_run(training.run), CatalogueFile(shop / "valid.parquet"), folder / "model", lowest_cosine=0.9999,
        products=40, command="tests", report=lambda _: None,
    )  # fmt: skip
    return folder / "model"


_SCHEMA = pa.schema(
    {
        "product_id": pa.string(),
        "title": pa.string(),
        "category_path": pa.list_(pa.string()),
        "attributes": pa.map_(pa.string(), pa.string()),
        "price": pa.float64(),
        "brand": pa.string(),
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    }
)


def _row(number: int) -> dict[str, Any]:
    chance = random.Random(number)
    path = chance.choice(list(LEAVES))
    colour = chance.choice(list(COLOURS))
    words = chance.sample(WORDS, 2) + ([path[-1][:-1]] if chance.random() < 0.4 else [])
    return {
        "product_id": f"p{number:04d}",
        "title": " ".join(words),
        "category_path": list(path),
        "attributes": [("colour", colour), ("size", chance.choice(["S", "M", "L"]))],
        "price": round(chance.uniform(5, 100), 2),
        "brand": chance.choice(["Acme", "Globex", "Initech"]),
        "image": {"bytes": _picture(LEAVES[path], COLOURS[colour], chance), "path": f"p{number:04d}.jpg"},
    }


def _picture(shape: str, colour: str, chance: random.Random) -> bytes:
    image = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(image)
    left, top, size = chance.randint(4, 16), chance.randint(4, 16), chance.randint(28, 42)
    box = (left, top, left + size, top + size)
    if shape == "ellipse":
        draw.ellipse(box, fill=colour)
    elif shape == "rectangle":
        draw.rectangle(box, fill=colour)
    elif shape == "bar":
        draw.rectangle((left, top + size // 3, left + size, top + size // 2), fill=colour)
    else:
        draw.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill=colour)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()
