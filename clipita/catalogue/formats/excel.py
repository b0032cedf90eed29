"""Spreadsheets of Excel and LibreOffice as rows: the first sheet that has any."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from clipita.catalogue.formats.rows import NumberedRow, StoredRow, check_unique
from clipita.errors import CatalogueError, MissingExtraError, UsageError

LARGEST = 2**30
"""Bytes of the sheets, unpacked."""


class ExcelSource:
    """Rows of a spreadsheet below its first row that is not blank, numbered as the sheet does.

    Whole numbers, which Excel keeps as 7.0, are whole again.

    Raises:
        CatalogueError: no spreadsheet, too large, without a row, or with two columns of one name.
        MissingExtraError: python-calamine is not installed.
    """

    binary_columns: frozenset[str] = frozenset()
    copied_as = ""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows = [(number, cells) for number, cells in enumerate(self._sheet(), 1) if any(map(_filled, cells))]
        header = self._rows.pop(0)[1] if self._rows else []
        self.columns = [str(name).strip() or f"column_{position}" for position, name in enumerate(header, 1)]
        check_unique(self.columns, file)
        self.rows = len(self._rows)

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes
        """All rows that are not blank, in order."""
        for number, cells in self._rows:
            yield number, {name: _value(cell) for name, cell in zip(self.columns, cells, strict=False)}

    def stored(self, column: str) -> Iterator[StoredRow]:  # noqa: ARG002
        """A spreadsheet is not written.

        Raises:
            UsageError: always.
        """
        raise self._only_read()

    def sink(self, file: Path, stack: ExitStack) -> Callable[[Any], object]:  # noqa: ARG002
        """See `stored`."""
        raise self._only_read()

    def _only_read(self) -> UsageError:
        return UsageError(f"{self._file} is a spreadsheet, which is read but not written.", hint="Save it as CSV.")

    def _sheet(self) -> Iterator[list[Any]]:
        try:
            from python_calamine import CalamineError, CalamineWorkbook
        except ImportError:
            raise MissingExtraError("python-calamine", "excel") from None
        self._check_size()
        try:
            workbook = CalamineWorkbook.from_path(self._file)
            sheets = map(workbook.get_sheet_by_name, workbook.sheet_names)
            tables = (sheet.to_python(skip_empty_area=False) for sheet in sheets)
            yield from next((rows for rows in tables if any(any(map(_filled, row)) for row in rows)), [])
        except (CalamineError, OSError, ValueError) as error:
            raise CatalogueError(f"{self._file} is no spreadsheet that can be read: {error}.") from error

    def _check_size(self) -> None:
        if not zipfile.is_zipfile(self._file):
            return
        with zipfile.ZipFile(self._file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise CatalogueError(
                f"{self._file} unpacks to {size / 2**30:.1f} GB; the limit is {LARGEST // 2**30}.",
                hint="Save it as CSV.",
            )


def _filled(cell: Any) -> bool:
    return cell is not None and cell != ""


def _value(cell: Any) -> Any:
    if not _filled(cell):
        return None
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell
