"""Image files: regular files in the folders that the user named, and nothing else of the machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from clipita.catalogue.images.download import shown
from clipita.catalogue.product import ImageSource, path_in
from clipita.errors import ImageError

_more_roots: tuple[Path, ...] = ()


def configure(roots: Iterable[Path] = ()) -> None:
    """Set in which folders image files of a catalogue may lie beside its `image_root`; by default in none."""
    global _more_roots
    _more_roots = tuple(Path(root).absolute() for root in roots)


def read_file(source: ImageSource, max_bytes: int) -> bytes:
    """The content of an image's file.

    A catalogue is the text of others, and could name any file that this process can read. So links are followed first,
    and the file must lie in a folder that is allowed.

    Raises:
        ImageError: the file lies outside, is not a regular file, is missing, cannot be read, or has more than
            `max_bytes` bytes. The message has the catalogue's own words and nothing of the file.
    """
    name = shown(source.location or "")
    roots = None if source.roots is None else (*source.roots, *_more_roots)
    try:
        path = path_in(roots or (), source.location or "").resolve()
        _check_inside(path, roots, name)
        # Before it is opened, as this may wake whoever waits at the other end of a pipe.
        _check_regular(path.stat(), name)
        # No file may make the run wait: /proc/kmsg calls itself regular, is of size 0, and blocks.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            # Names may have changed meanwhile. What is open cannot change any more.
            _check_inside(Path(f"/proc/self/fd/{descriptor}").readlink(), roots, name)
            status = os.fstat(descriptor)
            _check_regular(status, name)
            if status.st_size > max_bytes:
                raise ImageError(
                    f"the image is too large: {name} has {status.st_size:,} bytes, the limit is {max_bytes:,}"
                )
            data: bytes | None = stream.read(status.st_size)
    except FileNotFoundError:
        raise ImageError(f"the image file does not exist: {name}") from None
    except (OSError, RuntimeError, ValueError) as error:
        # `resolve` raises a RuntimeError for a circle of links. The texts of both may name the resolved path.
        problem = error.strerror if isinstance(error, OSError) else "it is not a path that leads to a file"
        raise ImageError(f"the image file cannot be opened: {name}, {problem}") from error
    return data or b""


def _check_inside(path: Path, roots: Sequence[Path] | None, name: str) -> None:
    if roots is None or any(path.is_relative_to(root.resolve()) for root in roots):
        return
    where = "the image lies outside image_root" if roots else "the image is a file, and no image_root is set"
    raise ImageError(f"{where}: {name}; --image-roots FOLDER allows a folder")


def _check_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"the image is not a regular file: {name}")
