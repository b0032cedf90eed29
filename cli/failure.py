"""How a command ends: one line for what the user can mend, a traceback only with --debug."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from clipita.errors import ClipItaError

INTERRUPTED = 130


def run_guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and turn every expected error into its line and exit code.

    `--debug` anywhere among the arguments (or CLIPITA_DEBUG=1) lets the traceback through.
    """
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
        # The reader (`| head`) went away: stdout must not be flushed into it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ClipItaError as error:
        if debug:
            raise
        click.echo(click.style("Error: ", fg="red", bold=True) + str(error), err=True)
        return error.exit_code
    return result if isinstance(result, int) else 0
