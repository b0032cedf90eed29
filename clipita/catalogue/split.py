"""One catalogue file as three: products to learn from, to stop by and to measure on."""

from __future__ import annotations

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.catalogue.csv import DelimitedSource
from clipita.catalogue.fields import product_id, require_id
from clipita.catalogue.parquet import ParquetSink, ParquetSource
from clipita.catalogue.product import Rejection
from clipita.catalogue.reader import open_source
from clipita.catalogue.rows import FileSource
from clipita.config import FieldsConfig
from clipita.errors import ProductError, UsageError

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


def part_of(product_id: str) -> str:
    """The part of a product by its id alone: train (80 %), valid or test (10 % each).

    A product stays in its part however the catalogue grows, is sorted or comes in several files.
    """
    bucket = int.from_bytes(hashlib.sha256(product_id.encode()).digest()[:4], "big") % 10
    return "train" if bucket < 8 else PARTS[bucket - 7]


def split_catalogue(
    file: Path, fields: FieldsConfig, on_rows: OnRows = lambda *_: None, *, force: bool = False
) -> SplitReport:
    """Write NAME-train, NAME-valid and NAME-test beside the file, so that relative picture paths stay right.

    The format stays; compressed text becomes plain. Rows are copied as they are, with every column.

    Args:
        file: the catalogue.
        fields: of which only the id counts.
        on_rows: is told how many rows are done, and of how many.
        force: replace earlier files.

    Raises:
        UsageError: such files are there already, or cannot be written.
        FieldMappingError: the file has no such column for the id.
        CatalogueError: the file cannot be read, breaks off or is damaged half-way.
    """
    source = open_source(file)
    require_id(fields, source.columns, file)
    files = {part: _target(file, part) for part in PARTS}
    present = [target for target in files.values() if target.exists()]
    if present and not force:
        raise UsageError(f"{present[0]} is there already.", hint="Replace it with --force.")
    try:
        draft = Path(tempfile.mkdtemp(prefix=".splitting-", dir=file.parent))
    except OSError as error:
        raise UsageError(
            f"{file.parent} cannot be written: {error.strerror}.", hint="Copy the catalogue elsewhere."
        ) from error
    drafts = {part: draft / target.name for part, target in files.items()}
    counts = dict.fromkeys(PARTS, 0)
    rejected: list[Rejection] = []
    try:
        with ExitStack() as stack:
            sinks = _sinks(source, drafts, stack)
            for done, (number, part, row) in enumerate(_placed(source, fields), start=1):
                on_rows(done, source.rows)
                if isinstance(part, ProductError):
                    rejected.append(Rejection(str(file), number, None, part.message))
                else:
                    sinks[part](row)
                    counts[part] += 1
        for part, target in files.items():
            drafts[part].replace(target)
    except OSError as error:
        raise UsageError(f"{file.parent} cannot be written: {error}.", hint="Is the disk full?") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return SplitReport(files, counts, tuple(rejected))


def _target(file: Path, part: str) -> Path:
    plain = file.with_suffix("") if file.suffix.lower() in _SUFFIXES else file
    return plain.with_name(f"{plain.stem}-{part}{plain.suffix}")


def _placed(source: FileSource, fields: FieldsConfig) -> Iterator[tuple[int, str | ProductError, Any]]:
    """Each row's number, its part or what is wrong with it, and the row as it stands."""
    for number, cell, row in source.stored(fields.id):
        if isinstance(cell, ProductError):
            yield number, cell, row
            continue
        try:
            yield number, part_of(product_id({fields.id: cell}, fields)), row
        except ProductError as error:
            yield number, error, row


def _sinks(source: FileSource, drafts: Mapping[str, Path], stack: ExitStack) -> Mapping[str, Callable[[Any], object]]:
    """Where a row of each part goes, in the source's format."""
    if isinstance(source, ParquetSource):
        return {part: ParquetSink(stack, file, source.schema) for part, file in drafts.items()}
    streams = {
        part: stack.enter_context(file.open("w", encoding="utf-8", newline="", errors="surrogateescape"))
        for part, file in drafts.items()
    }
    if not isinstance(source, DelimitedSource):
        return {part: stream.write for part, stream in streams.items()}
    writers = {part: csv.writer(stream, delimiter=source.delimiter) for part, stream in streams.items()}
    for writer in writers.values():
        writer.writerow(source.columns)
    return {part: writer.writerow for part, writer in writers.items()}
