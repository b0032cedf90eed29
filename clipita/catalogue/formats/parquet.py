"""Parquet files as rows, a small batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.catalogue.formats.parquet_pages import plan, read_places
from clipita.catalogue.formats.rows import MAX_LINE, NumberedRow, StoredRow, check_unique
from clipita.errors import CatalogueError, ProductError

BATCH_ROWS = 64
GROUP_BYTES = 32 * 2**20
_READ_BUFFER = 2**20
BATCH_BYTES = 64 * 2**20
"""Bytes of a batch beyond which its rows are unpacked one by one."""
MAX_CELL = MAX_LINE
MAX_REPEATED = 2**20
"""Bytes of a cell in a batch that repeats values of a dictionary `EXPANSION` times."""
EXPANSION = 4


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
        for first, part, problem in self._parts(names):
            if problem is not None:
                yield first, problem
                continue
            with self._guarded(first - 1):
                columns = [_values(self._plain(part, name)) for name in names]
            for number, cells in enumerate(zip(*columns, strict=True), start=first):
                yield number, _row(names, cells)

    def stored(self, column: str) -> Iterator[StoredRow]:
        """All rows as Arrow's batch and the position in it, see `FileSource.stored`."""
        for first, part, problem in self._parts(self.columns):
            with self._guarded(first - 1):
                cells: list[Any] = [problem] if problem is not None else _values(self._plain(part, column))
            for position, cell in enumerate(cells):
                if isinstance(cell, _Unreadable):
                    cell = ProductError(f"a value cannot be read: {column}")
                yield first + position, cell, (part, position)

    def sink(self, file: Path, stack: ExitStack) -> Callable[[Any], object]:
        """See `FileSource.sink`."""
        return _Sink(file, self.schema, stack)

    def _parts(self, names: list[str]) -> Iterator[tuple[int, Any, ProductError | None]]:
        """The number of each part's first row, the part with the columns `names`, and why its only row is refused."""
        number = 0
        with self._guarded(row=0):
            usual, stream = self._opened(), self._file.open("rb")
        with stream, usual, ExitStack() as stack:
            with self._guarded(row=0):
                places = read_places(stream)
                if len(places) != usual.num_row_groups:
                    raise CatalogueError("the footer is damaged")
            for group in range(usual.num_row_groups):
                with self._guarded(number):
                    made = plan(stream, usual.metadata.schema, places[group], names)
                    parquet = stack.enter_context(self._opened(made.dictionaries)) if made.dictionaries else usual
                rows = 1 if made.row_by_row else BATCH_ROWS
                batches = parquet.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)
                while True:
                    with self._guarded(number):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    with self._guarded(number):
                        parts = list(_divided(batch))
                    for part, problem in parts:
                        yield number + 1, part, problem
                        number += part.num_rows

    def _plain(self, part: Any, name: str) -> Any:
        """A column without dictionaries that the file's schema has not."""
        column, type_ = part.column(name), self.schema.field(name).type
        return column if column.type == type_ else column.cast(type_)

    def _opened(self, dictionaries: Collection[str] = ()) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(
            self._file, buffer_size=_READ_BUFFER, pre_buffer=False, read_dictionary=list(dictionaries)
        )

    @contextmanager
    def _guarded(self, row: int) -> Iterator[None]:
        """Turn Arrow's errors into one that names the file and the last good row."""
        try:
            yield
        except (CatalogueError, *self._errors) as error:
            where = f" beyond row {row}" if row else " as Parquet"
            problem = error.message if isinstance(error, CatalogueError) else str(error).splitlines()[0].rstrip(".")
            hint = error.hint if isinstance(error, CatalogueError) else None
            raise CatalogueError(
                f"{self._file} cannot be read{where}: {problem}.",
                hint=hint or "The file is damaged, was not copied to its end, or is of another format.",
            ) from error


class _Sink:
    """Collects rows as `ParquetSource.stored` gives them, and writes them in groups."""

    def __init__(self, file: Path, schema: Any, stack: ExitStack) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
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
            self._waiting.append(self._batch.take(pa.array(self._positions)).cast(self._schema))
            self._positions = []
        if self._waiting and sum(batch.nbytes for batch in self._waiting) > least:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
            self._waiting = []


def _divided(batch: Any) -> Iterator[tuple[Any, ProductError | None]]:
    """The batch, or its rows one by one where all at once would take too much memory, with what is wrong with them."""
    size = weight(batch)
    if size <= BATCH_BYTES:
        yield batch, None
        return
    limit = MAX_CELL if size <= EXPANSION * batch.nbytes else MAX_REPEATED
    for position in range(batch.num_rows):
        row = batch.slice(position, 1)
        name, most = max(zip(row.schema.names, map(weight, row.columns), strict=True), key=lambda cell: cell[1])
        problem = f"a cell is too large: {name} has {most:,} bytes, the limit is {limit:,}" if most > limit else None
        yield row, None if problem is None else ProductError(problem)


def weight(part: Any) -> int:
    """Bytes of a column or batch with each value of a dictionary counted as often as it is used."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if isinstance(part, pa.RecordBatch):
        return sum(map(weight, part.columns))
    if kinds.is_dictionary(part.type) and _is_text(part.type.value_type):
        return pc.sum(pc.binary_length(part.dictionary).take(part.indices)).as_py() or 0
    if kinds.is_struct(part.type):
        return sum(map(weight, part.flatten()))
    if kinds.is_map(part.type):
        return weight(part.keys) + weight(part.items)
    if kinds.is_list(part.type) or kinds.is_large_list(part.type) or kinds.is_fixed_size_list(part.type):
        return weight(part.flatten())
    return int(part.nbytes)


def _is_text(type_: Any) -> bool:
    import pyarrow.types as kinds

    binary = kinds.is_binary(type_) or kinds.is_large_binary(type_)
    return bool(binary or kinds.is_string(type_) or kinds.is_large_string(type_))


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
