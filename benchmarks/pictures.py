"""Several pictures per product on the real catalogue: what they cost, and what the vectors of their mean are worth.

    make bench-pictures       (or: python benchmarks/pictures.py --only speed --products 2000)

- speed: `clipita ingest` of the same pictures, one per product and in lists, with the sides taking turns.
- quality: trainings and the test split with pictures that are made of the real ones: each as it is beside itself
  and its mirror image, and its left half beside both halves, the right one mirrored.

Needs the data set beside the repository and the dependency group `bench`. Writes benchmarks/results/pictures.json after
each part; exits 1 if a figure is not reached.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import quality_measure as measure
import record
from ingest_shop import Shop, own_bundle, settings
from PIL import Image, ImageOps
from towers import write_towers
from trainings import train

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import LocalNode
from clipita.runtime import Bundle

WORK = record.ROOT / "build" / "pictures"
EACH = 4
"""Pictures in a list of the part `speed`."""
PACKAGES = ["torch", "open_clip_torch", "onnxruntime", "opensearch-py"]
Pictures = Callable[[Image.Image], list[Image.Image]]


def _halves(picture: Image.Image) -> list[Image.Image]:
    width, height = picture.size
    left, right = picture.crop((0, 0, width // 2, height)), picture.crop((width // 2, 0, width, height))
    return [left, ImageOps.mirror(right)]


KINDS: dict[str, Pictures] = {
    "one": lambda picture: [picture],
    "one and its mirror image": lambda picture: [picture, ImageOps.mirror(picture)],
    "a half": lambda picture: _halves(picture)[:1],
    "both halves": _halves,
}


def main() -> int:
    """Run the parts; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--products", type=int, help="of each file; default: all, and 10,000 pictures for speed")
    parser.add_argument("--modalities", nargs="+", default=["I", "ITA"])
    parser.add_argument("--rounds", type=int, default=3, help="how often each side of the speed is timed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    file = record.RESULTS / "pictures.json"
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in options.only:
        result[name] = {**record.provenance(PACKAGES, []), **PARTS[name](options)}
        print(json.dumps(result[name], indent=1), flush=True)
        print(f"Written: {record.write('pictures', result)}", flush=True)
    targets = [target for name in options.only for target in result[name]["targets"]]
    for target in targets:
        print("reached" if target["reached"] else "MISSED ", target["target"], target["value"])
    return 0 if all(target["reached"] for target in targets) else 1


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Pictures per second of a whole ingest, from pictures in the file, with fewer products where each has more."""
    count = options.products or 10_000
    rows = pq.read_table(record.FASHION / "train.parquet").slice(0, count).to_pylist()
    sides = {"one each": _written("one-each", ([row, [row["image"]]] for row in rows))}
    lists = (rows[start : start + EACH] for start in range(0, count, EACH))
    sides[f"{EACH} each"] = _written("lists", ([some[0], [row["image"] for row in some]] for some in lists))
    bundle = Bundle.load(own_bundle(record.FASHION))
    local = LocalNode(WORK / "opensearch")
    was_running = local.status() is not None
    url = local.start(heap="1g").url
    rates: dict[str, list[float]] = {side: [] for side in sides}
    try:
        client = connect(OpenSearchConfig(url=url, timeout=600))
        client.indices.delete(index="bench-*", ignore=[404], params={"expand_wildcards": "all"})
        shop = Shop(local, url, client, bundle, sides["one each"])
        # The first round warms the node up and is not counted.
        for number in range(options.rounds + 1):
            for side, file in sides.items():
                report = shop.ingest(file, f"bench-{file.stem}", settings(thumbnails=False))
                if number:
                    rates[side].append(round(count / report.seconds, 1))
                client.indices.delete(index=f"bench-{file.stem}*", params={"expand_wildcards": "all"})
    finally:
        if not was_running:
            local.stop()
    one, several = (statistics.median(found) for found in rates.values())
    ratio = round(several / one, 3)
    return {
        "pictures": count,
        "pictures_per_second": rates,
        "targets": [record.target("lists within 10 % a picture of one each", ratio, ratio >= 0.9)],
    }


def quality(options: argparse.Namespace) -> dict[str, Any]:
    """R-precision on the test split, by kind of pictures and by modalities."""
    tower = write_towers(WORK / "towers")
    found: dict[str, dict[str, float]] = {}
    for kind, pictures in KINDS.items():
        label = f"{kind.replace(' ', '-')}-{options.products or 'all'}"
        files = [_made(split, label, pictures, options.products) for split in ("train", "valid", "test")]
        test = measure.Test(files[2], tower, WORK / "features")
        for modalities in options.modalities:
            run = WORK / "runs" / f"{label}-{modalities}-{options.seed}"
            train(run, WORK / "features", files, tower, modalities=modalities, seed=options.seed)
            [row] = test.rows(test.load(run))
            found.setdefault(modalities, {})[kind] = round(row["R-precision"], 2)
    targets = []
    for modalities, values in found.items():
        for single, several in (("one", "one and its mirror image"), ("a half", "both halves")):
            gain = round(values[several] - values[single], 2)
            targets.append(record.target(f"{modalities}: {several} not below {single}", gain, gain >= 0))
    return {"products": options.products or "all", "R-precision": found, "targets": targets}


def _made(split: str, label: str, pictures: Pictures, products: int | None) -> Path:
    """A split of the catalogue with other pictures; made once."""
    target = WORK / "data" / f"{split}-{label}.parquet"
    if target.exists():
        return target
    rows = pq.read_table(record.FASHION / f"{split}.parquet").slice(0, products).to_pylist()

    def changed() -> Iterator[Sequence[Any]]:
        for row in rows:
            picture = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
            yield row, [{"bytes": _png(part), "path": None} for part in pictures(picture)]

    return _written(target.stem, changed())


def _written(name: str, rows: Iterator[Sequence[Any]]) -> Path:
    """A catalogue of rows, each with its list of pictures."""
    schema = pq.read_schema(record.FASHION / "train.parquet")
    place = schema.get_field_index("image")
    schema = schema.set(place, pa.field("image", pa.list_(schema.field(place).type)))
    target = WORK / "data" / f"{name}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([{**row, "image": images} for row, images in rows], schema=schema), target)
    return target


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"speed": speed, "quality": quality}


if __name__ == "__main__":
    raise SystemExit(main())
