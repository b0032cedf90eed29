"""Export of the shop's own index as catalogue files, to train a model where there is no feed."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.split import PARTS, in_sample, part_of
from clipita.catalogue.variants.groups import GROUP_FIELD
from clipita.errors import UsageError
from clipita.files import replacing
from clipita.opensearch.ingest.index_source import IndexSource


@dataclass
class ExportReport:
    """What was written: `written` counts products by part."""

    index: str
    documents: int
    without_category: int
    unusable: int
    first_problem: str | None
    written: dict[str, int]


def export_catalogue(
    source: IndexSource,
    folder: Path,
    products: int | None = None,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    force: bool = False,
) -> ExportReport:
    """Write train, valid and test.jsonl.gz, with the column names that all commands expect by default.

    A product's part, and whether it is in a sample, depend on its group or else its id, and on the seed alone (see
    `clipita.catalogue.split`): an export after changes in the shop trains and measures on the same products. `products`
    is the approximate size of a sample; `report` gets the number of documents read, and of all documents.

    Raises:
        UsageError: the files exist already and `force` is not set, or the folder cannot be written.
    """
    files = {part: folder / f"{part}.jsonl.gz" for part in PARTS}
    present = [file for file in files.values() if file.exists()]
    if present and not force:
        raise UsageError(f"{present[0]} exists already.", hint="Name another folder, or replace it with --force.")
    total = source.total
    share = 1.0 if products is None else min(1.0, products / max(1, total))
    found = ExportReport(source.name, 0, 0, 0, None, dict.fromkeys(PARTS, 0))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            streams = {part: stack.enter_context(_compressed(file, stack)) for part, file in files.items()}
            for item in source.items(lambda _: None):
                found.documents += 1
                report(found.documents, total)
                if item.problem is not None:
                    found.unusable += 1
                    found.first_problem = found.first_problem or f"{item.product.id}: {item.problem}"
                elif not item.product.category_paths:
                    found.without_category += 1
                elif in_sample(key := item.product.extra.get(GROUP_FIELD) or item.product.id, share, seed):
                    part = part_of(key, seed)
                    streams[part].write(orjson.dumps(_row(item.product)) + b"\n")
                    found.written[part] += 1
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.", hint="Name another folder.") from error
    return found


def _compressed(file: Path, stack: ExitStack) -> gzip.GzipFile:
    """A draft of the file as a gzip stream without name and time, so that equal products give equal files."""
    draft = stack.enter_context(replacing(file))
    return gzip.GzipFile("", "wb", 3, stack.enter_context(draft.open("wb")), mtime=0)


def _row(product: Product) -> dict[str, Any]:
    images = [_location(image) for image in product.images]
    group = product.extra.get(GROUP_FIELD)
    return ({} if group is None else {GROUP_FIELD: group}) | {
        "product_id": product.id,
        "title": product.title,
        "category_path": product.category_cell,
        "attributes": dict(product.attributes),
        "image": images if len(images) > 1 else next(iter(images), None),
    }


def _location(image: ImageSource) -> str | None:
    if image.data is not None:
        # The bytes tell the format.
        return f"data:image;base64,{base64.b64encode(image.data).decode()}"
    # The files lie in another folder than the images.
    return str(image.path) if image.roots else image.location
