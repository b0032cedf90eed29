"""The sources of products: catalogue files, streams, and watched folders."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clipita.catalogue.column_types import ColumnType
from clipita.catalogue.fields import OURS, clashing_column
from clipita.catalogue.ids import IdTable
from clipita.catalogue.product import CategoryPath, Rejection
from clipita.catalogue.reader import CatalogueFile, files_in
from clipita.errors import CatalogueError, FieldMappingError
from clipita.opensearch.ingest.documents import Item, OnReject


class CatalogueSource:
    """The products of some files, in their order; of products with the same id the first one counts.

    Attributes:
        ids: all ids read so far, those of rejected products included.
        without_id: rows so far that gave no id.
        paths: the category paths read so far.

    Raises:
        FieldMappingError: a column has a name that clipita writes itself, or that of the id repeats in most rows.
        CatalogueError: a file breaks off or is damaged.
    """

    def __init__(self, files: Sequence[CatalogueFile]) -> None:
        self.ids = IdTable()
        self.without_id = 0
        self.paths: set[CategoryPath] = set()
        self._files = files
        for file in files:
            if (clashing := clashing_column(file.extra_columns)) is not None:
                raise FieldMappingError(
                    f"{file.file} has a column {clashing!r}, a name that clipita writes itself.",
                    hint="Rename it in the catalogue, or map it under [fields] in clipita.toml. Reserved: "
                    f"{', '.join(OURS)}.",
                )
            # Before anything is written.
            file.survey()

    @property
    def attribute_names(self) -> list[str]:
        """The names of attributes, the most frequent first; none of a stream."""
        counts: Counter[str] = Counter()
        for file in self._files:
            counts.update(file.attribute_names.counts)
        return [name for name, _ in counts.most_common()]

    @property
    def column_types(self) -> dict[str, ColumnType]:
        """The types of the other columns, by their names in an index; none of a stream."""
        return {file.renamed.get(name, name): kind for file in self._files for name, kind in file.types.items()}

    @property
    def joins_rows(self) -> bool:
        """Whether rows of a file are joined to products with variants."""
        return any(file.joins_rows for file in self._files)

    @property
    def total(self) -> int | None:
        """Rows of all files; None when one is a stream."""
        rows = [file.rows for file in self._files]
        return None if None in rows else sum(row for row in rows if row is not None)

    def items(self, reject: OnReject) -> Iterator[Item]:
        """All usable products, each id once; `reject` gets the others."""
        self.ids = IdTable()
        self.without_id = 0

        def note(rejection: Rejection) -> None:
            # A product that is broken today is still in the catalogue.
            if rejection.id:
                self.ids.setdefault(rejection.id, number)
            else:
                self.without_id += 1
            reject(rejection)

        for number, file in enumerate(self._files):
            for row, product in file.numbered_products(note):
                item = Item(product, str(file.file), row)
                self.paths.update(product.category_paths)
                if file.rows is None:
                    # In a stream the same id again is a newer version of the product.
                    self.ids.setdefault(product.id, number)
                    yield item
                    continue
                # A reader detects repetitions in its own file only.
                first = self.ids.setdefault(product.id, number)
                if first == number:
                    yield item
                else:
                    reject(item.rejection(f"the id occurs twice: {self._files[first].file} has it already"))

    def again(self, ids: Sequence[tuple[str, str | None]]) -> Iterator[Item]:
        """Never called, as a catalogue's products cannot conflict."""
        raise AssertionError(f"a catalogue's products cannot conflict: {ids}")


LINGER_SECONDS = 0.5
POLL_SECONDS = 0.05
MOST_RECENT = 100_000


def batches_in_time(items: Iterator[Item], size: int, ended: threading.Event) -> Iterator[list[Item]]:
    """Batches of at most `size` items, each passed on after half a second even if it is smaller.

    An error of reading is raised here.
    """
    waiting: queue.Queue[Item | BaseException | None] = queue.Queue(2 * size)
    # A daemon thread: it may be blocked in reading standard input when the run is interrupted.
    threading.Thread(target=_pump, args=(items, waiting), name="stream", daemon=True).start()
    while not ended.is_set():
        batch: list[Item] = []
        deadline = time.monotonic() + LINGER_SECONDS
        while len(batch) < size:
            try:
                entry = waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if not isinstance(entry, Item):
                if batch:
                    yield batch
                if entry is not None:
                    raise entry
                return
            batch.append(entry)
        if batch:
            yield batch


def _pump(items: Iterator[Item], waiting: queue.Queue[Item | BaseException | None]) -> None:
    """Queue all items, then None or the error that ended the reading."""
    try:
        for item in items:
            waiting.put(item)
    except BaseException as error:  # noqa: BLE001 - raised again where the batches are taken
        waiting.put(error)
    else:
        waiting.put(None)


class Repeats:
    """Holds back a product while an earlier version of it is being processed, which might be written last."""

    def __init__(self, settled: Callable[[], bool], ended: threading.Event) -> None:
        self._settled = settled
        self._ended = ended
        self._recent: set[str] = set()

    def parts(self, batch: list[Item]) -> Iterator[list[Item]]:
        """The batch in parts, each of which can be processed as soon as it is given."""
        part: list[Item] = []
        for item in batch:
            if item.product.id in self._recent or len(self._recent) >= MOST_RECENT:
                if part:
                    yield part
                part = []
                while not self._settled() and not self._ended.wait(POLL_SECONDS):
                    pass
                self._recent.clear()
            self._recent.add(item.product.id)
            part.append(item)
        if part:
            yield part


SECONDS = 2.0

Mark = tuple[int, int]


def changes(paths: Sequence[Path], seconds: float = SECONDS) -> Iterator[list[Path]]:
    """Batches of files that are new or changed, forever; those in the folders among `paths` included.

    A file counts as complete when its size and time stay the same between two checks, `seconds` apart.
    """
    done: dict[Path, Mark] = {}
    before: dict[Path, Mark] = {}
    while True:
        now = _marks(paths)
        ready = [file for file, mark in now.items() if done.get(file) != mark and before.get(file) == mark]
        if ready:
            done |= {file: now[file] for file in ready}
            yield ready
        before = now
        time.sleep(seconds)


def _marks(paths: Sequence[Path]) -> dict[Path, Mark]:
    marks: dict[Path, Mark] = {}
    for path in paths:
        for file in _files(path):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            if status.st_size:
                marks[file] = (status.st_mtime_ns, status.st_size)
    return marks


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        return files_in(path)
    except CatalogueError:
        # The folder is still empty.
        return []
