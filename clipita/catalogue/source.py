"""What the readers of the file formats have in common: a file as numbered rows of named cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from clipita.errors import ProductError

Row = Mapping[str, Any]
NumberedRow = tuple[int, Row | ProductError]
"""The row's number from 1 (the line of a text file), and its cells or what makes them unreadable."""
StoredRow = tuple[int, Any, Any]
"""The row's number, one of its cells or the ProductError that bars it, and the row in the file's own form."""


class Source(Protocol):
    """One catalogue file.

    Attributes:
        columns: names of the columns, in the file's order.
        binary_columns: those among them that hold raw bytes.
        rows: how many rows there are, unreadable ones included; None where that shows only at the end.
    """

    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102 - described above

    @property
    def binary_columns(self) -> Collection[str]: ...  # noqa: D102

    @property
    def rows(self) -> int | None: ...  # noqa: D102

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """All rows in order, without the columns in `leave_out`.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says where.
        """
        ...


class FileSource(Source, Protocol):
    """A source that can be read again, as it stands."""

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All rows in order, as they stand in the file, each with its cell of `column`.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says where.
        """
        ...
