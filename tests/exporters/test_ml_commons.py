"""The ML Commons package gives our own text encoder's vectors, run as the cluster runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest

from clipita.errors import UsageError
from clipita.exporters.ml_commons import CHUNK_BYTES, checked_name, write_package
from clipita.files import sha256
from clipita.runtime import Bundle, TextEncoder

CLUSTER = """
import json, sys, zipfile
import numpy, onnxruntime, tokenizers
from clipita.files import sha256
package, texts, target = sys.argv[1:]
with zipfile.ZipFile(package) as archive:
    session = onnxruntime.InferenceSession(archive.read("model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_str(archive.read("tokenizer.json").decode())
rows = []
for text in json.load(open(texts)):
    encoding = tokenizer.encode(text)
    feeds = {"input_ids": [encoding.ids], "attention_mask": [encoding.attention_mask]}
    outputs = session.run(None, {name: numpy.array(value, dtype=numpy.int64) for name, value in feeds.items()})
    assert len(outputs) == 1 and outputs[0].shape[0] == 1
    rows.append(outputs[0][0])
numpy.save(target, numpy.stack(rows))
print(onnxruntime.__version__)
"""
HARD = [
    "",
    "   ",
    "👟 running shoes",
    "Größe XL – naïve café",
    "Tom &amp; Jerry &lt;b&gt; &#39;quoted&#39;",
    "word " * 500,
    "don't they're I'LL",
    "“smart” ‘quotes’",
    "ﬁne ﬂeece",
    "tab\tnew\nline\u00a0hard",
    "連衣裙 ドレス платье",
    "100% cotton (size: 42/44) @£$€",
]


@pytest.fixture(scope="module")
def package(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_package(Bundle.load(tiny_bundle), tmp_path_factory.mktemp("package") / "model.zip")


def encode_like_a_cluster(python: str, package: Path, texts: list[str], folder: Path) -> np.ndarray[Any, Any]:
    (folder / "texts.json").write_text(json.dumps(texts))
    command = [python, "-c", CLUSTER, str(package), str(folder / "texts.json"), str(folder / "vectors.npy")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    vectors: np.ndarray[Any, Any] = np.load(folder / "vectors.npy")
    return vectors


def test_the_zip_holds_one_old_enough_graph_and_a_tokenizer(package: dict[str, Path]) -> None:
    with zipfile.ZipFile(package["zip"]) as archive:
        assert sorted(archive.namelist()) == ["model.onnx", "tokenizer.json"]
        model = onnx.load_from_string(archive.read("model.onnx"))
        tokenizer = json.loads(archive.read("tokenizer.json"))
    onnx.checker.check_model(model)
    assert model.ir_version <= 9
    assert all(entry.version <= 19 for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    assert [entry.name for entry in model.graph.input] == ["input_ids", "attention_mask"]
    assert len(model.graph.output) == 1
    assert tokenizer["truncation"]["max_length"] == 24
    assert tokenizer["padding"] is None


def test_the_registration_fits_the_zip(package: dict[str, Path], tiny_bundle: Path) -> None:
    body = json.loads(package["register"].read_text())
    assert body["model_content_hash_value"] == sha256(package["zip"])
    assert body["total_chunks"] == -(-package["zip"].stat().st_size // CHUNK_BYTES)
    assert body["model_config"]["embedding_dimension"] == 32
    assert Bundle.load(tiny_bundle).fingerprint in body["description"]
    assert "_deploy" in package["deploy"].read_text()


@pytest.mark.parametrize("name", ["", "a[b]", "a,b", "-a", "ä"])
def test_names_that_the_plugin_cannot_deploy_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)


def test_the_package_gives_our_vectors(package: dict[str, Path], tiny_bundle: Path, tmp_path: Path) -> None:
    names = sorted({name for path in Bundle.load(tiny_bundle).categories for name in path})
    texts = [*names, *HARD]
    vectors = encode_like_a_cluster(sys.executable, package["zip"], texts, tmp_path)
    expected = TextEncoder(Bundle.load(tiny_bundle)).encode(texts)
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() >= 0.9999, [text for text, value in zip(texts, cosines, strict=True) if value < 0.9999]


@pytest.mark.slow
def test_under_the_clusters_own_onnxruntime(
    package: dict[str, Path], tiny_bundle: Path, fashion: Path, tmp_path: Path
) -> None:
    """onnxruntime 1.16.3 with `tokenizers` alone, in an environment of its own: every category name, 5,000 titles."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    assert os.access(uv, os.X_OK), "`make setup` installs uv, which makes the separate environment"
    python = str(tmp_path / "cluster" / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", str(tmp_path / "cluster")], check=True)
    wanted = ["onnxruntime==1.16.3", "tokenizers>=0.19", "numpy<2"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    rows = [
        row
        for split in ("train", "valid", "test")
        for row in pq.read_table(fashion / f"{split}.parquet", columns=["title", "category_path"]).to_pylist()
    ]
    names = sorted({name for row in rows for name in row["category_path"]})
    titles = list(dict.fromkeys(row["title"] for row in rows if row["title"]))[:5000]
    assert len(titles) == 5000
    texts = [*names, *titles, *HARD]
    vectors = encode_like_a_cluster(python, package["zip"], texts, tmp_path)
    expected = TextEncoder(Bundle.load(tiny_bundle)).encode(texts)
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() >= 0.9999, [text for text, value in zip(texts, cosines, strict=True) if value < 0.9999][:20]
