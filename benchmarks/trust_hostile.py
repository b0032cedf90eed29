"""Hostile rows, fuzzed from real ones: each has an outcome, and none ends the run."""

from __future__ import annotations

import argparse
import base64
import json
import random
from pathlib import Path
from typing import Any

from ingest_shop import WORK, Shop, settings
from record import target

from clipita.catalogue.reader import CatalogueFile


def hostile(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Ingest them, and count what came of each."""
    file = WORK / "hostile.jsonl"
    rows = _write_hostile(shop.file, file, options.hostile_rows, options.seed)
    report = shop.ingest(file, "bench-hostile", settings(batch_size=options.batch_size))
    shop.client.indices.refresh(index="bench-hostile")
    there = int(shop.client.count(index="bench-hostile")["count"])
    present = report.products - report.left_out
    return {
        "rows": rows,
        "counts": report.counts,
        "reasons": report.reasons,
        "in_the_index": there,
        "targets": [
            target("hostile rows without an outcome", rows - report.products, rows == report.products),
            target("documents in the index beyond or below those counted", there - present, there == present),
        ],
    }


def _write_hostile(source: Path, target_file: Path, rows: int, seed: int) -> int:
    chance = random.Random(seed)
    real = [as_row(product) for product in CatalogueFile(source).products(lambda _: None)]
    with target_file.open("wb") as stream:
        for number in range(rows):
            row = dict(chance.choice(real)) | {"product_id": f"row-{number}"}
            line = json.dumps(_spoilt(row, chance), ensure_ascii=False).encode("utf-8", "surrogatepass")
            # A line break inside a row would make two rows of it, and the count would prove nothing.
            stream.write((_garbled(line, chance) if chance.random() < 0.1 else line).replace(b"\n", b" ") + b"\n")
    return rows


def as_row(product: Any) -> dict[str, Any]:
    """A product as a row of JSON, its image as a data URL."""
    row = {
        "title": product.title,
        "attributes": dict(product.attributes),
        "category_path": list(product.category_path),
        "price": product.extra.get("price"),
    }
    if product.image is not None and product.image.data is not None:
        row["image"] = "data:image/jpeg;base64," + base64.b64encode(product.image.data).decode()
    return row


def _spoilt(row: dict[str, Any], chance: random.Random) -> Any:
    """One to three cells of a row in a shape that nobody expects; at times the whole row."""
    if chance.random() < 0.02:
        return chance.choice([None, [], 7, "row", [row], {}])
    for _ in range(chance.randint(1, 3)):
        row[chance.choice(list(row))] = _value(row, chance)
    return row


def _value(row: dict[str, Any], chance: random.Random) -> Any:
    image = row.get("image")
    head, _, body = image.partition(",") if isinstance(image, str) else ("data:image/jpeg;base64", "", "/9j/4AAQ")
    cut = body[: chance.randrange(len(body) + 1) // 4 * 4]
    huge = "long " * chance.choice([10, 1000, 40_000])
    return chance.choice(
        [
            None, True, -1, 0, 10**400, 1e308, "", " ", "\x00", "\ud800", "👟﷽‏\u202e", "\u0301" * 500, huge, [], {},
            [[[]]], [None, 1, "a"], {"": ""}, {"a": {"b": {"c": []}}}, {"bytes": 1, "path": {}}, f"{head},{cut}",
            f"{head},{body}AA", "data:,", "file:///etc/passwd", "../../etc/passwd", "x" * 600, ["", "Shoes"], "NaN",
        ]
    )  # fmt: skip


def _garbled(line: bytes, chance: random.Random) -> bytes:
    """The line cut short, or with bytes that are no UTF-8 in it."""
    place = chance.randrange(1, max(2, len(line)))
    return (
        line[:place]
        if chance.random() < 0.5
        else line[:place] + bytes(chance.choices(range(128, 256), k=3)) + line[place:]
    )
