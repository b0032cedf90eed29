"""Runs a command: an error is one line and an exit code, and a traceback only with --debug."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from clipita.errors import ClipItaError

INTERRUPTED = 130


def run_guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code and prints errors as one line.

    `--debug` anywhere among the arguments (or CLIPITA_DEBUG=1) raises errors instead.
    """
    for stream in (sys.stdout, sys.stderr):
        # Names of files and columns may hold what the terminal's encoding cannot carry.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in arguments or os.environ.get("CLIPITA_DEBUG") == "1"
    try:
        result = command.main([word for word in arguments if word != "--debug"], standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) closed the pipe: stdout must not be flushed into it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ClipItaError as error:
        if debug:
            raise
        _print_error(str(error))
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        _print_error(
            f"Internal error: {type(error).__name__}: {error} ({_place(error)}). "
            "Report it with the traceback that --debug shows."
        )
        return 1
    return result if isinstance(result, int) else 0


def _print_error(text: str) -> None:
    click.echo(click.style("Error: ", fg="red", bold=True) + text, err=True)


def _place(error: Exception) -> str:
    """The innermost line of clipita's own code."""
    steps = list(traceback.walk_tb(error.__traceback__))
    ours = [step for step in steps if str(step[0].f_globals.get("__name__")).startswith("clipita")]
    frame, line = (ours or steps)[-1]
    return f"{Path(frame.f_code.co_filename).name}, line {line}"
