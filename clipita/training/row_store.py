"""Rows on disk by content hash: tower features, or decoded pixels, made once and kept between trainings."""

from __future__ import annotations

import fcntl
import hashlib
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from clipita.errors import TrainingError

KEY_BYTES = 16
ENTRY_BYTES = KEY_BYTES + 4
"""A key, and the CRC-32 of key and row."""


def content_key(content: bytes) -> bytes:
    """Key of a row: 16 bytes of the SHA-256 of what it was made from."""
    return hashlib.sha256(content).digest()[:KEY_BYTES]


class RowStore:
    """An append-only table of rows of one width, each with a key.

    Two files: `<name>.rows` and `<name>.keys`. A row is written before its key, so that after a kill the shorter of
    the two tells which rows are complete; the next opening cuts the rest off. Each key has a checksum; a row that a
    disk or another program has damaged counts as missing, and is made again. A lock keeps a second process out, except
    one that only reads what another process of the same training has `filled`.

    Raises:
        TrainingError: another process has the store open, or the disk refuses.
    """

    def __init__(self, folder: Path, name: str, width: int, dtype: Any, *, filled: bool = False) -> None:
        self.width = width
        self.dtype = np.dtype(dtype)
        mode = "rb" if filled else "a+b"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = (folder / f"{name}.rows").open(mode)
            self._keys = (folder / f"{name}.keys").open(mode)
        except OSError as error:
            raise TrainingError(
                f"The feature cache in {folder} cannot be written: {error}.", hint="Choose another one with --cache."
            ) from error
        try:
            if not filled:
                fcntl.flock(self._keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._rows.close()
            self._keys.close()
            raise TrainingError(
                f"Another training is filling the feature cache in {folder}.",
                hint="Wait until it is done, or choose another cache with --cache.",
            ) from None
        self._count = 0
        self._position = self._load_keys(filled)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._rows, self._keys):
            # After a write that failed, closing tries once more; `append` has told it.
            with suppress(OSError):
                stream.close()

    def __len__(self) -> int:
        return len(self._position)

    def __contains__(self, key: bytes) -> bool:
        return key in self._position

    def append(self, keys: Sequence[bytes], rows: npt.NDArray[Any]) -> None:
        """Add rows, [len(keys), width], whose keys are not in the store yet.

        Raises:
            TrainingError: the disk is full.
        """
        table = np.ascontiguousarray(rows.reshape(len(keys), self.width), dtype=self.dtype)
        try:
            self._rows.write(table.tobytes())
            self._rows.flush()
            self._keys.write(
                b"".join(key + _checksum(key, row.tobytes()) for key, row in zip(keys, table, strict=True))
            )
            self._keys.flush()
        except OSError as error:
            raise TrainingError(
                f"The feature cache {self._rows.name} cannot grow: {error}.",
                hint="Free some disk space or move the cache with --cache; the same command goes on where it stopped.",
            ) from error
        for key in keys:
            self._position[key] = self._count
            self._count += 1

    def gather(self, keys: Sequence[bytes | None]) -> npt.NDArray[Any]:
        """Rows by key, zeros for None: [len(keys), width].

        Raises:
            KeyError: a key that the store lacks.
        """
        result = np.zeros((len(keys), self.width), dtype=self.dtype)
        if not self._position:
            return result
        table = np.memmap(self._rows.name, dtype=self.dtype, mode="r").reshape(-1, self.width)
        wanted = [(row, self._position[key]) for row, key in enumerate(keys) if key is not None]
        if wanted:
            targets, sources = np.array(wanted).T
            result[targets] = table[sources]
        return result

    def _load_keys(self, filled: bool) -> dict[bytes, int]:
        self._keys.seek(0)
        raw = self._keys.read()
        row_bytes = self.width * self.dtype.itemsize
        whole = min(len(raw) // ENTRY_BYTES, Path(self._rows.name).stat().st_size // row_bytes)
        entries = [raw[at * ENTRY_BYTES : (at + 1) * ENTRY_BYTES] for at in range(whole)]
        # The process that filled the store has checked it, and of a key that was made again the last row counts.
        position = {entry[:KEY_BYTES]: at for at, entry in enumerate(entries)}
        if not filled:
            self._rows.seek(0)
            rows = (self._rows.read(row_bytes) for _ in entries)
            position = {
                entry[:KEY_BYTES]: at
                for at, (entry, row) in enumerate(zip(entries, rows, strict=True))
                if entry[KEY_BYTES:] == _checksum(entry[:KEY_BYTES], row)
            }
            # Damaged rows at the end can go; a cache of an earlier version, without checksums, goes as a whole.
            whole = max(position.values(), default=-1) + 1
            self._keys.truncate(whole * ENTRY_BYTES)
            self._rows.truncate(whole * row_bytes)
        self._count = whole
        return position


def _checksum(key: bytes, row: bytes) -> bytes:
    return zlib.crc32(row, zlib.crc32(key)).to_bytes(4, "big")
