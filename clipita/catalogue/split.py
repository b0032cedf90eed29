"""The split of a catalogue into products to train on, to stop training by and to measure on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.catalogue.fields import product_id, require_id
from clipita.catalogue.product import Rejection
from clipita.catalogue.reader import open_source
from clipita.config import FieldsConfig
from clipita.errors import ProductError, UsageError
from clipita.files import replacing

PARTS = ("train", "valid", "test")
_SUFFIXES = {".gz", ".zst"}

OnRows = Callable[[int, int | None], None]


@dataclass(frozen=True)
class SplitReport:
    """What was written.

    Attributes:
        files: part to its file.
        counts: part to its number of rows.
        rejected: rows without a readable id, which are in none of the files.
    """

    files: Mapping[str, Path]
    counts: Mapping[str, int]
    rejected: tuple[Rejection, ...]


def part_of(product_id: str, seed: int = 0) -> str:
    """The part of a product by its id alone: train (80 %), valid or test (10 % each).

    A product stays in its part however the catalogue grows, is sorted or comes in several files, and whichever command
    splits it. Another seed gives other parts.
    """
    key = product_id if seed == 0 else f"{seed} {product_id}"
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 10
    return "train" if bucket < 8 else PARTS[bucket - 7]


def in_sample(product_id: str, share: float, seed: int = 0) -> bool:
    """Whether a product is in a sample of this share; a larger share keeps all products of a smaller one."""
    salt = hashlib.blake2b(f"sample {seed}".encode(), digest_size=16).digest()
    digest = hashlib.blake2b(product_id.encode(), digest_size=8, salt=salt).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def split_catalogue(
    file: Path, fields: FieldsConfig, on_rows: OnRows = lambda *_: None, *, force: bool = False
) -> SplitReport:
    """Write NAME-train, NAME-valid and NAME-test beside the file, so that relative image paths stay valid.

    The format stays, but XML and JSON documents become JSON Lines, and packed text plain. Rows are copied unchanged,
    with every column.

    Of the mapping only the id is used. `on_rows` is called with the number of rows done, and of all rows.

    Raises:
        UsageError: such files exist already and `force` is not set, or they cannot be written.
        FieldMappingError: the file has no such column for the id.
        CatalogueError: the file cannot be read, breaks off or is damaged.
    """
    source = open_source(file, fields.columns)
    require_id(fields, source.columns, file)
    files = {part: _target(file, part, source.copied_as) for part in PARTS}
    present = [target for target in files.values() if target.exists()]
    if present and not force:
        raise UsageError(f"{present[0]} exists already.", hint="Replace it with --force.")
    counts = dict.fromkeys(PARTS, 0)
    rejected: list[Rejection] = []
    try:
        with ExitStack() as stack:
            drafts = {part: stack.enter_context(replacing(target)) for part, target in files.items()}
            sinks = {part: source.sink(draft, stack) for part, draft in drafts.items()}
            for done, (number, cell, row) in enumerate(source.stored(fields.id), start=1):
                on_rows(done, source.rows)
                try:
                    part = _part(cell, fields)
                except ProductError as error:
                    rejected.append(Rejection(str(file), number, None, error.message))
                    continue
                sinks[part](row)
                counts[part] += 1
    except OSError as error:
        raise UsageError(f"{file.parent} cannot be written: {error}.", hint="Copy the catalogue elsewhere.") from error
    return SplitReport(files, counts, tuple(rejected))


def _target(file: Path, part: str, suffix: str) -> Path:
    plain = file.with_suffix("") if file.suffix.lower() in _SUFFIXES else file
    return plain.with_name(f"{plain.stem}-{part}{suffix or plain.suffix}")


def _part(cell: Any, fields: FieldsConfig) -> str:
    if isinstance(cell, ProductError):
        raise cell
    return part_of(product_id({fields.id: cell}, fields))
