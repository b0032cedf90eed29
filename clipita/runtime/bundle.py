"""The model bundle: a folder with two ONNX graphs, a tokenizer, and a manifest with their checksums.

::

    model/
      manifest.json    schema, fingerprint, files with SHA-256 and size, preprocessing, metrics
      text.onnx        ids int64 [B, L] -> vector [B, D], features [B, F]; gate [B] and anchored [B, D] of a gated model
      product.onnx     images, title and attributes -> vector [B, D], features [B, F]
      tokenizer.json
      README.md        the bundle's card, for people
      categories.json  what the shop added after the export: names of categories and new ones, see `amendments`

Schema 2 added `precision`, the card, and `known_attributes` to the product graph; schema 3 added `gate` and `anchored`
to the text graph; schema 4 has `image_weights` in place of `has_image`: any number of images per product. Bundles of
older schemas load as before, and read the first image of a product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from clipita.catalogue.product import CategoryPath
from clipita.errors import BundleError
from clipita.files import sha256
from clipita.runtime.amendments import FILE as AMENDMENTS
from clipita.runtime.amendments import Amendments
from clipita.runtime.amendments import read as read_amendments
from clipita.runtime.graph_files import external_files
from clipita.runtime.preprocess import CLEANERS, ImageSpec, Interpolation, Resize, TextSpec

SCHEMA = 4
MANIFEST = "manifest.json"
TEXT_GRAPH = "text.onnx"
PRODUCT_GRAPH = "product.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
REQUIRED_FILES = (TEXT_GRAPH, PRODUCT_GRAPH, TOKENIZER)
QUERY_FILES = (TEXT_GRAPH, TOKENIZER)
FORMATS = (".onnx", ".json", ".md")
"""What a bundle's files may be; a pickle, which runs code when it is read, is refused."""
MAX_SIDE, MAX_TOKENS, MAX_DIM = 4_096, 65_536, 16_000
"""Bounds of a manifest: pixels of a side, tokens of a text, and the longest vector that k-NN indexes."""


def fingerprint_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over what decides a vector's value: the files, the preprocessing of images and texts, the dimension."""
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
        amendments: names of categories and new ones that the shop added after the export.
    """

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)
    amendments: Amendments = field(default_factory=Amendments, repr=False)

    @classmethod
    def load(cls, path: Path | str, needed: Collection[str] | None = None) -> Bundle:
        """Read a bundle and verify its files against the manifest.

        Args:
            path: its folder.
            needed: names of the files to hash; default: all. A process that only encodes queries (`QUERY_FILES`) starts
                in half the time, because it skips the larger file.

        Raises:
            BundleError: no bundle in the folder, a newer schema, a file that is missing, was changed or is not
                listed, or amendments that were changed by hand or belong to another bundle.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        for name, entry in manifest["files"].items():
            _verify_file(path, name, entry, hashed=needed is None or name in needed)
        _refuse_others(path, manifest["files"])
        for name in manifest["files"]:
            if name.endswith(".onnx") and (needed is None or name in needed):
                _refuse_external(path, name)
        if manifest["fingerprint"] != fingerprint_of(manifest):
            raise BundleError(f"{path / MANIFEST} was changed: its fingerprint differs.", hint=_EXPORT_AGAIN)
        return cls(path, manifest, read_amendments(path, manifest["fingerprint"], manifest["dim"]))

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
        """Whether the towers are pretrained, so that their features are meaningful without the heads."""
        return bool(self.manifest["zero_shot"])

    @property
    def categories(self) -> list[CategoryPath]:
        """The categories that training saw."""
        return [tuple(path) for path in self.manifest["categories"]]

    @property
    def image_spec(self) -> ImageSpec:
        """How images are prepared."""
        return ImageSpec.from_json(self.manifest["image"])

    @property
    def text_spec(self) -> TextSpec:
        """How texts are prepared."""
        return TextSpec(**self.manifest["text"])


_EXPORT_AGAIN = "Export it again with: clipita export-onnx"

Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]
Channels = tuple[float, float, float]


class _File(msgspec.Struct):
    sha256: str
    bytes: int


class _Image(msgspec.Struct, forbid_unknown_fields=True):
    """`ImageSpec` with bounds: a frame of 10^9 pixels would take all memory before the graph could refuse it."""

    height: Side
    width: Side
    mean: Channels
    std: Channels
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    reduced_jpeg: bool = False


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    """`TextSpec` with bounds."""

    clean: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(CLEANERS)})$")]
    context_length: Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKENS)]
    pad_id: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    pad_to: Literal["longest", "context"]


class _Manifest(msgspec.Struct):
    """What everything after `Bundle.load` relies on; other keys are allowed."""

    files: dict[str, _File]
    fingerprint: str
    dim: Annotated[int, msgspec.Meta(ge=1, le=MAX_DIM)]
    modalities: str
    name: str
    zero_shot: bool
    categories: list[Annotated[list[str], msgspec.Meta(min_length=1)]]
    image: _Image
    text: _Text


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
    try:
        msgspec.convert(manifest, _Manifest)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of half a character
        raise BundleError(f"{file} cannot be understood: {error}.", hint=_EXPORT_AGAIN) from error
    for name in REQUIRED_FILES:
        if name not in manifest["files"]:
            raise BundleError(f"{file} does not list {name}.", hint=_EXPORT_AGAIN)
    return manifest


def _refuse_others(path: Path, files: Collection[str]) -> None:
    """Refuse what the manifest does not list; hidden files are ours (locks, drafts), or a file manager's."""
    known = {*files, MANIFEST, AMENDMENTS}
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in known and entry.name[0] != ".")
    if others:
        raise BundleError(
            f"{path} holds {others[0]}, which its {MANIFEST} does not list.",
            hint="Move it elsewhere if it is yours; else use only bundles from people you trust.",
        )


def _refuse_external(path: Path, name: str) -> None:
    """Refuse a graph that takes weights from another file: no export makes one, and no hash covers that file."""
    if external := external_files(path / name):
        raise BundleError(
            f"{path / name} reads weights from another file, {min(external)!r}.",
            hint="Use only bundles from people you trust, or export the model again: its graphs hold their weights.",
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
        raise BundleError(f"{file} changed since its export: its SHA-256 differs.", hint=_EXPORT_AGAIN)
