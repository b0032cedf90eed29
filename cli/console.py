"""Where words go: results to stdout, progress and remarks to stderr, so that a pipe gets results alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


STAGES = {"read": "reading", "decode": "decoding pictures", "encode": "encoding", "write": "writing"}
"""An ingest's stages, in words."""


def out() -> Console:
    """Console for results (tables)."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Console for progress and remarks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """A remark to stderr, on one line however narrow the terminal is; leaves a running progress bar whole."""
    err().print(text, soft_wrap=True, markup=False)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[str] = (), to: Console | None = None,
    soft_wrap: bool = False, **style: Any,
) -> None:  # fmt: skip
    """A table on stdout; neither rich's markup nor a terminal's control sequences in a cell take effect.

    `right` names the columns that are aligned to the right; `style` is that of rich's Table.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(**style)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        texts = ("".join(part if part.isprintable() or part == "\n" else " " for part in str(cell)) for cell in row)
        table.add_row(*map(Text, texts))
    (to or out()).print(table, soft_wrap=soft_wrap)


def progress(unit: str = "products") -> Progress:
    """A progress bar with count, rate and time left, on stderr; silent where stderr is no terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = err()
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip


def stages(bar: Progress) -> Callable[[str, int, int | None], None]:
    """A callback for work of several stages, each of which gets a line in the progress display.

    Where that is off (a log, a pipe) a stage is told as it begins, so that minutes of work are not silent.
    """
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, note="")
            if bar.disable:
                note(f"{stage} ({total:,})" if total else stage)
        bar.update(tasks[stage], completed=done, total=total)

    return report


def print_json(value: Any) -> None:
    """Indented JSON with a newline at its end, to stdout."""
    import orjson

    click.echo(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    )
