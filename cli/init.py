"""`clipita init`."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli.common import write
from clipita.errors import UsageError
from clipita.options import Option, about, options

_WIDTH = 100
_SIBLINGS = {"valid": ("valid", "validation", "val", "dev"), "test": ("test",)}


@click.command("init")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Catalogue file to fill the settings in from.")
@click.option("--force", is_flag=True, help="Replace a clipita.toml that is already here.")
def command(catalogue: Path | None, force: bool) -> None:
    """Write clipita.toml: every setting, with its meaning and default.

    All settings are commented out, so each keeps its default until you change it. With --catalogue the file's columns
    and first rows are looked at, and the names of the id, title, category, picture and attributes are filled in; a
    train file's siblings (train.parquet: valid.parquet, test.parquet) are filled in too. What was guessed is said; look
    it over, and see with `clipita catalogue check` what it gives.

    \b
    Example:
      clipita init
      clipita init --catalogue data/train.parquet
      clipita train
    """
    target = Path(config.CONFIG_FILE)
    if target.exists() and not force:
        raise UsageError(f"{target} exists already.", hint="Replace it with: clipita init --force")
    known: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    if catalogue is not None:
        from clipita.catalogue.guess import guess_fields

        guess = guess_fields(catalogue)
        known = {"fields": dict(guess.fields), "catalogue": _files(catalogue)}
        remarks = [*guess.warnings, *_file_remarks(known["catalogue"])]
    write(target, render(known).encode())
    click.echo(f"Wrote {target}.")
    for name, value in known.get("fields", {}).items():
        click.echo(f"  {name} = {_toml(value)}", err=True)
    for name, value in known.get("catalogue", {}).items():
        click.echo(f"  {name} = {_toml(value)}", err=True)
    for remark in remarks:
        click.echo(f"Note: {remark}", err=True)


def render(known: Mapping[str, Mapping[str, Any]]) -> str:
    """The settings file's text.

    Args:
        known: section -> setting -> value; these are set, all others stand as comments with their defaults.
    """
    return "\n".join(_lines(known)) + "\n"


def _lines(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "# Settings of clipita. Order of precedence: flag, environment (CLIPITA_<SECTION>_<KEY>), this file, default."
    yield "# A line such as `# dim = 384` shows a default; take the # away to change it."
    for section, kind in config.sections().items():
        yield from ("", *_comment(about(kind)), f"[{section}]")
        for entry in options(kind).values():
            yield ""
            yield from _setting(entry, known.get(section, {}).get(entry.name))


def _setting(entry: Option, chosen: Any) -> Iterator[str]:
    yield from _comment(entry.help)
    if chosen is not None:
        yield f"{entry.name} = {_toml(chosen)}"
    elif entry.default is not None:
        yield f"# {entry.name} = {_toml(entry.default)}"
    elif entry.example is not None:
        yield f"# Not set by default; for example: {entry.name} = {_toml(entry.example)}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def _toml(value: Any) -> str:
    from tomlkit import item

    plain = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return item(plain).as_string()


def _files(catalogue: Path) -> dict[str, Path]:
    """The catalogue file, and the valid and test files beside it that are named like it."""
    files = {"train": catalogue}
    for role, words in _SIBLINGS.items():
        for word in words if "train" in catalogue.name else ():
            sibling = catalogue.with_name(catalogue.name.replace("train", word))
            if sibling.is_file():
                files[role] = sibling
                break
    return files


def _file_remarks(files: Mapping[str, Path]) -> Iterator[str]:
    if "valid" not in files:
        yield (
            "no file of validation products was found, and clipita train needs one: set valid under [catalogue], or "
            f"make train, valid and test of this file with: clipita catalogue split {shlex.quote(str(files['train']))}"
        )
