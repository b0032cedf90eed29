"""The sample shop as files: train, valid and test in Parquet, each written in one pass and put in place when whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipita.catalogue.product import Product
from clipita.catalogue.sample.products import draw_products
from clipita.catalogue.split import PARTS, part_of
from clipita.errors import UsageError
from clipita.files import replacing

ROWS_AT_ONCE = 256

_SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("title", pa.string()),
        ("category_path", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("brand", pa.string()),
        ("price", pa.float64()),
        ("popularity", pa.float64()),
        ("stock", pa.int32()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)


def write_sample(
    folder: Path, products: int, seed: int, on_progress: Callable[[int], None], *, force: bool = False
) -> Mapping[str, int]:
    """Draw a shop into `folder`: train.parquet (80 %), valid.parquet and test.parquet (10 % each).

    Which split a product is in hangs on its id alone, so that a bigger shop of the same seed extends a smaller one.

    Args:
        folder: made when it is not there.
        products: how many, 1 or more.
        seed: another seed, another shop.
        on_progress: told how many are drawn.
        force: replace files of an earlier shop.

    Returns:
        Products by split.

    Raises:
        UsageError: the folder holds such files already and `force` is not set, or cannot be written.
    """
    if products < 1:
        raise UsageError(f"A shop of {products} products cannot be drawn.", hint="Ask for 1 or more.")
    present = [split for split in PARTS if (folder / f"{split}.parquet").exists()]
    if present and not force:
        raise UsageError(f"{folder} holds {present[0]}.parquet already.", hint="Replace the shop with --force.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            drafts = {split: stack.enter_context(replacing(folder / f"{split}.parquet")) for split in PARTS}
            return _write_splits(drafts, products, seed, on_progress)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error}.", hint="Name another folder.") from error


def _write_splits(
    drafts: dict[str, Path], products: int, seed: int, on_progress: Callable[[int], None]
) -> dict[str, int]:
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in PARTS}
    counts = dict.fromkeys(PARTS, 0)
    with ExitStack() as stack:
        writers = {split: stack.enter_context(pq.ParquetWriter(draft, _SCHEMA)) for split, draft in drafts.items()}
        for done, product in enumerate(draw_products(products, seed), start=1):
            split = part_of(product.id)
            counts[split] += 1
            rows[split].append(_row(product))
            if len(rows[split]) == ROWS_AT_ONCE:
                _flush(writers[split], rows[split])
            on_progress(done)
        for split in PARTS:
            _flush(writers[split], rows[split])
    return counts


def _flush(writer: pq.ParquetWriter, rows: list[dict[str, Any]]) -> None:
    if rows:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        rows.clear()


def _row(product: Product) -> dict[str, Any]:
    assert product.image is not None
    return {
        "product_id": product.id,
        "title": product.title,
        "category_path": list(product.category_path),
        "attributes": list(product.attributes.items()),
        "image": {"bytes": product.image.data, "path": product.image.location},
        **product.extra,
    }
