"""The table of options: what the fields of a settings class say about themselves, read once for every use.

A field is written `name: type = option(default, "what it means", ge=0, le=1)`. Dataclasses, command-line flags,
HTTP parameters, OpenAPI, `clipita init` and the reference pages are made from that one line.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import operator
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from clipita.errors import ConfigError

TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
_WORDS: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_WORDS |= {Path: "a path", Mapping[str, Any]: "a table"}


def option(default: Any, help: str, *, repr: bool = True, **facts: Any) -> Any:  # noqa: A002 - as dataclasses.field
    """A dataclass field with its meaning.

    Args:
        default: its value where nothing is set.
        help: what it means, in one or two sentences.
        repr: whether the value may show in the object's text.
        facts: further attributes of `Option`, such as ge and le.
    """
    return dataclasses.field(
        default=default, repr=repr, metadata={"option": Option(default=default, help=help, **facts)}
    )


@dataclass(frozen=True)
class Option:
    """One option of a table.

    Attributes:
        help: what it means, in one or two sentences.
        default: its value where nothing is set.
        name: of the field.
        hint: the field's type.
        ge: the least number.
        le: the largest number.
        gt: a number that the value must exceed.
        example: a value to show where there is no default.
        one: name of one entry, where the option is a list and a flag or parameter is repeated.
        secret: may stand in the environment only.
        inside: for callers in Python only; neither a flag nor an HTTP parameter.
        choices: the values it may have, if they are few; of a Literal by itself.
    """

    help: str
    default: Any = None
    name: str = ""
    hint: Any = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    example: Any = None
    one: str | None = None
    secret: bool = False
    inside: bool = False
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in self.types:
            if typing.get_origin(kind) is Literal:
                object.__setattr__(self, "choices", typing.get_args(kind))

    @property
    def types(self) -> tuple[Any, ...]:
        """The types it may have, without None and without bounds."""
        return tuple(kind for kind in _members(self.hint) if kind is not type(None))

    @functools.cached_property
    def bounded(self) -> Any:
        """The type with its bounds, as msgspec reads it."""
        bounds: dict[str, Any] = {"ge": self.ge, "le": self.le, "gt": self.gt}
        meta = msgspec.Meta(**bounds)
        kinds = (Annotated[kind, meta] if kind in (int, float) else kind for kind in _members(self.hint))
        return Annotated[functools.reduce(operator.or_, kinds), msgspec.Meta(description=self.help)]

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of: {', '.join(self.choices)}"
        words = " or ".join(_WORDS.get(kind, "a list of texts") for kind in self.types)
        bounds = (("above", self.gt), ("at least", self.ge), ("at most", self.le))
        limits = " and ".join(f"{word} {bound:,}" for word, bound in bounds if bound is not None)
        return f"{words}, {limits}" if limits else words

    def convert(self, value: Any, *, lax: bool = False) -> Any:
        """The value as the field's type.

        Args:
            value: of TOML or JSON; with `lax` a text.
            lax: read numbers and truth values from text.

        Raises:
            ValueError: it has another type, or lies outside the bounds.
        """
        if lax and isinstance(value, str):
            if bool in self.types and value.lower() in TRUE | FALSE:
                return value.lower() in TRUE
            lax = str not in self.types
        try:
            return msgspec.convert(value, self.bounded, strict=not lax, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None

    @property
    def is_list(self) -> bool:
        """Whether the option may hold several texts."""
        return any(typing.get_origin(kind) in (tuple, Sequence) for kind in self.types)


@functools.cache
def options(table: type) -> Mapping[str, Option]:
    """The options of a dataclass, by name."""
    hints = typing.get_type_hints(table)
    return types.MappingProxyType(
        {
            entry.name: dataclasses.replace(entry.metadata["option"], name=entry.name, hint=hints[entry.name])
            for entry in dataclasses.fields(table)
        }
    )


def about(table: type) -> str:
    """What a table is for: its docstring as one paragraph."""
    return " ".join((table.__doc__ or "").split())


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint of an error about an unknown name: the nearest known one, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(names)}."


def check_known(name: str, known: Mapping[str, Any], complaint: str) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        ConfigError: with the nearest known name.
    """
    if name not in known:
        raise ConfigError(f"{complaint}.", hint=nearest(name, known))


def read_file(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: it is missing, cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {file}.", hint="Write one with: clipita init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error


def read_table(section: type, table: Any, where: str, base: Path) -> dict[str, Any]:
    """The values of a section of clipita.toml; relative paths start at `base`.

    Raises:
        ConfigError: an unknown key, a wrong type, a number out of bounds, or a secret.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table.")
    known = options(section)
    values = {}
    for key, value in table.items():
        check_known(key, known, f"{where}: unknown key {key}")
        if known[key].secret:
            raise ConfigError(f"{where}: a {key} does not belong in this file.", hint=known[key].help)
        if key == "url" and _has_password(value):
            raise ConfigError(f"{where} url: a password does not belong in this file.", hint=known["password"].help)
        converted = _converted(known[key], value, f"{where} {key}")
        values[key] = _based(converted, base)
    return values


def _based(value: Any, base: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_based(part, base) for part in value)
    return base / value if isinstance(value, Path) else value


def read_environment(section: type, name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The values of a section that the environment sets.

    Raises:
        ConfigError: a wrong type, or a number out of bounds.
    """
    values = {}
    for key, entry in options(section).items():
        variable = f"CLIPITA_{name}_{key}".upper()
        if variable in environ:
            text = environ[variable]
            value = [part.strip() for part in text.split(",") if part.strip()] if entry.is_list else text
            values[key] = _converted(entry, value, variable, lax=True)
    return values


def _converted(entry: Option, value: Any, where: str, *, lax: bool = False) -> Any:
    try:
        return entry.convert(value, lax=lax)
    except ValueError:
        raise ConfigError(f"{where} is {value!r}.", hint=f"Expected: {entry.expected}.") from None


def _has_password(url: Any) -> bool:
    return isinstance(url, str) and "@" in url and ":" in url.rpartition("@")[0].partition("://")[2]


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise ValueError(f"no conversion of {type(value).__name__} to {kind.__name__}")
