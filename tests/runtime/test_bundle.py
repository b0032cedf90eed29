"""A bundle that is not what its manifest says is refused, with a way out."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipita.errors import BundleError
from clipita.files import sha256
from clipita.runtime import Bundle, TextEncoder
from clipita.runtime.bundle import fingerprint_of


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "model"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = bundle / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def vouch_for(bundle: Path, name: str) -> None:
    """Let the manifest say that the file is as it should be."""
    file = bundle / name

    def vouch(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = {"sha256": sha256(file), "bytes": file.stat().st_size}
        manifest["fingerprint"] = fingerprint_of(manifest)

    edit(bundle, vouch)


def refusal(bundle: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        Bundle.load(bundle)
    assert caught.value.hint, "the error does not say what to do"
    return caught.value


@pytest.mark.parametrize("name", ["text.onnx", "product.onnx", "tokenizer.json"])
def test_a_changed_byte(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert name in refusal(copy).message


@pytest.mark.parametrize("name", ["text.onnx", "product.onnx", "tokenizer.json"])
def test_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{name} is missing" in refusal(copy).message


def test_a_file_that_grew(copy: Path) -> None:
    with (copy / "text.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert "changed since its export" in refusal(copy).message


def test_a_newer_schema_says_what_to_upgrade(copy: Path) -> None:
    edit(copy, lambda manifest: manifest.update(schema=99))
    error = refusal(copy)
    assert "99" in error.message
    assert "Upgrade clipita" in str(error.hint)


@pytest.mark.parametrize(
    "name", ["../tokenizer.json", "/etc/passwd", "..", ".", "", "inner/graph.onnx", "..\\graph.onnx"]
)
def test_a_path_outside_the_folder(copy: Path, name: str) -> None:
    edit(copy, lambda manifest: manifest["files"].update({name: manifest["files"]["tokenizer.json"]}))
    assert "not a plain file inside the bundle" in refusal(copy).message


def test_a_link_out_of_the_folder(copy: Path, tmp_path: Path) -> None:
    outside = (copy / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    (copy / "tokenizer.json").symlink_to(outside)
    assert "not a plain file inside the bundle" in refusal(copy).message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"schema": "1"}', b"\xff\xfe\x00", b'{"schema": 1}'])
def test_a_manifest_that_is_none(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    assert "manifest.json" in refusal(copy).message


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {"text.onnx": "abc"}},
        {"files": {"text.onnx": {}}},
        {"image": {}},
        {"image": [1]},
        {"text": {"clean": "lower"}},
        {"dim": "many"},
        {"dim": None},
    ],
)
def test_a_manifest_with_values_of_another_kind(copy: Path, change: dict[str, Any]) -> None:
    edit(copy, lambda manifest: manifest.update(change))
    refusal(copy)


@pytest.mark.parametrize(("key", "value"), [("dim", 31), ("fingerprint", "0" * 64)])
def test_a_manifest_whose_fingerprint_does_not_fit(copy: Path, key: str, value: object) -> None:
    edit(copy, lambda manifest: manifest.update({key: value}))
    assert "fingerprint" in refusal(copy).message


def test_changed_preprocessing_changes_the_fingerprint(copy: Path) -> None:
    edit(copy, lambda manifest: manifest["image"].update(resize="squash"))
    assert "fingerprint" in refusal(copy).message


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None])
def test_no_bundle_there(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "model")
    assert "model" in refusal(tmp_path / "model").message


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "tensors.npy", "run.py", "text"])
def test_a_pickle_or_a_program_is_no_part_of_a_bundle(copy: Path, name: str) -> None:
    (copy / name).write_bytes(pickle.dumps({"weights": [1.0]}))
    vouch_for(copy, name)
    assert "holds only .onnx, .json, .md files" in refusal(copy).message


def test_a_graph_that_is_a_pickle_is_not_read_as_one(copy: Path, tmp_path: Path) -> None:
    """Unpickling it would make a file."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    for name in ("text.onnx", "tokenizer.json"):
        before = (copy / name).read_bytes()
        (copy / name).write_bytes(pickle.dumps(Trap()))
        vouch_for(copy, name)
        with pytest.raises(BundleError, match=name):
            TextEncoder(Bundle.load(copy))
        (copy / name).write_bytes(before)
        vouch_for(copy, name)
    assert not (tmp_path / "sprung").exists()
    TextEncoder(Bundle.load(copy))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"model": {"type": "Unheard"}}'])
def test_a_tokenizer_that_is_none(copy: Path, content: bytes) -> None:
    (copy / "tokenizer.json").write_bytes(content)
    vouch_for(copy, "tokenizer.json")
    with pytest.raises(BundleError, match="cannot be read as a tokenizer") as caught:
        TextEncoder(Bundle.load(copy))
    assert caught.value.hint


def test_an_operator_that_the_runtime_lacks(copy: Path) -> None:
    import onnx

    graph = onnx.load(copy / "text.onnx")
    graph.graph.node[0].op_type = "Teleport"
    onnx.save(graph, copy / "text.onnx")
    vouch_for(copy, "text.onnx")
    with pytest.raises(BundleError, match="Teleport") as caught:
        TextEncoder(Bundle.load(copy))
    assert "onnxruntime" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["weights.bin", ".weights.bin"])
def test_weights_in_another_file_are_refused(copy: Path, name: str) -> None:
    """The manifest lists the changed graph, and has no hash of the file from which onnxruntime would read."""
    import onnx

    graph = onnx.load(copy / "text.onnx")
    onnx.save(graph, copy / "text.onnx", save_as_external_data=True, location=name, size_threshold=0)
    assert (copy / name).stat().st_size
    vouch_for(copy, "text.onnx")
    assert name in refusal(copy).message


def test_a_file_that_is_not_listed_is_refused(copy: Path) -> None:
    (copy / "inner").mkdir()
    assert "inner" in refusal(copy).message
    (copy / "inner").rmdir()
    for name in (".categories.lock", ".DS_Store"):
        (copy / name).touch()
    Bundle.load(copy)
