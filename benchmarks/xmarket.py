"""XMarket, the data of the CLIP-ITA paper, as a catalogue that clipita reads.

    python benchmarks/xmarket.py metadata_us_Electronics.json.gz electronics.jsonl

An XMarket metadata file has one product a line, as JSON or as a printed Python dict: its authors read the lines with
Python's eval(). Here they are parsed as plain values, and nothing in them runs. Lines that cannot be parsed are
reported and left out.

Reference: Bonab et al., Cross-Market Product Recommendation, CIKM 2021; the layout is described at xmrec.github.io.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import sys
import warnings
from pathlib import Path
from typing import Any

MAX_LINE = 2**20
"""Bytes of a printed Python value that are parsed; its parser takes a hundred times the memory of the text."""

RENAMED = {"asin": "product_id", "categories": "category_path", "imgUrl": "image"}
ATTRIBUTES = ("overviewFeatures", "productDetails")
SIGNS = frozenset("›»>|/")


def main() -> int:
    """Convert one file; gives the exit code, 3 where lines were left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="metadata_<market>_<department>.json, plain or .gz")
    parser.add_argument("target", type=Path, help="the catalogue to write, .jsonl")
    options = parser.parse_args()
    reader = gzip.open if options.source.suffix == ".gz" else open
    left_out = 0
    with reader(options.source, "rb") as lines, options.target.open("w", encoding="utf-8") as target:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                target.write(json.dumps(product(parse(line)), ensure_ascii=False) + "\n")
            except ValueError as error:
                print(f"line {number}: {error}", file=sys.stderr)
                left_out += 1
    return 3 if left_out else 0


def parse(line: bytes) -> dict[str, Any]:
    """A line as an object.

    Raises:
        ValueError: it is neither JSON nor a printed Python dict, or too long.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"the line has {len(line):,} bytes")
    text = line.decode("utf-8", errors="replace").strip()
    try:
        row = json.loads(text)
    except ValueError:
        row = _literal(text)
    if isinstance(row, dict):
        return row
    raise ValueError("the line is not an object")


def product(row: dict[str, Any]) -> dict[str, Any]:
    """A metadata object under clipita's default column names; empty values are left out."""
    found = {RENAMED.get(name, name): value for name, value in row.items() if value not in ("", [], {})}
    attributes = [found.pop(name) for name in ATTRIBUTES if isinstance(found.get(name), dict)]
    if attributes:
        found["attributes"] = {name: value for group in attributes for name, value in group.items()}
    if isinstance(found.get("category_path"), list):
        # A breadcrumb may keep the signs between its names.
        found["category_path"] = [name for name in found["category_path"] if str(name).strip() not in SIGNS]
    if isinstance(found.get("image"), dict):
        sizes = found["image"]
        found["image"] = max(sizes, key=lambda url: _area(sizes[url]))
    return found


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            # A backslash that begins no escape stays a backslash.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"neither JSON nor a printed Python value: {text[:60]!r}") from None


def _area(size: Any) -> int:
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return int(size[0] * size[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
