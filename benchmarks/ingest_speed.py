"""Speed: the whole run beside the encoder alone, our host side beside the naive way, and a run without changes."""

from __future__ import annotations

import argparse
import dataclasses
import io
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ingest_shop import VECTOR_FIELD, FixedVectors, Shop, first_rows, settings
from onnxruntime import SessionOptions
from opensearchpy import helpers
from PIL import Image
from record import target

from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.config import IngestConfig
from clipita.runtime import ProductEncoder, ProductInput

NO_OP = "no-op: every product gets the same vector"


def encoder(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Products per second of `clipita ingest`, and of the encoder fed with prepared products from memory.

    The ratio is taken with an encoder that has one thread: a core of its own, as it has a GPU of its own elsewhere, so
    that it shows how long it waits for its input. With a thread for every core encoder, decoder and node share the
    cores, and the ratio says what share of the machine the encoder gets; that one is reported beside it.
    """
    file = first_rows(options.data / "train.parquet", options.encoder_products)
    _warm_up(shop, options, settings(batch_size=options.batch_size))
    with patch("onnxruntime.SessionOptions", _one_thread):
        own = _beside(shop, file, options.batch_size, options.rounds)
    shared = _beside(shop, file, options.batch_size, 1)
    return {
        "products": options.encoder_products,
        "batch_size": options.batch_size,
        "one_encoder_thread": own,
        "as_many_threads_as_cores": shared,
        "targets": [
            target("end to end >= 0.95 x the encoder alone, one encoder thread", own["ratio"], own["ratio"] >= 0.95)
        ],
    }


def _beside(shop: Shop, file: Path, batch_size: int, rounds: int) -> dict[str, Any]:
    config = settings(batch_size=batch_size)
    model = ProductEncoder(shop.bundle)
    inputs = [model.prepare(product) for product in CatalogueFile(file).products(lambda _: None)]
    alone, whole, waits = [], [], []
    for number in range(rounds):
        model.forget()
        started = time.perf_counter()
        for start in range(0, len(inputs), batch_size):
            model.encode(inputs[start : start + batch_size])
        alone.append(len(inputs) / (time.perf_counter() - started))
        report = shop.ingest(file, f"bench-whole-{number}", config)
        whole.append(report.rate)
        waits.append({name: round(value, 2) for name, value in dataclasses.asdict(report.times).items()})
        shop.client.indices.delete(index=f"bench-whole-{number}*", params={"expand_wildcards": "all"})
    return {
        "encoder_alone_per_second": _rounded(alone),
        "end_to_end_per_second": _rounded(whole),
        "seconds_of_the_encoding_thread": waits,
        "ratio": round(statistics.median(whole) / statistics.median(alone), 3),
    }


def _one_thread() -> Any:
    settings = SessionOptions()
    settings.intra_op_num_threads = 1
    return settings


def host(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Our pipeline with a no-op for an encoder, beside `helpers.bulk` over a generator, in one thread.

    The naive way makes pictures into tensors by open_clip's own transform, as one would without clipita. Beside it
    stands the same with our decoder, which says what the pipeline alone gains.
    """
    config = settings(batch_size=options.batch_size, thumbnails=False)
    file = first_rows(options.data / "train.parquet", options.host_products)
    sides = {"naive": _own_transform(shop), "naive_with_our_decoder": ProductEncoder(shop.bundle).prepare}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", *sides)}
    _warm_up(shop, options, config)
    for number in range(options.rounds):
        alias = f"bench-host-{number}"
        with patch("clipita.opensearch.ingest.run.ProductEncoder", FixedVectors):
            runs["ours"].append(_timed(lambda alias=alias: shop.ingest(file, alias, config).products))  # type: ignore[misc]
        mapping = next(iter(shop.client.indices.get_mapping(index=alias).values()))["mappings"]
        fields = {name: mapping["properties"][name] for name in (VECTOR_FIELD, "title")}
        body = {"settings": {"index.knn": True}, "mappings": {"properties": fields}}
        for side, prepare in sides.items():
            index = f"bench-{side}-{number}".replace("_", "-")
            shop.client.indices.create(index=index, body=body)
            write = partial(_naive, shop, file, prepare, index)
            runs[side].append(_timed(write))
            shop.client.indices.delete(index=index)
        shop.client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
    rates = {side: statistics.median(rate for rate, _ in timed) for side, timed in runs.items()}
    ratio = round(rates["ours"] / rates["naive"], 2)
    return {
        "encoder": NO_OP,
        "products": options.host_products,
        **{f"{side}_per_second": _rounded([rate for rate, _ in timed]) for side, timed in runs.items()},
        **{f"{side}_per_core_second": _rounded([rate for _, rate in timed]) for side, timed in runs.items()},
        "ratio": ratio,
        "ratio_with_our_decoder": round(rates["ours"] / rates["naive_with_our_decoder"], 2),
        "note": "the node runs on the same cores",
        "targets": [target("host side >= 3 x the naive way", ratio, ratio >= 3)],
    }


def _own_transform(shop: Shop) -> Callable[[Product], Any]:
    """open_clip's transform for the bundle's frame, in one thread: torch would take all cores for it."""
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    torch.set_num_threads(1)
    spec = shop.bundle.image_spec
    transform = image_transform_v2(
        PreprocessCfg(
            size=(spec.height, spec.width), mean=spec.mean, std=spec.std, interpolation=spec.interpolation,
            resize_mode=spec.resize, fill_color=spec.fill,
        ),
        is_train=False,
    )  # fmt: skip

    def prepare(product: Product) -> Any:
        data = None if product.image is None else product.image.data
        return None if data is None else transform(Image.open(io.BytesIO(data)))

    return prepare


def _warm_up(shop: Shop, options: argparse.Namespace, config: IngestConfig) -> None:
    """A node that has just started runs at half its speed; none of the sides shall pay for that."""
    file = first_rows(options.data / "valid.parquet", 2000)
    with patch("clipita.opensearch.ingest.run.ProductEncoder", FixedVectors):
        for number in range(2):
            shop.ingest(file, f"bench-warm-{number}", config)
    shop.client.indices.delete(index="bench-warm-*", params={"expand_wildcards": "all"})


def unchanged(shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """The same run twice."""
    config = settings(batch_size=options.batch_size)
    first = shop.ingest(shop.file, "bench-again", config)
    again = [shop.ingest(shop.file, "bench-again", config) for _ in range(options.rounds)]
    seconds = statistics.median(report.seconds for report in again)
    share = round(seconds / first.seconds, 4)
    encoded = sum(report.encoded for report in again)
    return {
        "products": first.products,
        "first_seconds": round(first.seconds, 2),
        "again_seconds": [round(report.seconds, 2) for report in again],
        "targets": [
            target("re-run of an unchanged catalogue: 0 encoded", encoded, encoded == 0),
            target("re-run of an unchanged catalogue: <= 0.1 x the time", share, share <= 0.1),
        ],
    }


def _naive(shop: Shop, file: Path, prepare: Callable[[Product], Any], index: str) -> int:
    vector = FixedVectors(shop.bundle).encode([ProductInput(None, ())])[0]

    def actions() -> Iterator[dict[str, Any]]:
        for product in CatalogueFile(file).products(lambda _: None):
            prepare(product)
            yield {
                "_index": index,
                "_id": product.id,
                "title": product.title,
                "attributes": dict(product.attributes),
                "category_path": list(product.category_path),
                **product.extra,
                VECTOR_FIELD: [float(value) for value in vector],
            }

    written, _ = helpers.bulk(shop.client, actions())
    shop.client.indices.refresh(index=index)
    return int(written)


def _timed(run: Callable[[], int]) -> tuple[float, float]:
    """Products per second, and per second of this process on a core."""
    started, busy = time.perf_counter(), time.process_time()
    products = run()
    return products / (time.perf_counter() - started), products / (time.process_time() - busy)


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 1) for value in values]
