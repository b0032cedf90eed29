"""The model bundle: a folder with two ONNX graphs, a tokenizer and a manifest that vouches for them.

::

    model/
      manifest.json    what it is: schema, fingerprint, files with SHA-256 and size, preprocessing, metrics
      text.onnx        ids int64 [B, L] -> vector [B, D], features [B, F]
      product.onnx     pixels, title and attributes -> vector [B, D], features [B, F]
      tokenizer.json
      README.md        the bundle's card, for people

Schema 2 added `precision`, the card, and `known_attributes` to the product graph; bundles of schema 1 load as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from clipita.catalogue.product import CategoryPath
from clipita.errors import BundleError
from clipita.files import sha256
from clipita.runtime.preprocess import CLEANERS, ImageSpec, Interpolation, Resize, TextSpec

SCHEMA = 2
MANIFEST = "manifest.json"
TEXT_GRAPH = "text.onnx"
PRODUCT_GRAPH = "product.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
REQUIRED_FILES = (TEXT_GRAPH, PRODUCT_GRAPH, TOKENIZER)
QUERY_FILES = (TEXT_GRAPH, TOKENIZER)
FORMATS = (".onnx", ".json", ".md")
"""What a bundle's files may be; a pickle, which runs code when it is read, is none of them."""
MAX_SIDE, MAX_TOKENS, MAX_DIM = 4_096, 65_536, 16_000
"""Bounds of a manifest: pixels of a side, tokens of a text, and the longest vector that k-NN indexes."""


def fingerprint_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over what decides a vector's value: the files, the preprocessing of pictures and texts, the dimension."""
    decisive = {
        "files": {name: entry["sha256"] for name, entry in manifest["files"].items() if name != CARD},
        "image": manifest["image"],
        "text": manifest["text"],
        "dim": manifest["dim"],
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: its folder.
        manifest: manifest.json, parsed.
    """

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @classmethod
    def load(cls, path: Path | str, needed: Collection[str] | None = None) -> Bundle:
        """Read a bundle and verify every byte of it against its manifest.

        Args:
            path: its folder.
            needed: names of the files that will be read; the others are not hashed, which spares a process that
                only encodes queries (`QUERY_FILES`) the larger half of its start. Default: all.

        Raises:
            BundleError: no bundle there, a newer schema, a missing file, or a file that changed since its export.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        _check_shape(path / MANIFEST, manifest)
        for name, entry in manifest["files"].items():
            _verify_file(path, name, entry, hashed=needed is None or name in needed)
        if manifest["fingerprint"] != fingerprint_of(manifest):
            raise BundleError(f"{path / MANIFEST} was changed: its fingerprint does not fit.", hint=_EXPORT_AGAIN)
        return cls(path, manifest)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what decides a vector's value, 64 hex digits."""
        return str(self.manifest["fingerprint"])

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.manifest["dim"])

    @property
    def modalities(self) -> str:
        """What a product's vector is made of: a subset of `ITA` (image, title, attributes)."""
        return str(self.manifest["modalities"])

    @property
    def name(self) -> str:
        """The system's name in tables: clip-i, clip-ia, …, clip-ita."""
        return str(self.manifest["name"])

    @property
    def zero_shot(self) -> bool:
        """Whether the towers came pretrained, so that their own features mean something without the heads."""
        return bool(self.manifest["zero_shot"])

    @property
    def categories(self) -> list[CategoryPath]:
        """The categories that training saw."""
        return [tuple(path) for path in self.manifest["categories"]]

    @property
    def image_spec(self) -> ImageSpec:
        """How pictures are prepared."""
        return ImageSpec.from_json(self.manifest["image"])

    @property
    def text_spec(self) -> TextSpec:
        """How texts are prepared."""
        return TextSpec(**self.manifest["text"])


_EXPORT_AGAIN = "Export it again with: clipita export-onnx"
_KEYS = ("files", "fingerprint", "dim", "modalities", "name", "zero_shot", "categories", "image", "text")


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path} is not a model bundle: it has no {MANIFEST}.", hint=_EXPORT_AGAIN) from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read: {error}.", hint=_EXPORT_AGAIN) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema"), int):
        raise BundleError(f"{file} is not a bundle's manifest.", hint=_EXPORT_AGAIN)
    if manifest["schema"] > SCHEMA:
        raise BundleError(
            f"{path} has bundle schema {manifest['schema']}; this clipita reads up to {SCHEMA}.",
            hint="Upgrade clipita, or export the model again with this version.",
        )
    missing = [key for key in _KEYS if key not in manifest]
    if missing:
        raise BundleError(f"{file} lacks: {', '.join(missing)}.", hint=_EXPORT_AGAIN)
    return manifest


def _check_shape(file: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose values are not of the kind that everything after this relies on."""
    files = manifest["files"]
    if not isinstance(files, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("bytes"), int)
        for entry in files.values()
    ):
        raise BundleError(f"{file}: `files` must give each file's sha256 and bytes.", hint=_EXPORT_AGAIN)
    for name in REQUIRED_FILES:
        if name not in files:
            raise BundleError(f"{file} does not list {name}.", hint=_EXPORT_AGAIN)
    try:
        _check_image(ImageSpec.from_json(manifest["image"]))
        _check_text(TextSpec(**manifest["text"]))
        _require(_whole(manifest["dim"], MAX_DIM), "dim")
        _require(_paths(manifest["categories"]), "categories")
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BundleError(f"{file} cannot be understood: {error}.", hint=_EXPORT_AGAIN) from error


def _check_image(spec: ImageSpec) -> None:
    """A frame of a thousand million pixels would take all memory before the graph could refuse it."""
    _require(_whole(spec.height, MAX_SIDE) and _whole(spec.width, MAX_SIDE), "image.height or image.width")
    _require(spec.resize in get_args(Resize) and spec.interpolation in get_args(Interpolation), "image")
    _require(isinstance(spec.fill, int) and 0 <= spec.fill <= 255 and isinstance(spec.reduced_jpeg, bool), "image")
    for name, numbers in (("mean", spec.mean), ("std", spec.std)):
        _require(len(numbers) == 3 and all(isinstance(number, int | float) for number in numbers), f"image.{name}")


def _check_text(spec: TextSpec) -> None:
    _require(isinstance(spec.clean, str) and spec.clean in CLEANERS, "text.clean")
    _require(_whole(spec.context_length, MAX_TOKENS), "text.context_length")
    _require(isinstance(spec.pad_id, int) and 0 <= spec.pad_id < 2**31, "text.pad_id")
    _require(spec.pad_to in ("longest", "context"), "text.pad_to")


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"its {name} is out of bounds")


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _paths(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(path, list) and path and all(isinstance(name, str) for name in path) for path in value
    )


def _verify_file(path: Path, name: str, entry: Mapping[str, Any], *, hashed: bool) -> None:
    file = path / name
    if name in {"", ".", ".."} or Path(name).name != name or "\\" in name or file.is_symlink():
        raise BundleError(
            f"{path / MANIFEST} names {name!r}, which is not a plain file inside the bundle.",
            hint="Use only bundles from people you trust, or export the model again.",
        )
    if file.suffix not in FORMATS:
        raise BundleError(
            f"{path / MANIFEST} names {name}; a bundle holds only {', '.join(FORMATS)} files.",
            hint="Never load pickled models of others; export the model again.",
        )
    if not file.is_file():
        raise BundleError(f"{file} is missing.", hint=_EXPORT_AGAIN)
    if file.stat().st_size != entry["bytes"] or (hashed and sha256(file) != entry["sha256"]):
        raise BundleError(f"{file} changed since its export: its SHA-256 is not the manifest's.", hint=_EXPORT_AGAIN)
