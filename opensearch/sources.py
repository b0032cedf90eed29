"""Catalogue files as the source of an ingest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clipita.catalogue.ids import IdTable
from clipita.catalogue.readers import CatalogueFile
from clipita.catalogue.rejection import Rejection
from clipita.errors import FieldMappingError
from clipita.opensearch.content import OURS, clashing_column
from clipita.opensearch.items import Item, OnReject


class FileSource:
    """The products of some files, in their order; an id counts where it occurs first.

    Args:
        files: opened catalogue files.

    Attributes:
        ids: every id of the catalogue, those of rejected products included, as far as it was read.

    Raises:
        FieldMappingError: a column bears a name of ours.
    """

    def __init__(self, files: Sequence[CatalogueFile]) -> None:
        self.ids = IdTable()
        self._files = files
        for file in files:
            _check_columns(file)

    @property
    def total(self) -> int | None:
        """Rows of all files; None when one is a stream."""
        rows = [file.rows for file in self._files]
        return None if None in rows else sum(row for row in rows if row is not None)

    def items(self, reject: OnReject) -> Iterator[Item]:
        """All usable products, each id once; `reject` gets the others."""
        self.ids = IdTable()

        def note(rejection: Rejection) -> None:
            # A product that is broken today is still in the catalogue.
            if rejection.id:
                self.ids.setdefault(rejection.id, number)
            reject(rejection)

        for number, file in enumerate(self._files):
            for row, product in file.numbered_products(note):
                item = Item(product, str(file.file), row)
                if file.rows is None:
                    # A stream says how things are by now: the same id again is news of the same product.
                    self.ids.setdefault(product.id, number)
                    yield item
                    continue
                # A reader sees repetitions in its own file only.
                first = self.ids.setdefault(product.id, number)
                if first == number:
                    yield item
                else:
                    reject(item.rejection(f"the id occurs twice: {self._files[first].file} has it already"))

    def again(self, ids: Sequence[tuple[str, str | None]]) -> Iterator[Item]:
        """Never needed: what a catalogue says does not depend on the index."""
        raise AssertionError(f"a catalogue's products cannot conflict: {ids}")


def _check_columns(file: CatalogueFile) -> None:
    clashing = clashing_column(file.extra_columns)
    if clashing is not None:
        raise FieldMappingError(
            f"{file.file} has a column {clashing!r}, a name that clipita writes itself.",
            hint=f"Rename it in the catalogue, or map it under [fields] in clipita.toml. Taken are: {', '.join(OURS)}.",
        )
