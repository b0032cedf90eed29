"""Pages of the site that are made from the code: settings and errors. Called by MkDocs, see mkdocs.yml."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

from clipita import errors
from clipita.cli import group
from clipita.config import sections
from clipita.opensearch.search.options import SEARCH
from clipita.option_table import about, options

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "docs-source" / "clipita"


@event_priority(100)  # mkdocstrings drops a path of sources that is not there when its own turn comes
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay the folders out as the one package that they are when installed, for the reader of docstrings."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "clipita", SOURCE, ignore=ignore)
    for folder in ("cli", "exporters", "opensearch"):
        shutil.copytree(ROOT / folder, SOURCE / folder, ignore=ignore)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, content in (
        ("reference/settings.md", settings()),
        ("reference/search-options.md", search_options()),
        ("reference/errors.md", error_tree()),
        ("reference/commands.md", commands()),
    ):
        files.append(File.generated(config, name, content=content))
    return files


def commands() -> str:
    """The help of every command and sub-command, as the terminal shows it."""
    context = click.Context(group, info_name="clipita", max_content_width=100, terminal_width=100)
    parts = [f"# Commands\n\n```text\n{group.get_help(context)}\n```\n"]
    pending = [(context, name, group.get_command(context, name)) for name in reversed(group.list_commands(context))]
    while pending:
        above, name, command = pending.pop()
        if command is None:
            raise LookupError(f"the command {name} is listed, and not there")
        here = click.Context(command, above, info_name=name, max_content_width=100, terminal_width=100)
        depth = 2 if above is context else 3
        parts.append(f"\n{'#' * depth} {here.command_path}\n\n```text\n{command.get_help(here)}\n```\n")
        if isinstance(command, click.Group):
            pending += [(here, sub, command.get_command(here, sub)) for sub in reversed(command.list_commands(here))]
    return "".join(parts)


def settings() -> str:
    """Every setting with its meaning, default and environment variable."""
    parts = [
        "# Settings\n\nA flag comes before the environment, the environment before clipita.toml, and that before the "
        "default. `clipita init` writes a clipita.toml with all of this in it.\n"
    ]
    for section, kind in sections().items():
        parts.append(
            f"\n## [{section}]\n\n{about(kind)}\n\n| setting | default | environment | meaning |\n|---|---|---|---|\n"
        )
        for entry in options(kind).values():
            variable = f"CLIPITA_{section}_{entry.name}".upper()
            text = entry.help.replace("|", "&#124;")
            parts.append(f"| `{entry.name}` | {_shown(entry.default)} | `{variable}` | {text} |\n")
    return "".join(parts)


def search_options() -> str:
    """Every option of a search: as a keyword, a flag and an HTTP parameter."""
    parts = ["| option | default | HTTP | meaning |\n|---|---|---|---|\n"]
    for name, entry in SEARCH.items():
        parameter = "" if entry.inside else f"`{entry.one or name}`"
        parts.append(f"| `{name}` | {_shown(entry.default)} | {parameter} | {entry.help.replace('|', '&#124;')} |\n")
    return "# Search options\n\nWhat `ProductSearch`, `clipita search` and `/v1/search` take.\n\n" + "".join(parts)


def error_tree() -> str:
    """The tree of errors, each with the first line of its docstring."""
    return (
        "# Errors\n\nEverything a user can cause is one of these, `clipita.errors`. The command line prints it in one "
        f"line; `--debug` shows the traceback.\n\n```text\n{_branch(errors.ClipItaError, 0)}```\n"
    )


def _branch(kind: type, depth: int) -> str:
    line = f"{'    ' * depth + kind.__name__:<34}{(kind.__doc__ or '').splitlines()[0]}\n"
    below = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return line + "".join(_branch(child, depth + 1) for child in below)


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return f"{len(default)} texts" if len(default) > 3 else f"`{', '.join(map(str, default))}`" if default else ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
