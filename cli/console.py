"""Terminal output: results to stdout; progress, notes and warnings to stderr."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID
    from rich.text import Text


STAGES = {"read": "reading", "decode": "decoding images", "encode": "encoding", "write": "writing"}
"""Display names of the stages of an ingest."""


def out() -> Console:
    """Console for results (tables)."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Console for progress, notes and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    *,
    numbers: Collection[str] = (),
    to: Console | None = None,
    soft_wrap: bool = False,
    **style: Any,
) -> None:
    """Print a table, to stdout if `to` says nothing else.

    Neither rich's markup nor a terminal's control sequences in a cell take effect.

    Args:
        columns: their headings.
        rows: cells as texts, or as rich's Text where they have a style.
        title: above it.
        numbers: the columns that are aligned to the right.
        to: another console.
        soft_wrap: whether long lines run over the edge of the terminal.
        style: of rich's Table.
    """
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=None if title is None else Text(title), title_justify="left", **style)
    for name in columns:
        drawn.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(_printable(str(cell))) for cell in row))
    (to or out()).print(drawn, soft_wrap=soft_wrap)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def note(text: str) -> None:
    """Print one unwrapped line to stderr, above a running progress bar."""
    err().print(text, soft_wrap=True, markup=False)


def progress(unit: str = "products") -> Progress:
    """A progress bar with count, rate and time left, on stderr; silent if stderr is not a terminal."""
    from rich import progress as bars
    from rich.text import Text

    class Count(bars.ProgressColumn):
        def render(self, task: Task) -> Text:
            total = "" if task.total is None else f"/{task.total:,.0f}"
            return Text(f"{task.completed:,.0f}{total} {unit}" if task.completed or total else "")

    console = err()
    return bars.Progress(
        bars.TextColumn("{task.description}"), bars.BarColumn(), Count(), bars.TextColumn("{task.fields[note]}"),
        bars.TimeElapsedColumn(), bars.TextColumn("left"), bars.TimeRemainingColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip


def stages(bar: Progress, unit: str = "") -> Callable[[str, int, int | None], None]:
    """A callback for work in several stages: one progress line per stage.

    Without a terminal each stage is printed once when it begins, so minutes of work are not silent.
    """
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, note="")
            if bar.disable:
                note(f"{stage} ({f'{total:,} {unit}'.strip()})" if total else stage)
        bar.update(tasks[stage], completed=done, total=total)

    return report


def print_json(value: Any) -> None:
    """Print indented JSON to stdout."""
    click.echo(as_json(value).decode())


def as_json(value: Any) -> bytes:
    """Indented JSON; what JSON cannot hold, such as a path, becomes text."""
    import orjson

    from clipita.files import json_bytes

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return json_bytes(value, options, str)
