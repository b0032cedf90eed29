"""Files that are replaced in one step, locks between processes, digests, and which process a process id means."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A draft beside a file, which takes the file's place when the body ends without an error.

    Other processes see the old file or the new one, never half of one. After an error the draft is removed.

    Yields:
        The draft's path, with the file's suffix.

    Raises:
        OSError: the draft cannot be moved.
    """
    draft = file.with_name(f".draft-{os.getpid()}-{threading.get_native_id()}-{file.name}")
    try:
        yield draft
        draft.replace(file)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file in one step, see `replacing`.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(file) as draft:
        draft.write_bytes(content)


@contextmanager
def locked(file: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock between processes; the system frees it when its holder dies.

    Args:
        file: the lock file, created when it is absent and never removed.
        on_wait: called once when another process holds the lock.
    """
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def sha256(file: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def boot_id() -> str:
    """The id of this machine's present boot, within which a process id and its start identify a process.

    Raises:
        OSError: there is no /proc.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc_pid_stat(5), field 22), as process ids are used again.

    Returns:
        None when there is no such process, only its remains (a zombie), or no /proc.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
