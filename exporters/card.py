"""The bundle's card, in Markdown: its origin, training, precision and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipita.runtime.bundle import CARD

MODALITY_NAMES = {"I": "image", "T": "title", "A": "attributes"}


def write_card(manifest: Mapping[str, Any]) -> str:
    """The card of a manifest that includes the parity."""
    parts = [_head(manifest), _origin(manifest), _training(manifest), _export(manifest), _files(manifest)]
    return "\n\n".join(parts) + "\n"


def _head(manifest: Mapping[str, Any]) -> str:
    read = " and ".join(MODALITY_NAMES[letter] for letter in manifest["modalities"])
    return (
        f"# {manifest['name']}: category search vectors\n\n"
        f"Made by clipita. Texts and products become vectors of {manifest['dim']} numbers and length 1; their inner\n"
        f"product says how well they fit. A product's vector is made of its {read}.\n\n"
        "```python\n"
        "from clipita.runtime import Bundle, TextEncoder\n"
        'TextEncoder(Bundle.load("this/folder")).encode(["running shoes"])\n'
        "```\n\n"
        f"Fingerprint: `{manifest['fingerprint']}`. Vectors of another fingerprint do not compare with these."
    )


def _origin(manifest: Mapping[str, Any]) -> str:
    towers = manifest["towers"]
    return "## Towers\n\n" + _table(
        {
            "tower": towers["tower"],
            "weights": towers["pretrained"] or "as the tower's own configuration names them, or random",
            "source": towers.get("origin", "unknown"),
            "licence": towers.get("licence", "unknown"),
            "trained further here": "yes" if towers["learnt"] else "no, only the heads were",
        }
    )


def _training(manifest: Mapping[str, Any]) -> str:
    training = manifest["training"]
    files = {
        f"data: {name}": f"{entry.get('file')} (SHA-256 {str(entry.get('sha256'))[:16]}…)"
        for name, entry in (training.get("data") or {}).items()
        if isinstance(entry, Mapping)
    }
    rows = {key: training[key] for key in ("products", "loss", "epochs_run", "seed") if key in training}
    metrics = {name: f"{value:.2f}" for name, value in manifest["metrics"].items()}
    return (
        "## Training\n\n"
        + _table({"categories": len(manifest["categories"]), **rows, **files, **metrics})
        + ("\n\nIt knows this one catalogue: for other goods, languages or images its rankings are not measured.")
    )


def _export(manifest: Mapping[str, Any]) -> str:
    export = manifest["export"]
    parity = export["parity"]
    return "## Export\n\n" + _table(
        {
            "precision": manifest["precision"],
            "lowest cosine with PyTorch, products": f"{parity['lowest_product']:.6f} ({parity['products']} compared)",
            "lowest cosine with PyTorch, texts": f"{parity['lowest_text']:.6f} ({parity['texts']} compared)",
            "R-precision of PyTorch on these products": f"{parity['torch_r_precision']:.2f}",
            "R-precision of this bundle": f"{parity['onnx_r_precision']:.2f} ({parity['lost']:+.2f} points lost)",
            "made": f"{export['created']}, clipita {export['clipita']}, torch {export['torch']}, "
            f"onnxruntime {export['onnxruntime']}, opset {export['opset']}",
        }
    )


def _files(manifest: Mapping[str, Any]) -> str:
    rows = {name: f"{entry['bytes'] / 1e6:.1f} MB" for name, entry in manifest["files"].items() if name != CARD}
    return "## Files\n\n" + _table(rows) + "\n\nmanifest.json holds their SHA-256; loading verifies every byte."


def _table(rows: Mapping[str, object]) -> str:
    lines = [f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])
