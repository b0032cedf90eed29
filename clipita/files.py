"""Files that are replaced in one step, locks between processes, digests, and which process a process id means."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


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


def json_bytes(value: Any, option: int = 0, default: Callable[[Any], Any] | None = None) -> bytes:
    """A value as JSON, see `orjson.dumps`; half a surrogate pair, which UTF-8 cannot carry, becomes U+FFFD.

    Names of files and columns may hold one, and no such name may end a run that wants to report it.
    """
    import orjson

    try:
        return orjson.dumps(value, default, option)
    except TypeError:
        return orjson.dumps(_without_surrogates(value), default, option)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(part) for key, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list | tuple) else value


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
