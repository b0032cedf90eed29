"""Setting values in clipita.toml without losing its comments."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from clipita.errors import ConfigError


def with_values(text: str, section: str, values: Mapping[str, Any], name: str) -> str:
    """The file's text with settings of one section set; every other setting and all comments stay.

    A line that sets a value is replaced, else the commented line that shows its default, else a line is added.

    Args:
        text: of the file.
        section: the table's name.
        values: setting to value: numbers, strings, or lists of strings.
        name: of the file, for errors.

    Raises:
        ConfigError: the result would not be the file with these settings, for instance as a value stands on several
            lines.
    """
    lines = text.splitlines()
    header = next((row for row, line in enumerate(lines) if re.match(rf"\s*\[\s*{section}\s*\]", line)), None)
    if header is None:
        lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        header = len(lines) - 1
    for key, value in values.items():
        _set(lines, header, key, f"{key} = {_toml(value)}")
    changed = "\n".join(lines) + "\n"
    _check(text, changed, section, values, name)
    return changed


def _set(lines: list[str], header: int, key: str, line: str) -> None:
    end = next((row for row in range(header + 1, len(lines)) if re.match(r"\s*\[", lines[row])), len(lines))
    for pattern in (rf"\s*{key}\s*=", rf"\s*#\s*{key}\s*="):
        for row in range(header + 1, end):
            if re.match(pattern, lines[row]):
                lines[row] = line
                return
    lines.insert(header + 1, line)


def _check(before: str, after: str, section: str, values: Mapping[str, Any], name: str) -> None:
    expected = tomllib.loads(before)
    expected[section] = {**expected.get(section, {}), **values}
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = {}
    if found != expected:
        shown = ", ".join(f"{key} = {_toml(value)}" for key, value in values.items())
        raise ConfigError(
            f"[{section}] of {name} is written in a way that cannot be changed by itself.",
            hint=f"Set by hand: {shown}.",
        )


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
