"""The split of a catalogue into products to train on, to stop training by and to measure on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clipita.catalogue.fields import check_group, product_id, require_id
from clipita.catalogue.formats.rows import FileSource
from clipita.catalogue.guessing.fields import SAMPLED_ROWS, guess_fields
from clipita.catalogue.guessing.groups import guess_group
from clipita.catalogue.ids import IdColumn
from clipita.catalogue.product import Rejection
from clipita.catalogue.reader import open_source
from clipita.catalogue.variants.groups import Groups
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
        group: the column by which rows of one product stay together; empty where each row is by itself.
        why: why this column was guessed; empty where it was named.
    """

    files: Mapping[str, Path]
    counts: Mapping[str, int]
    rejected: tuple[Rejection, ...]
    group: str = ""
    why: str = ""


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
    file: Path, fields: FieldsConfig, on_rows: OnRows = lambda *_: None, *, force: bool = False, guess: bool = True
) -> SplitReport:
    """Write NAME-train, NAME-valid and NAME-test beside the file, so that relative image paths stay valid.

    The format stays, but XML and JSON documents become JSON Lines, and packed text plain. Rows are copied unchanged,
    with every column.

    Rows of one group (`fields.group`) are in one part; a row without a group is by its id. Where no group is named and
    `guess` is set, it is guessed. `on_rows` is called with the number of rows done, and of all rows.

    Raises:
        UsageError: such files exist already and `force` is not set, or they cannot be written, or one would be empty.
        FieldMappingError: the file has no such column for the id or the group, or the id repeats in most rows.
        CatalogueError: the file cannot be read, breaks off or is damaged.
    """
    source = open_source(file, fields.columns)
    require_id(fields, source.columns, file)
    fields, why = _with_group(file, source, fields) if guess and not fields.group else (fields, "")
    files = {part: _target(file, part, source.copied_as) for part in PARTS}
    present = [target for target in files.values() if target.exists()]
    if present and not force:
        raise UsageError(f"{present[0]} exists already.", hint="Replace it with --force.")
    groups = _surveyed(file, source, fields)
    counts = dict.fromkeys(PARTS, 0)
    rejected: list[Rejection] = []
    try:
        with ExitStack() as stack:
            drafts = {part: stack.enter_context(replacing(target)) for part, target in files.items()}
            sinks = {part: source.sink(draft, stack) for part, draft in drafts.items()}
            for done, (number, part, row) in enumerate(_placed(source, fields, groups), start=1):
                on_rows(done, source.rows)
                if isinstance(part, ProductError):
                    rejected.append(Rejection(str(file), number, None, part.message))
                    continue
                sinks[part](row)
                counts[part] += 1
            _check_filled(file, counts, rejected, fields.group)
    except OSError as error:
        raise UsageError(f"{file.parent} cannot be written: {error}.", hint="Copy the catalogue elsewhere.") from error
    return SplitReport(files, counts, tuple(rejected), fields.group, why)


def _with_group(file: Path, source: FileSource, fields: FieldsConfig) -> tuple[FieldsConfig, str]:
    """The mapping with the group that its first rows tell of, if any, and why."""
    known = guess_fields(file).fields if not fields.columns else {}
    roles = ("id", "title", "image", "category_path")
    named = {role: getattr(fields, role) for role in roles}
    mapping = {role: name if name in source.columns else known.get(role) for role, name in named.items()}
    records = islice(source.records(source.binary_columns), SAMPLED_ROWS)
    found = guess_group([row for _, row in records if not isinstance(row, ProductError)], source.columns, mapping)
    return dataclasses.replace(fields, group=found.settings.get("group", "")), found.reasons.get("group", "")


def _surveyed(file: Path, source: FileSource, fields: FieldsConfig) -> Groups | None:
    """The groups of all rows; a FieldMappingError where the file lacks the column, or the id column is no id."""
    check_group(fields, source.columns, file)
    groups = Groups(fields, source.columns) if fields.group else None
    ids = IdColumn(file, source, fields)
    for number, row in source.records(set(source.binary_columns) - {fields.id, fields.group}):
        if isinstance(row, ProductError):
            continue
        if groups is not None:
            groups.add(number, row)
        ids.add(number, row)
    ids.check(ids.rows if groups is None else groups.count)
    return groups


def _placed(
    source: FileSource, fields: FieldsConfig, groups: Groups | None
) -> Iterator[tuple[int, str | ProductError, Any]]:
    """Each row with its number and its part, or with what is wrong with it."""
    if groups is None:
        for number, cell, row in source.stored(fields.id):
            yield number, _part(cell, fields), row
        return
    records = source.records(set(source.binary_columns) - {fields.id, fields.group})
    for (number, cell, row), (_, cells) in zip(source.stored(fields.id), records, strict=True):
        group = None if isinstance(cells, ProductError) else groups.of(cells)
        yield number, _part(cell, fields) if group is None else part_of(group), row


def _check_filled(file: Path, counts: Mapping[str, int], rejected: Sequence[Rejection], group: str) -> None:
    rows = sum(counts.values())
    if not rows:
        raise UsageError(
            f"{file} cannot be split: none of the {len(rejected)} rows can be read: {rejected[0].reason}.",
            hint=f"Look into it with: clipita catalogue check {file}",
        )
    if empty := [part for part, count in counts.items() if not count]:
        raise UsageError(
            f"{file} cannot be split: no product would be in {' and '.join(empty)}, as {rows:,} rows have too few "
            f"different {f'groups by {group}' if group else 'ids'}.",
            hint="Split a larger catalogue, or name another column with --id-field or --group-field.",
        )


def _target(file: Path, part: str, suffix: str) -> Path:
    plain = file.with_suffix("") if file.suffix.lower() in _SUFFIXES else file
    return plain.with_name(f"{plain.stem}-{part}{suffix or plain.suffix}")


def _part(cell: Any, fields: FieldsConfig) -> str | ProductError:
    if isinstance(cell, ProductError):
        return cell
    try:
        return part_of(product_id({fields.id: cell}, fields))
    except ProductError as error:
        return error
