"""The steps of the runtime benchmark that run on every machine."""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from record import memory_mib
from runtime_sides import User, compared, export_small, refuse, turns

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.reader import CatalogueFile
from clipita.opensearch.ingest.stages import decoding_pool
from clipita.runtime import Bundle, ProductEncoder, TextEncoder, best_batch_size, encode_products
from clipita.runtime.preprocess import decode_size, to_pixels

QUERY = """
from clipita.runtime.bundle import Bundle, QUERY_FILES
from clipita.runtime.encoders import TextEncoder
TextEncoder(Bundle.load({path!r}, QUERY_FILES)).encode(["running shoes"])
print("first vector", flush=True)
"""
WARM_UP = 5
"""A stream's first fifth is its warm-up."""


def text(user: User, bundle: Bundle, products: Sequence[Product], rounds: int) -> dict[str, Any]:
    """Real category names and titles, each once."""
    names = sorted({name for item in products for name in item.category_names})
    texts = list(dict.fromkeys([*names, *(item.title or "" for item in products)]))
    encoder = TextEncoder(bundle)
    seconds = turns({"pytorch": lambda: user.texts(texts), "clipita": lambda: encoder.encode(texts)}, rounds)
    return compared("texts/s", (len(texts), seconds["pytorch"]), (len(texts), seconds["clipita"]))


def product(
    user: User, bundles: dict[str, Bundle], products: Sequence[Product], torch_products: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """Image, title and attributes; the cache of attributes starts empty in every round."""
    few = products[:torch_products]
    encoders = {precision: ProductEncoder(bundle) for precision, bundle in bundles.items()}

    def ours(encoder: ProductEncoder) -> None:
        encoder.forget()
        for _ in encode_products(encoder, products, batch_size=32, on_reject=refuse):
            pass

    sides = {"pytorch": lambda: user.products(few)}
    seconds = turns(sides | {name: lambda e=encoder: ours(e) for name, encoder in encoders.items()}, rounds)
    found = {
        name: compared("products/s", (len(few), seconds["pytorch"]), (len(products), seconds[name]))
        for name in bundles
    }  # fmt: skip
    whole, rounded = (_vectors(encoders[name], products) for name in ("fp32", "int8"))
    found["int8"]["lowest_cosine_with_fp32"] = float((whole * rounded).sum(axis=1).min())
    return found


def picture(user: User, bundle: Bundle, count: int, rounds: int) -> dict[str, Any]:
    """From the bytes of a 1000 x 1000 JPEG to what the encoder takes.

    Ours in a pool of threads, as ingest decodes, and for comparison in one thread; a user's loop has one.
    """
    files = [_drawn_jpeg(seed) for seed in range(count)]
    spec = bundle.image_spec
    size = decode_size(spec)

    def prepared(data: bytes) -> Any:
        return to_pixels(load_image(ImageSource(data), at_least=size), spec)

    with decoding_pool() as pool:
        seconds = turns(
            {
                "pytorch": lambda: [user.preprocess(Image.open(io.BytesIO(data))) for data in files],
                "clipita": lambda: list(pool.map(prepared, files)),
                "one thread": lambda: [prepared(data) for data in files],
            },
            rounds,
        )
    found = compared("pictures/s", (count, seconds["pytorch"]), (count, seconds["clipita"]))
    found["times in one thread"] = statistics.median(seconds["pytorch"]) / statistics.median(seconds["one thread"])
    with torch.no_grad():
        whole = [user.preprocess(Image.open(io.BytesIO(data))) for data in files]
        reduced = [torch.tensor(prepared(data)) for data in files]
        mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
        scaled = [((pixels / 255.0 - mean) / std).permute(2, 0, 1) for pixels in reduced]
        left, right = (user.model.encode_image(torch.stack(side), normalize=True) for side in (whole, scaled))
    return found | {"lowest_vector_cosine": float((left * right).sum(dim=1).min())}


def cold_start(bundle: Bundle, rounds: int) -> dict[str, Any]:
    """From the start of a process to the first text's vector; one round warms the disk's cache."""
    command = [sys.executable, "-c", QUERY.format(path=str(bundle.path.resolve()))]
    seconds, cpu = [], []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if process.stdout.readline() != "first vector\n":
                raise SystemExit("the query's process gave no vector")
            seconds.append(time.perf_counter() - start)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        cpu.append(used.ru_utime + used.ru_stime)
    return {"seconds": statistics.median(seconds[1:]), "cpu_seconds": statistics.median(cpu[1:]), "all": seconds[1:]}


def batch_size(bundle: Bundle, products: Sequence[Product]) -> dict[str, Any]:
    """What `best_batch_size` finds here."""
    encoder = ProductEncoder(bundle)
    chosen, rates = best_batch_size(encoder, [encoder.prepare(item) for item in products[:32]])
    return {"chosen": chosen, "products_per_second": rates}


def memory(file: Path, count: int) -> dict[str, Any]:
    """Resident memory while a stream of products is encoded, with towers so small that the stream is long."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = export_small(file, Path(folder))
        products = list(CatalogueFile(file).products(lambda _: None))
        stream = (products[number % len(products)] for number in range(count))
        curve, start = {}, time.perf_counter()
        for done, _ in enumerate(encode_products(ProductEncoder(bundle), stream, on_reject=refuse), 1):
            if done % (count // 20) == 0:
                curve[done] = memory_mib("self")
                print(f"{done:>8} products {curve[done]:8.1f} MiB", flush=True)
        seconds = time.perf_counter() - start
    warm = [value for done, value in curve.items() if done >= count // WARM_UP]
    return {
        "products": count,
        "mib_by_products": curve,
        "growth_after_warm_up": max(warm) / warm[0] - 1,
        "seconds": seconds,
    }


def _vectors(encoder: ProductEncoder, products: Sequence[Product]) -> Any:
    return np.stack([vector for _, vector in encode_products(encoder, products, on_reject=refuse)])


def _drawn_jpeg(seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize(
        (1000, 1000), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse, dtype=np.int16) + chance.normal(0, 8, (1000, 1000, 1)).astype(np.int16)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()
