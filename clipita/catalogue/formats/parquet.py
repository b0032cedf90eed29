"""Parquet files as rows, a small batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.catalogue.formats.rows import NumberedRow, StoredRow, check_unique
from clipita.errors import CatalogueError, ProductError

BATCH_ROWS = 64
GROUP_BYTES = 32 * 2**20
_READ_BUFFER = 2**20


@dataclass
class _Unreadable:
    """A value that has no Python form (text that is not UTF-8, a date in the year 12000)."""

    error: Exception


class ParquetSource:
    """Rows of a Parquet file. Memory: one batch of `BATCH_ROWS` rows, and a buffer per column.

    Attributes:
        schema: Arrow's, with its metadata.

    Raises:
        CatalogueError: the file is not Parquet, is truncated, or has two columns of one name.
    """

    def __init__(self, file: Path) -> None:
        import pyarrow as pa

        self._file = file
        # Names and texts of a damaged file need not be UTF-8, which Arrow finds out only when Python asks for them.
        self._errors = (pa.ArrowException, OSError, UnicodeDecodeError)
        with self._guarded(row=0), self._opened() as parquet:
            self.schema: Any = parquet.schema_arrow
            self.rows: int = parquet.metadata.num_rows
            self.columns: list[str] = list(self.schema.names)
        self.copied_as = ""
        self.binary_columns = frozenset(field.name for field in self.schema if _holds_bytes(field.type))
        check_unique(self.columns, file)

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """All rows in order, numbered from 1.

        Raises:
            CatalogueError: a damaged page; it names the last good row.
        """
        names = [name for name in self.columns if name not in leave_out]
        for first, _, columns in self._batches(names):
            for number, cells in enumerate(zip(*columns, strict=True), start=first):
                yield number, _row(names, cells)

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All rows as Arrow's batch and the position in it, see `FileSource.stored`."""
        for first, batch, (cells,) in self._batches(self.columns, (column,)):
            for position, cell in enumerate(cells):
                if isinstance(cell, _Unreadable):
                    cell = ProductError(f"a value cannot be read: {column}")
                yield first + position, cell, (batch, position)

    def sink(self, file: Path, stack: ExitStack) -> Callable[[Any], object]:
        """See `FileSource.sink`."""
        return _Sink(file, self.schema, stack)

    def _batches(
        self, names: list[str], wanted: Sequence[str] | None = None
    ) -> Iterator[tuple[int, Any, list[list[Any]]]]:
        """The first row's number of each batch, the batch with the columns `names`, and the values of those wanted."""
        number = 0
        with self._guarded(row=0):
            parquet = self._opened()
        with parquet:
            chosen = names if len(names) < len(self.columns) else None
            batches = parquet.iter_batches(BATCH_ROWS, columns=chosen, use_threads=False)
            while True:
                with self._guarded(number):
                    batch = next(batches, None)
                    if batch is None:
                        return
                    columns = [_values(batch.column(name)) for name in wanted or names]
                yield number + 1, batch, columns
                number += batch.num_rows

    def _opened(self) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self._file, buffer_size=_READ_BUFFER, pre_buffer=False)

    @contextmanager
    def _guarded(self, row: int) -> Iterator[None]:
        """Turn Arrow's errors into one that names the file and the last good row."""
        try:
            yield
        except self._errors as error:
            where = f" beyond row {row}" if row else " as Parquet"
            raise CatalogueError(
                f"{self._file} cannot be read{where}: {str(error).splitlines()[0].rstrip('.')}.",
                hint="The file is damaged, was not copied to its end, or is of another format.",
            ) from error


class _Sink:
    """Collects rows as `ParquetSource.stored` gives them, and writes them in groups."""

    def __init__(self, file: Path, schema: Any, stack: ExitStack) -> None:
        import pyarrow.parquet as pq

        self._writer = stack.enter_context(pq.ParquetWriter(file, schema))
        self._batch: Any = None
        self._positions: list[int] = []
        self._waiting: list[Any] = []
        stack.callback(self._gather, least=-1)

    def __call__(self, row: tuple[Any, int]) -> None:
        batch, position = row
        if batch is not self._batch:
            self._gather()
            self._batch = batch
        self._positions.append(position)

    def _gather(self, least: int = GROUP_BYTES) -> None:
        """Copy the chosen rows of a batch, so that the others can be freed; write a group beyond `least` bytes."""
        import pyarrow as pa

        if self._positions:
            self._waiting.append(self._batch.take(pa.array(self._positions)))
            self._positions = []
        if self._waiting and sum(batch.nbytes for batch in self._waiting) > least:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
            self._waiting = []


def _row(names: list[str], cells: tuple[Any, ...]) -> dict[str, Any] | ProductError:
    for name, cell in zip(names, cells, strict=True):
        if isinstance(cell, _Unreadable):
            return ProductError(f"a value cannot be read: {name}, {cell.error}")
    return dict(zip(names, cells, strict=True))


def _holds_bytes(type_: Any) -> bool:
    import pyarrow.types as kinds

    if kinds.is_binary(type_) or kinds.is_large_binary(type_) or kinds.is_fixed_size_binary(type_):
        return True
    return any(_holds_bytes(type_.field(position).type) for position in range(type_.num_fields))


def _values(column: Any) -> list[Any]:
    column = _simplified(column)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return _Unreadable(error)


def _simplified(column: Any) -> Any:
    """Types that Python cannot hold, as the nearest ones it can: nanoseconds as microseconds, float32 by its digits."""
    import pyarrow as pa
    import pyarrow.types as kinds

    type_ = column.type
    if kinds.is_float32(type_) or kinds.is_float16(type_):
        # By way of text: a price stored as float32 is 28.12 to the shop, not 28.1200008392334.
        return column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if getattr(type_, "unit", None) != "ns":
        return column
    coarser = pa.time64("us")
    if kinds.is_timestamp(type_):
        coarser = pa.timestamp("us", tz=type_.tz)
    elif kinds.is_duration(type_):
        coarser = pa.duration("us")
    return column.cast(coarser, safe=False)
