"""The feature cache survives kills, other processes and bad disks."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from clipita.errors import TrainingError
from clipita.training.row_store import ENTRY_BYTES, KEY_BYTES, RowStore, content_key

KEYS = [content_key(str(number).encode()) for number in range(6)]
ROWS = np.arange(24, dtype=np.float16).reshape(6, 4)


def filled(folder: Path) -> None:
    with RowStore(folder, "texts", 4, np.float16) as store:
        store.append(KEYS[:4], ROWS[:4])


def test_rows_come_back_in_any_order_and_missing_ones_are_zero(tmp_path: Path) -> None:
    filled(tmp_path)
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert len(store) == 4
        assert KEYS[2] in store
        assert KEYS[5] not in store
        np.testing.assert_array_equal(store.gather([KEYS[3], None, KEYS[0]]), [ROWS[3], np.zeros(4), ROWS[0]])


def test_an_unknown_key_is_no_zero_row(tmp_path: Path) -> None:
    filled(tmp_path)
    with RowStore(tmp_path, "texts", 4, np.float16) as store, pytest.raises(KeyError):
        store.gather([KEYS[5]])


@pytest.mark.parametrize("lost", [1, 7, 8, 9, 20])
def test_a_write_that_a_kill_cut_short_costs_the_cut_rows_alone(tmp_path: Path, lost: int) -> None:
    filled(tmp_path)
    rows = tmp_path / "texts.rows"
    rows.write_bytes(rows.read_bytes()[:-lost])
    whole = (4 * 8 - lost) // 8
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert len(store) == whole
        store.append(KEYS[4:], ROWS[4:])
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert KEYS[3] not in store
        np.testing.assert_array_equal(store.gather([KEYS[5], KEYS[0]]), ROWS[[5, 0]])


@pytest.mark.parametrize("lost", [1, ENTRY_BYTES, ENTRY_BYTES + 3])
def test_rows_without_their_keys_are_dropped(tmp_path: Path, lost: int) -> None:
    filled(tmp_path)
    keys = tmp_path / "texts.keys"
    keys.write_bytes(keys.read_bytes()[:-lost])
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert len(store) == 4 - -(-lost // ENTRY_BYTES)
        store.append(KEYS[4:], ROWS[4:])
        np.testing.assert_array_equal(store.gather([KEYS[0], KEYS[4]]), ROWS[[0, 4]])


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    with (
        RowStore(tmp_path, "texts", 4, np.float16),
        pytest.raises(TrainingError, match="Another training"),
    ):
        RowStore(tmp_path, "texts", 4, np.float16)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrainingError, match="cannot be written") as told:
        RowStore(tmp_path / "file" / "cache", "texts", 4, np.float16)
    assert "--cache" in str(told.value)


@pytest.mark.parametrize("suffix", ["rows", "keys"])
@pytest.mark.parametrize("row", range(4))
def test_a_damaged_row_counts_as_missing_and_is_made_again(tmp_path: Path, suffix: str, row: int) -> None:
    filled(tmp_path)
    file = tmp_path / f"texts.{suffix}"
    data = bytearray(file.read_bytes())
    data[row * (8 if suffix == "rows" else ENTRY_BYTES) + 3] ^= 1
    file.write_bytes(data)
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert [key in store for key in KEYS[:4]] == [at != row for at in range(4)]
        store.append([KEYS[row], KEYS[4]], ROWS[[row, 4]])
        np.testing.assert_array_equal(store.gather(KEYS[:5]), ROWS[:5])
    for ready in (True, False):
        with RowStore(tmp_path, "texts", 4, np.float16, filled=ready) as store:
            assert len(store) == 5 + (ready and suffix == "keys" and row < 3)
            np.testing.assert_array_equal(store.gather(KEYS[:5]), ROWS[:5])


def test_a_cache_without_checksums_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "texts.rows").write_bytes(ROWS[:5].tobytes())
    (tmp_path / "texts.keys").write_bytes(b"".join(KEYS[:5]))
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        assert len(store) == 0
        store.append(KEYS[:4], ROWS[:4])
    assert (tmp_path / "texts.keys").stat().st_size == 4 * ENTRY_BYTES
    assert KEY_BYTES < ENTRY_BYTES


def test_a_full_disk_is_told_and_what_is_whole_stays(tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk's end: the write stops half-way with an error of the system."""
    filled(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 8 + 5, limits[1]))
    try:
        with (
            pytest.raises(TrainingError, match=r"texts\.rows cannot grow: .*File too large") as told,
            RowStore(tmp_path, "texts", 4, np.float16) as store,
        ):
            store.append(KEYS[4:], ROWS[4:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "Free some disk space" in str(told.value)
    with RowStore(tmp_path, "texts", 4, np.float16) as store:
        np.testing.assert_array_equal(store.gather(KEYS[:4]), ROWS[:4])
        store.append(KEYS[4:], ROWS[4:])
        np.testing.assert_array_equal(store.gather(KEYS), ROWS)
