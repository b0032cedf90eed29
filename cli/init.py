"""`clipita init`."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import write
from clipita.errors import UsageError
from clipita.option_table import Option, about, options

_WIDTH = 100
_SIBLINGS = {"valid": ("valid", "validation", "val", "dev"), "test": ("test",)}


@click.command("init")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Catalogue file to fill the settings in from.")
@click.option(
    "--from", "system", type=click.Choice(["shopify", "woocommerce", "magento", "google", "prestashop"]),
    help="The system that exported the catalogue: its columns are known, and not guessed.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a clipita.toml that is already here.")
def command(catalogue: Path | None, system: str | None, force: bool) -> None:
    """Write clipita.toml: every setting, with its meaning and default.

    All settings are commented out, so each keeps its default until you change it. With --catalogue the file's columns
    and first rows are read, and the names of the id, title, category, image and attributes are filled in; so are the
    files beside a train file (train.parquet: valid.parquet, test.parquet). Each guess is printed with values that it
    comes from; look them over, and check them with `clipita catalogue check`.

    \b
    Example:
      clipita init
      clipita init --catalogue data/train.parquet
      clipita init --from shopify --catalogue products_export.csv
      clipita train
    """
    target = Path(config.CONFIG_FILE)
    if target.exists() and not force:
        raise UsageError(f"{target} exists already.", hint="Replace it with: clipita init --force")
    known: dict[str, dict[str, Any]] = {}
    reasons: Mapping[str, str] = {}
    warnings: list[str] = []
    if catalogue is not None:
        from clipita.catalogue.guess import guess_fields

        known = {"catalogue": _files(catalogue)}
        if system is None:
            guess = guess_fields(catalogue)
            known = {"fields": dict(guess.fields), **known}
            reasons, warnings = guess.reasons, [*guess.warnings]
        if "valid" not in known["catalogue"]:
            warnings.append(
                "no file of validation products was found, and clipita train needs one: set valid under [catalogue], "
                "or make train, valid and test of this file with: "
                f"clipita catalogue split {shlex.quote(str(catalogue))}"
            )
    if system is not None:
        fields, notes = _preset(system, catalogue)
        known, warnings = {"fields": fields, **known}, [*notes, *warnings]
    write(target, render(known).encode())
    click.echo(f"Wrote {target}.")
    for section in known.values():
        for name, value in section.items():
            console.note(f"  {name} = {_toml(value)}" + (f"   # {reasons[name]}" if name in reasons else ""))
    for warning in warnings:
        console.note(f"Note: {warning}")
    if catalogue is not None:
        console.note(f"Next: clipita catalogue check {shlex.quote(str(catalogue))}")


def _preset(system: str, catalogue: Path | None) -> tuple[dict[str, Any], list[str]]:
    from clipita.catalogue.formats.presets import PRESETS, preset_fields
    from clipita.catalogue.guess import SAMPLED_ROWS
    from clipita.catalogue.reader import open_source

    note = PRESETS[system].note
    if catalogue is None:
        return preset_fields(system), [note] if note else []
    source = open_source(catalogue)
    rows = [row for _, row in islice(source.records(source.binary_columns), SAMPLED_ROWS) if isinstance(row, Mapping)]
    return preset_fields(system, source.columns, rows, catalogue), [note] if note else []


def render(known: Mapping[str, Mapping[str, Any]]) -> str:
    """The settings file's text: the known settings by section, and all others as comments with their defaults."""
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
        siblings = [catalogue.with_name(catalogue.name.replace("train", word)) for word in words]
        if "train" in catalogue.name and (present := next(filter(Path.is_file, siblings), None)):
            files[role] = present
    return files
