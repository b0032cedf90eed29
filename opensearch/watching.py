"""Following folders and files: which of them changed since they were last ingested."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clipita.catalogue.readers import files_in
from clipita.errors import CatalogueError

SECONDS = 2.0

Mark = tuple[int, int]


def changes(paths: Sequence[Path], seconds: float = SECONDS) -> Iterator[list[Path]]:
    """For ever: the files that are new or changed, once they have stopped changing.

    A file counts as written to its end when its size and time stay the same from one look to the next.

    Args:
        paths: files and folders; a folder's later files are found too.
        seconds: between two looks.

    Yields:
        At least one file.
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
        # Still empty; files may come.
        return []
