"""Catalogue files as a stream of products, and the table of their formats."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clipita.catalogue.attribute_names import AttributeCount, names_in
from clipita.catalogue.category_cells import category_paths
from clipita.catalogue.cell_values import field_name
from clipita.catalogue.column_types import ColumnType, Survey, typed
from clipita.catalogue.fields import mapped_columns, product_id, resolve_columns, row_to_product
from clipita.catalogue.formats.csv import DelimitedSource
from clipita.catalogue.formats.document import JsonDocumentSource, is_document
from clipita.catalogue.formats.excel import ExcelSource
from clipita.catalogue.formats.jsonl import JsonLinesSource, JsonLinesStream
from clipita.catalogue.formats.parquet import ParquetSource
from clipita.catalogue.formats.rows import FileSource, NumberedRow, Row, Source, html_page, is_html
from clipita.catalogue.formats.xml import XmlSource
from clipita.catalogue.ids import IdColumn, IdTable
from clipita.catalogue.product import Product, Rejection
from clipita.catalogue.variants.groups import GROUP_FIELD, Groups
from clipita.catalogue.variants.merge import VARIANTS_FIELD, main_row, one_product
from clipita.config import FieldsConfig
from clipita.errors import CatalogueError, FieldMappingError, ProductError

OnReject = Callable[[Rejection], None]

Opener = Callable[[Path], FileSource]


def _json(file: Path) -> FileSource:
    return JsonDocumentSource(file) if is_document(file) else JsonLinesSource(file)


_TEXT: dict[str, Opener] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json),
    **dict.fromkeys((".csv", ".tsv", ".txt"), DelimitedSource),
    **dict.fromkeys((".xml", ".rss", ".atom"), XmlSource),
}
FORMATS: dict[str, Opener] = {
    ".parquet": ParquetSource,
    ".pq": ParquetSource,
    **dict.fromkeys((".xlsx", ".xls", ".ods"), ExcelSource),
    **{f"{suffix}{packed}": opener for packed in ("", ".gz", ".zst") for suffix, opener in _TEXT.items()},
}
"""What opens a file, by the end of its name; another format is a module with a `FileSource` and a row here."""


@dataclass(frozen=True)
class _Scan:
    """What is known after all rows of a file are read once; nothing of a stream, whose values stay as they are.

    Attributes:
        groups: which rows are one product; None where the catalogue has no groups.
        attributes: their names.
    """

    types: dict[str, ColumnType]
    groups: Groups | None
    attributes: AttributeCount = dataclasses.field(default_factory=AttributeCount)


class CatalogueFile:
    """One catalogue file.

    Formats: see `FORMATS`; JSON has one object per line, or is a document with an array of them. The file is opened and
    its columns are checked at once, so that a wrong name fails before any work.

    Args:
        file: the catalogue.
        fields: which column is what.
        image_root: folder that image files lie in; default: the file's own. More folders: `images.files.configure`.
        stream: JSON lines to read once instead of the file, whose path is then only a name.

    Attributes:
        fields: the mapping without absent columns.
        columns: all columns of the file.
        extra_columns: those that go to `Product.extra`.
        dropped_columns: unmapped columns of raw bytes, which are not read.

    Raises:
        CatalogueError: the file is missing, a folder, unreadable, empty, of an unknown or damaged format, or holds no
            row.
        FieldMappingError: see `fields.resolve_columns`; or a column has the name of a field that groups need. Reading
            raises it too, where the values of the id column repeat in most rows.
    """

    def __init__(
        self,
        file: Path,
        fields: FieldsConfig | None = None,
        image_root: Path | None = None,
        stream: BinaryIO | None = None,
    ) -> None:
        self.file = Path(file)
        fields = fields or FieldsConfig()
        self._source: Source = (
            open_source(self.file, fields.columns) if stream is None else JsonLinesStream(stream, self.file)
        )
        self.columns = tuple(self._source.columns)
        self.fields = resolve_columns(fields, self.columns, self.file)
        self._image_root = Path(image_root or self.file.parent).absolute()
        others = [name for name in self.columns if name and name not in mapped_columns(self.fields)]
        self.dropped_columns = tuple(name for name in others if name in self._source.binary_columns)
        self.extra_columns = tuple(name for name in others if name not in self.dropped_columns)
        for name in (GROUP_FIELD, VARIANTS_FIELD) if self.fields.group else ():
            if name in self.extra_columns:
                raise FieldMappingError(
                    f"{self.file} has a column {name!r}, the name of the field for groups.",
                    hint="Rename the column in the catalogue, or name it as the group.",
                )

    @property
    def rows(self) -> int | None:
        """How many rows the file has, unusable ones included, for which text files are read once; None for a stream."""
        return self._source.rows

    @property
    def types(self) -> dict[str, ColumnType]:
        """The type of each extra column, for which the file is read once; empty for a stream, whose values stay.

        A column of numbers has numbers in all rows, however they are written; see `column_types`.
        """
        return self._scan.types

    @property
    def attribute_names(self) -> AttributeCount:
        """The names of attributes with their rows, for which the file is read once; empty for a stream."""
        return self._scan.attributes

    def survey(self) -> None:
        """Read the file once, for what only all of its rows tell; it is read again only for its products.

        Raises:
            FieldMappingError: the id column's values repeat in most rows.
            CatalogueError: the file breaks off or is damaged.
        """
        _ = self._scan

    @property
    def joins_rows(self) -> bool:
        """Whether the rows of a group become one product."""
        return bool(self.fields.group) and self.fields.variants == "one"

    @functools.cached_property
    def _scan(self) -> _Scan:
        groups = Groups(self.fields, self.columns) if self.fields.group else None
        if self.rows is None:
            return _Scan({}, groups)
        mapped = mapped_columns(self.fields)
        survey = Survey(texts=isinstance(self._source, DelimitedSource))
        ids = IdColumn(self.file, self._source, self.fields)
        attributes = AttributeCount()
        unread = {*mapped, *self.dropped_columns} - {self.fields.id, self.fields.group, *self.fields.attributes}
        for number, row in self._source.records(unread):
            if isinstance(row, ProductError):
                continue
            survey.add(row, row.keys() - mapped)
            attributes.add(names_in(row, self.fields.attributes))
            if groups is not None:
                groups.add(number, row)
            ids.add(number, row)
        ids.check(groups.count if groups is not None and self.joins_rows else ids.rows)
        return _Scan(survey.types(), groups, attributes)

    @functools.cached_property
    def renamed(self) -> dict[str, str]:
        """The extra columns whose name no field can have, each with the name that it has in an index.

        Of `size` and `size.eu` the latter would be a part of the former, unless that is an object.
        """
        plain = {name for name in self.extra_columns if (kind := self.types.get(name)) and kind.kind != "object"}
        inside = {
            name: name.replace(".", "_")
            for name in self.extra_columns
            if any(name[:at] in plain for at, mark in enumerate(name) if mark == ".")
        }
        names = {name: inside.get(name, field_name(name)) for name in self.extra_columns}
        return {name: new for name, new in names.items() if new != name}

    @functools.cached_property
    def roots(self) -> frozenset[str]:
        """The names that begin category paths, for which the file is read once; empty where nobody needs them.

        They tell a comma between paths from one in a name; see `category_cells.path_parts`.
        """
        column = self.fields.category_path
        if self.rows is None or not column or self.fields.path_separator.strip() != ",":
            return frozenset()
        found: set[str] = set()
        for _, row in self._source.records([name for name in self.columns if name != column]):
            with contextlib.suppress(ProductError):
                paths = [] if isinstance(row, ProductError) else category_paths(row.get(column), self.fields)
                found.update(path[0] for path in paths)
        return frozenset(found)

    def products(self, on_reject: OnReject | None = None) -> Iterator[Product]:
        """The usable products, in the file's order; images are not opened.

        Args:
            on_reject: called for each row that gives no product, or whose id an earlier product has. None: the first
                such row raises.

        Raises:
            ProductError: a bad row, when `on_reject` is None; names file and row.
            CatalogueError: the file breaks off or is damaged.
        """
        return (product for _, product in self.numbered_products(on_reject))

    def numbered_products(self, on_reject: OnReject | None = None) -> Iterator[tuple[int, Product]]:
        """The same as `products`, each with its row (see `Rejection.row`); in a stream an id may come again.

        Where the rows of a group are one product, it comes with the last of them, in the place of that row, and a
        stream's rows are one only where they follow each other.
        """

        def refuse(number: int, row: Row | ProductError, error: ProductError) -> None:
            if on_reject is None:
                raise type(error)(f"{self.file}, row {number}: {error.message}.", hint=error.hint) from error
            on_reject(self.rejection(number, _id_of(row, self.fields), error))

        first_rows = IdTable()
        # Read before the first row is, so that only one pass over the file is under way at a time.
        _ = self._scan, self.roots
        for rows in self._rows_by_product():
            main, row = rows[0] if len(rows) == 1 else main_row(rows, self.fields, self._is_head)
            try:
                if isinstance(row, ProductError):
                    raise row
                if len(rows) == 1:
                    product = self._product(row)
                else:
                    product = one_product(rows, main, self.fields, self._product, self._is_head, refuse)
                self._check_first(product.id, main, first_rows)
            except ProductError as error:
                for number, row in rows:
                    lost = ProductError(f"the row of its product is rejected: row {main}")
                    refuse(number, row, error if number == main else lost)
                continue
            yield main, product

    def rejection(self, row: int, id_: str | None, error: ProductError) -> Rejection:
        """A rejection in this file's name."""
        return Rejection(file=str(self.file), row=row, id=id_, reason=error.message)

    def _rows_by_product(self) -> Iterator[list[NumberedRow]]:
        """The rows of each product; an unreadable row is alone."""
        groups = self._scan.groups
        records = self._source.records(self.dropped_columns)
        if groups is None or not self.joins_rows:
            return ([record] for record in records)
        return groups.consecutive(records, self.file) if self.rows is None else groups.gathered(records, self.file)

    def _check_first(self, id_: str, number: int, first_rows: IdTable) -> None:
        first = number if self.rows is None else first_rows.setdefault(id_, number)
        if first != number:
            raise ProductError(f"the id occurs twice: row {first} has it already")

    def _is_head(self, row: Row) -> bool:
        return self._scan.groups is not None and self._scan.groups.is_head(row)

    def _product(self, row: Row) -> Product:
        row = typed(row, self._scan.types, self.columns)
        if any(name in row for name in self.renamed):
            row = {self.renamed.get(name, name): value for name, value in row.items()}
        product = row_to_product(row, self.fields, self.roots).located(self._image_root)
        if self._scan.groups is None or (group := self._scan.groups.of(row)) is None:
            return product
        return dataclasses.replace(product, extra={**product.extra, GROUP_FIELD: group})


def files_in(folder: Path) -> list[Path]:
    """All catalogue files of a folder and those below it, sorted, without hidden ones and without `.txt`, mostly notes.

    Raises:
        CatalogueError: the folder holds no catalogue file.
    """
    found = sorted(file for file in folder.rglob("*") if _is_catalogue(file, folder))
    if not found:
        raise CatalogueError(f"The folder {folder} holds no catalogue file.", hint=_known())
    return found


def _is_catalogue(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return _opener(file) is not None and file.suffix.lower() != ".txt" and file.is_file() and not hidden


def open_source(file: Path, columns: Sequence[str] = ()) -> FileSource:
    """The file's reader, by its suffix; `columns` are the names in a CSV file without a header line.

    Raises:
        CatalogueError: the file is missing, a folder, unreadable, empty, of an unknown or damaged format, or without
            any row.
    """
    _check_readable(file)
    opener = _opener(file)
    if opener is None:
        raise CatalogueError(f"{file} is not of a known catalogue format.", hint=_known())
    source = opener(file) if not columns or opener is not DelimitedSource else DelimitedSource(file, columns)
    if source.rows == 0 or not source.columns:
        raise CatalogueError(f"{file} holds no product.", hint="Give a file with at least one row.")
    return source


_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    **dict.fromkeys((b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x08"), "packed by gzip"),
}
_PACKED = {".gz", ".zst", ".xlsx", ".ods", ".parquet", ".pq"}


def _opener(file: Path) -> Opener | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    return FORMATS.get("".join(suffixes[-2:])) or FORMATS.get("".join(suffixes[-1:]))


def _known() -> str:
    suffixes = [suffix for suffix in FORMATS if suffix.count(".") == 1]
    return f"Known are {', '.join(suffixes)}; text formats also with .gz or .zst behind."


def _check_readable(file: Path) -> None:
    try:
        status = file.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CatalogueError(f"{file} is a folder.", hint="Name one catalogue file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise CatalogueError(f"{file} is not a regular file.")
        with file.open("rb") as stream:
            start = stream.read(512)
    except FileNotFoundError:
        raise CatalogueError(f"There is no catalogue file {file}.", hint="Check the path.") from None
    except OSError as error:
        raise CatalogueError(f"{file} cannot be opened: {error.strerror}.", hint="Check its permissions.") from error
    if status.st_size == 0:
        raise CatalogueError(f"{file} is empty.", hint="Give a file with at least one row.")
    if is_html(start):
        raise html_page(file)
    archive = _ARCHIVES.get(start[:4])
    if archive and file.suffix.lower() not in _PACKED:
        raise CatalogueError(
            f"{file} is {archive}, whatever its name says.",
            hint="Unpack it, or name a spreadsheet .xlsx and a file packed by gzip .gz.",
        )


def _id_of(row: Row | ProductError, fields: FieldsConfig) -> str | None:
    if isinstance(row, ProductError):
        return None
    try:
        return product_id(row, fields)
    except ProductError:
        return None
