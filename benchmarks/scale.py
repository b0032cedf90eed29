"""The tables of docs/scale.md: what 1 million, 100 million and 1 billion products take, computed here and nowhere else.

python benchmarks/scale.py                 rewrites the tables between the page's marks
python benchmarks/scale.py --check         exits 1 where the page says something else
python benchmarks/scale.py --documents     measures documents of the real catalogue: benchmarks/results/documents.json

What is measured comes from benchmarks/results; what is published stands below with its source.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from dataclasses import dataclass
from itertools import islice
from typing import Any

import record

from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig, ModelConfig
from clipita.opensearch.index.mapping import vector_field
from clipita.opensearch.ingest.documents import make_draft, make_thumbnail

PAGE = record.ROOT / "docs" / "scale.md"
SIZES = {"1 M": 10**6, "100 M": 10**8, "1 B": 10**9}
DIM = ModelConfig.dim
MEASURED_DOCUMENTS = 2_000
NOT_YET = (
    "*Not recorded yet: `python benchmarks/ingest.py` makes benchmarks/results/ingest.json, then run "
    "`python benchmarks/scale.py`.*"
)

BYTES_A_DIMENSION = {"fp32": 4.0, "fp16": 2.0, "byte": 1.0, "binary": 0.125}
# docs.opensearch.org, k-NN vector quantization and memory estimation: 1.1 * (bytes a dimension * d + 8 m) a vector.
OVERHEAD, BYTES_A_LINK = 1.1, 8
# docs.opensearch.org, k-NN settings, knn.memory.circuit_breaker.limit: half of what the JVM leaves of a machine.
BREAKER = 0.5
MACHINE_GB, HEAP_GB = 128, 32
# AWS Well-Architected, OpenSearch Service lens, AOSPERF01-BP01: 10 to 30 GB a shard for search.
SHARD_GB = 30


@dataclass(frozen=True)
class Published:
    """A rate at which others encode pictures.

    Attributes:
        what: tower and card.
        per_second: pictures.
        source: who says so.
    """

    what: str
    per_second: float
    source: str


RATES = (
    Published("ViT-B/32, RTX 3080", 1500, "clip-retrieval"),
    Published("ViT-B/32, TITAN RTX", 286, "CLIP-as-service"),
    Published("ViT-L/14, TITAN RTX", 140, "CLIP-as-service"),
)
# AWS, EC2 on demand, g5.xlarge (one A10G) in us-east-1, June 2026, as factualminds.com quotes it.
DOLLARS_AN_HOUR = 1.006


def main() -> int:
    """Rewrite, check or measure; gives the exit code."""
    if "--documents" in sys.argv:
        record.write("documents", documents())
        return 0
    before = PAGE.read_text(encoding="utf-8")
    after = before
    for name, table in (("memory", memory()), ("shards", shards()), ("gpu", gpu_hours()), ("host", host())):
        after = _placed(after, name, table, keep=NOT_YET if "--check" in sys.argv else None)
    if "--check" in sys.argv:
        print("" if after == before else "docs/scale.md is not what benchmarks/scale.py computes")
        return int(after != before)
    PAGE.write_text(after, encoding="utf-8")
    return 0


def links(products: int) -> int:
    """Links a product in the graph, as ingest chooses them for so many products."""
    m: int = vector_field(DIM, "faiss", IngestConfig(), products)["method"]["parameters"]["m"]
    return m


def vector_bytes(precision: str, products: int, dim: int = DIM, m: int | None = None) -> float:
    """Memory of all vectors with their graph."""
    chosen = links(products) if m is None else m
    return products * OVERHEAD * (BYTES_A_DIMENSION[precision] * dim + BYTES_A_LINK * chosen)


def machines(size: float) -> int:
    """Machines whose memory for vectors holds so many bytes; two at least, as a replica needs another one."""
    return max(2, math.ceil(size / (BREAKER * (MACHINE_GB - HEAP_GB) * 10**9)))


def index_bytes(products: int, document: float) -> float:
    """Disk of one copy of the index: the vectors as they were sent, the graph, and the documents."""
    return products * (4 * DIM + document) + vector_bytes("fp32", products)


def memory() -> str:
    """Vector memory by precision, and the machines that it fills with one replica."""
    rows = [f"| products | m | {' | '.join(BYTES_A_DIMENSION)} |", "|---|---:|" + "---:|" * len(BYTES_A_DIMENSION)]
    for name, products in SIZES.items():
        cells = []
        for precision in BYTES_A_DIMENSION:
            size = vector_bytes(precision, products)
            cells.append(f"{_size(size)}, {machines(2 * size):,} machines")
        rows.append(f"| {name} | {links(products)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def shards() -> str:
    """Disk and primary shards, with the measured size of a document."""
    measured = _result("documents")
    rows = ["| products | one copy on disk | primary shards | products a shard |", "|---|---:|---:|---:|"]
    for name, products in SIZES.items():
        size = index_bytes(products, measured["document_bytes"])
        count = math.ceil(size / (SHARD_GB * 10**9))
        rows.append(f"| {name} | {_size(size)} | {count:,} | {products / count / 10**6:.1f} M |")
    text = (
        f"A document without its vector is {measured['document_bytes']:,.0f} bytes, {measured['thumbnail_bytes']:,.0f} "
        f"of them its thumbnail: mean of {measured['products']:,} real products (benchmarks/results/documents.json)."
    )
    return "\n".join([*rows, "", text])


def gpu_hours() -> str:
    """Hours and dollars of encoding once."""
    rows = [
        f"| encoder | pictures a second | {' | '.join(f'{name}, GPU hours' for name in SIZES)} | $ a million |",
        "|---|---:|" + "---:|" * (len(SIZES) + 1),
    ]
    for rate in RATES:
        hours = [products / rate.per_second / 3600 for products in SIZES.values()]
        dollars = 10**6 / rate.per_second / 3600 * DOLLARS_AN_HOUR
        cells = " | ".join(f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in hours)
        rows.append(f"| {rate.what} ({rate.source}) | {rate.per_second:,.0f} | {cells} | {dollars:.2f} |")
    return "\n".join(rows)


def host() -> str:
    """What one ingesting process does by itself, measured; and how many GPUs it keeps busy."""
    if not (record.RESULTS / "ingest.json").exists():
        return NOT_YET
    measured = _result("ingest")
    lines = [
        "| measured (benchmarks/results/ingest.json) | products a second | 1 M | 100 M | 1 B |",
        "|---|" + "---:|" * 4,
    ]
    for part, key, name in (
        ("encoder", "encoder_alone_per_second", "encoder alone, on this CPU"),
        ("encoder", "end_to_end_per_second", "end to end, on this CPU"),
        ("host", "ours_per_second", "host side alone: read, decode, compare, write"),
    ):
        if key in measured.get(part, {}):
            rate = statistics.median(measured[part][key])
            times = " | ".join(f"{products / rate / 3600:,.1f} h" for products in SIZES.values())
            lines.append(f"| {name} | {rate:,.1f} | {times} |")
    if len(lines) == 2:
        return NOT_YET
    part = measured.get("encoder") or measured["host"]
    machine = part["machine"]
    return "\n".join([*lines, "", f"On {machine['cores']} cores ({machine['cpu']}), commit {part['commit'][:7]}."])


def documents() -> dict[str, Any]:
    """Bytes of the documents that ingest writes for real products, without their vectors."""
    file = record.FASHION / "valid.parquet"
    sizes, thumbnails = [], []
    for product in islice(CatalogueFile(file).products(lambda _: None), MEASURED_DOCUMENTS):
        draft = make_draft(product, "0" * 64, thumbnails=True)
        thumbnail = make_thumbnail(draft.product) or ""
        thumbnails.append(len(thumbnail))
        # The marks: three hashes of 64 digits and their names.
        sizes.append(len(draft.source) + len(thumbnail) + 3 * 64 + 80)
    return {
        **record.provenance([], [file]),
        "products": len(sizes),
        "document_bytes": round(statistics.mean(sizes), 1),
        "thumbnail_bytes": round(statistics.mean(thumbnails), 1),
        "note": "JSON as it is sent, uncompressed; vectors apart",
    }


def _size(size: float) -> str:
    for unit, limit in (("GB", 10**12), ("TB", 10**15)):
        if size < limit:
            return f"{size / limit * 1000:,.1f} {unit}"
    return f"{size / 10**15:,.1f} PB"


def _result(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((record.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _placed(text: str, name: str, table: str, keep: str | None) -> str:
    """The page with a table in its place; one that says `keep` may stay."""

    def put(found: re.Match[str]) -> str:
        return found[0] if keep is not None and found[2].strip() == keep else f"{found[1]}{table}\n{found[3]}"

    return re.sub(rf"(?s)(<!-- {name} -->\n)(.*?)(<!-- end -->)", put, text, count=1)


if __name__ == "__main__":
    sys.exit(main())
