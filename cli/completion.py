"""`clipita completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes clipita's commands and options in SHELL.

    \b
    Example:
      clipita completion bash > ~/.local/share/bash-completion/completions/clipita
      clipita completion zsh  > ~/.zfunc/_clipita       with ~/.zfunc in $fpath
      clipita completion fish > ~/.config/fish/completions/clipita.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    root = click.get_current_context().find_root().command
    # `source` of click's Bash class first runs the Bash of this machine to see its version; the text needs none.
    script = made(root, {}, "clipita", "_CLIPITA_COMPLETE")
    click.echo(script.source_template % script.source_vars())
