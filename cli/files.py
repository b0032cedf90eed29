"""Files that a command writes at its end."""

from __future__ import annotations

from pathlib import Path

from clipita.errors import UsageError

STDOUT = Path("-")


def check_targets(source: Path | None, *targets: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    for target in targets:
        if target is None or target == STDOUT:
            continue
        if not target.absolute().parent.is_dir():
            raise UsageError(f"{target} cannot be written: there is no folder {target.parent}.", hint="Make it first.")
        if target.is_dir():
            raise UsageError(f"{target} is a folder.", hint="Name a file in it.")
        if source is not None and target.exists() and source.exists() and target.samefile(source):
            raise UsageError(f"{target} is the catalogue itself.", hint="Name another file.")


def write(file: Path, content: bytes) -> None:
    """Write through a neighbour, so that an interrupted run leaves an earlier file whole."""
    try:
        if file.exists() and not file.is_file():
            # A pipe or a device must be written into, not replaced.
            file.write_bytes(content)
            return
        file = file.resolve()
        neighbour = file.with_name(f".{file.name}.partial")
        neighbour.write_bytes(content)
        neighbour.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", hint="Name another file.") from error
