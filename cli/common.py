"""Options that several commands share, and the files that a command writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from clipita import config
from clipita.errors import UsageError
from clipita.files import write_atomically
from clipita.option_table import Option, options

Command = TypeVar("Command", bound=Callable[..., Any])


def flags(table: Mapping[str, Option], *names: str, **spelled: str) -> Callable[[Command], Command]:
    """Flags of options, made from their table.

    A flag that is not given is None, or an empty tuple where it may be repeated.

    Args:
        table: from `options.options`, or the table of search options.
        names: of the options, in the order of the help.
        spelled: name of an option to its flag, where that is another: `lora_rank="--lora"`.
    """

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            entry = table[name]
            flag = spelled.get(name, f"--{(entry.one or name).replace('_', '-')}")
            if bool in entry.types and entry.default and "/" not in flag:
                flag = f"{flag}/--no-{flag.removeprefix('--')}"
            default = "" if entry.default in (None, (), False, "") else f" Default: {_shown(entry.default)}."
            command = click.option(flag, name, help=entry.help + default, **_kind(entry))(command)
        return command

    return decorate


def _kind(entry: Option) -> dict[str, Any]:
    metavar = (entry.one or entry.name).upper()
    if entry.one:
        return {"multiple": True, "metavar": metavar}
    if entry.choices:
        return {"type": click.Choice(entry.choices)}
    if bool in entry.types:
        return {"is_flag": True, "default": None}
    if int in entry.types:
        low, high = (None if bound is None else int(bound) for bound in (entry.ge, entry.le))
        return {"type": click.IntRange(low, high), "metavar": "N"}
    if float in entry.types:
        least = entry.ge if entry.gt is None else entry.gt
        return {"type": click.FloatRange(least, entry.le, min_open=entry.gt is not None), "metavar": "X"}
    if Path in entry.types:
        return {"type": click.Path(path_type=Path)}
    return {"type": str, "metavar": metavar}


def _shown(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; default: clipita.toml here, if there is one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
device_option = flags(options(config.IngestConfig), "device")
index_option = flags(options(config.OpenSearchConfig), "index")
model_option = click.option("--model", type=click.Path(path_type=Path), help="The bundle's folder. Default: model.")


def _without_password(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Other users of the machine see a command line, and shells keep it."""
    if url and ":" in url.rpartition("@")[0].partition("://")[2]:
        raise UsageError(
            "--url holds a password, which everyone on this machine can see in the process list.",
            hint="Set CLIPITA_OPENSEARCH_USERNAME, and CLIPITA_OPENSEARCH_PASSWORD or password_file; change it, too.",
        )
    return url


FIELD_FLAGS = {
    "image": "--image-field",
    "category_separator": "--category-separator",
    "path_separator": "--path-separator",
    "category_path": "--category-field",
    "title": "--title-field",
    "id": "--id-field",
    "attributes": "--attribute-field",
    "group": "--group-field",
}
"""Setting of [fields] to its flag."""

url_option = click.option(
    "--url", metavar="URL", callback=_without_password, help="OpenSearch to talk to; default: the local node."
)


def fields_options(command: Command) -> Command:
    """Flags that say how a catalogue is read; they override [fields] and [catalogue] of clipita.toml."""
    command = flags(
        options(config.CatalogueConfig), "allow_private_hosts", "image_roots",
        allow_private_hosts="--allow-private-hosts", image_roots="--image-roots",
    )(command)  # fmt: skip
    table = options(config.FieldsConfig)
    for name, flag in FIELD_FLAGS.items():
        entry = table[name]
        command = click.option(flag, metavar="NAME", help=entry.help, multiple=bool(entry.one))(command)
    return command


def mapped_fields(settings: config.Config, flags: dict[str, Any]) -> config.FieldsConfig:
    """Apply what `fields_options` collected; pops its keys from `flags`."""
    from clipita.catalogue.images import download, files

    catalogue = settings.catalogue
    hosts = flags.pop("allow_private_hosts", ()) or catalogue.allow_private_hosts
    download.configure(hosts, catalogue.image_cache, int(catalogue.image_cache_gb * 1e9))
    files.configure(map(Path, flags.pop("image_roots", ()) or catalogue.image_roots))
    given = {name: flags.pop(flag[2:].replace("-", "_"), None) for name, flag in FIELD_FLAGS.items()}
    mapped: config.FieldsConfig = config.override(settings.fields, **given)
    return mapped


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
    """Write a file in one step, so that an interrupted run leaves an earlier one complete."""
    try:
        if file.exists() and not file.is_file():
            # A pipe or a device must be written into, not replaced.
            file.write_bytes(content)
            return
        write_atomically(file.resolve(), content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", hint="Name another file.") from error
