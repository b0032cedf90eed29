"""The public functions, on a small shop: what each command does, from Python."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

import clipita
from clipita.config import ExportConfig, IngestConfig, ModelConfig, OpenSearchConfig, TrainingConfig
from clipita.errors import CheckpointError, UsageError
from clipita.opensearch import ProductSearch, connect
from clipita.opensearch.local.node import NodeStatus


@pytest.mark.integration
def test_from_a_catalogue_to_a_measured_index(
    shop: Path, tiny_tower: Path, node: NodeStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ModelConfig(tower_config=tiny_tower, pretrained=None, dim=16, hidden=16)
    training = TrainingConfig(epochs=2, batch_size=32, unfreeze=True, run=tmp_path / "run", cache=tmp_path / "cache")
    epochs: list[Any] = []
    stages: set[str] = set()
    outcome = clipita.train(
        shop / "train.parquet", shop / "valid.parquet", model=model, training=training, on_epoch=epochs.append,
        progress=lambda stage, *_: stages.add(stage),
    )  # fmt: skip
    assert outcome is not None
    assert (outcome.products, outcome.epochs, len(epochs)) == (120, 2, 2)
    assert stages
    with pytest.raises(CheckpointError):
        clipita.train(shop / "train.parquet", shop / "valid.parquet", model=model, training=training)

    config = ExportConfig(bundle=tmp_path / "model", max_loss=100)
    bundle = clipita.export(training.run, catalogue=shop / "valid.parquet", config=config, products=20)
    assert bundle.manifest["export"]["parity"]["products"] == 20

    alias, client = f"api-{uuid.uuid4().hex[:8]}", connect(url=node.url)
    said: list[str] = []
    ingesting = IngestConfig(rejected=tmp_path / "rejected.jsonl")
    report = clipita.ingest(
        [shop / "train.parquet", shop / "test.parquet"], cluster=client, index=alias, model=bundle, config=ingesting,
        warn=said.append,
    )  # fmt: skip
    try:
        assert report.products == report.encoded == 160
        assert any("categories have their vectors" in text for text in said)
        assert ProductSearch(client, alias)(category="Plates").hits
        assert client.get_script(id=f"{alias}-saturation")["found"]
        again = clipita.ingest(shop, cluster=client, index=alias, model=bundle, config=ingesting)
        assert (again.products, again.encoded) == (200, 40)

        measured = clipita.evaluate(
            shop / "test.parquet", models=[bundle], index=alias, opensearch=OpenSearchConfig(url=node.url)
        )
        rows = measured.as_json()["rows"]
        assert {(row["where"], row["mode"]) for row in rows} >= {("offline", "lexical"), ("live", "hybrid")}
        assert "<html" in measured.report()
    finally:
        client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
        client.close()


def test_without_a_model_bm25_alone_is_measured(shop: Path) -> None:
    measured = clipita.evaluate(shop / "test.parquet")
    assert [row["system"] for row in measured.as_json()["rows"]] == ["bm25"]
    with pytest.raises(UsageError, match="there is none"):
        clipita.evaluate(shop / "test.parquet", subset="unseen")


@pytest.mark.integration
def test_the_shops_synonyms_name_categories_at_ingest(
    shop: Path, gated_bundle: Path, node: NodeStatus, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(gated_bundle, model)
    (tmp_path / "synonyms.txt").write_text("kites, drachen\nsofa, couch\n")
    alias, client = f"api-{uuid.uuid4().hex[:8]}", connect(url=node.url)
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl", synonyms=tmp_path / "synonyms.txt")

    def ingest() -> list[str]:
        said: list[str] = []
        clipita.ingest(shop / "test.parquet", cluster=client, index=alias, model=model, config=config, warn=said.append)
        return [text for text in said if "synonyms" in text]

    try:
        (said,) = ingest()
        assert said.startswith("New names of categories from ")
        assert [name.text for name in clipita.list_categories(model).names] == ["drachen"]
        assert ProductSearch(client, alias, model)(category="Drachen", mode="lexical").query == "Kites"
        assert ingest() == []
        # The ingest warns of a bundle that cannot be amended, and writes the products.
        (model / "categories.json").unlink()
        (model / ".categories.lock").unlink()
        (model / ".categories.lock").mkdir()
        (said,) = ingest()
        assert "name no categories" in said
        assert "cannot be written" in said
    finally:
        client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
