"""Rows on disk by content hash: tower features, or decoded pixels, made once and kept between trainings."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from clipita.errors import TrainingError

KEY_BYTES = 16


def content_key(content: bytes) -> bytes:
    """Key of a row: 16 bytes of the SHA-256 of what it was made from."""
    return hashlib.sha256(content).digest()[:KEY_BYTES]


class RowStore:
    """An append-only table of rows of one width, each with a key.

    Two files: `<name>.rows` and `<name>.keys`. A row is written before its key, so that after a kill the shorter of
    the two tells which rows are complete; the next opening cuts the rest off. A lock keeps a second process out, except
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
        try:
            self._rows.write(np.ascontiguousarray(rows.reshape(len(keys), self.width), dtype=self.dtype).tobytes())
            self._rows.flush()
            self._keys.write(b"".join(keys))
            self._keys.flush()
        except OSError as error:
            raise TrainingError(
                f"The feature cache {self._rows.name} cannot grow: {error}.",
                hint="Free some disk space or move the cache with --cache; the same command goes on where it stopped.",
            ) from error
        for key in keys:
            self._position[key] = len(self._position)

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
        whole = min(len(raw) // KEY_BYTES, Path(self._rows.name).stat().st_size // row_bytes)
        if not filled:
            self._keys.truncate(whole * KEY_BYTES)
            self._rows.truncate(whole * row_bytes)
        return {raw[at * KEY_BYTES : (at + 1) * KEY_BYTES]: at for at in range(whole)}
