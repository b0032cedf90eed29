"""Category cells as paths: one or several, in the forms in which shop systems export them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from clipita.catalogue.cell_values import parse_json_cell, text
from clipita.catalogue.product import CategoryPath, CategoryPaths, nodes_on, split_path
from clipita.config import FieldsConfig
from clipita.errors import ProductError

MAX_PATHS = 64
MAX_LEVELS = 32
MAX_CATEGORY_NAME = 1000


def category_paths(value: Any, fields: FieldsConfig, roots: Collection[str] = ()) -> CategoryPaths:
    """A category cell as paths, in the cell's order; a path that leads to another one of the cell adds nothing.

    Args:
        value: see `path_parts`.
        fields: the separators, and the column's name for errors.
        roots: names that begin paths of the file.

    Raises:
        ProductError: a name is blank, not text or too long, a path has too many levels, or there are too many paths.
    """
    column = fields.category_path
    paths = [_path(names, column) for names in path_parts(value, fields, roots)]
    found = without_ancestors(paths)
    if len(found) > MAX_PATHS:
        raise _too_many(column, len(found))
    return found


def without_ancestors(paths: Sequence[CategoryPath]) -> CategoryPaths:
    """The paths, each once and in order, without empty ones and without those that lead to another one."""
    if len(paths) < 2:
        return tuple(path for path in paths if path)
    above = set(nodes_on(path[:-1] for path in paths))
    return tuple(path for path in dict.fromkeys(paths) if path and path not in above)


def path_parts(value: Any, fields: FieldsConfig, roots: Collection[str] = ()) -> list[list[Any]]:
    """The names of each path in a category cell, root first, as they are written.

    - a list of lists: several paths;
    - a list of texts that are written paths, such as ["Clothing > Women", "Sale > Summer"]: several paths. Each has the
      category separator, or is the root of another one;
    - any other list: the names of one path;
    - a text with a JSON array: as the array;
    - any other text: paths by the path separator, and their names by the category separator. A separator behind a
      backslash belongs to a name. A comma does too where what follows is no path: it has no category separator while
      other parts of the cell have it, and it is neither a root in the cell nor one of `roots`.

    Raises:
        ProductError: the value has another form, or far too many parts.
    """
    column = fields.category_path
    if isinstance(value, bytes):
        value = text(value, column)
    if isinstance(value, str):
        value = parse_json_cell(value, list, column)
    if isinstance(value, str):
        return written_paths(value, fields, roots)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ProductError(f"the category path is neither a list nor text: {column} is {str(value)[:60]!r}")
    if value and all(isinstance(part, list | tuple | None) for part in value):
        _check_number(column, value)
        return [path for part in value if part for path in _one_list(part, fields)]
    return _one_list(value, fields)


def written_paths(cell: str, fields: FieldsConfig, roots: Collection[str] = ()) -> list[list[str]]:
    """The names of each path in a text, as `path_parts` splits it; a ProductError for far too many paths."""
    return [split_path(path, fields.category_separator) for path in _written(cell, fields, roots)]


def _one_list(parts: Sequence[Any], fields: FieldsConfig) -> list[list[Any]]:
    split = [split_path(part, fields.category_separator) for part in parts if isinstance(part, str)]
    roots = {names[0].strip() for names in split if len(names) > 1}
    if not roots or len(split) < len(parts) or any(names[0].strip() not in roots for names in split):
        return [list(parts)]
    _check_number(fields.category_path, parts)
    return split


def _written(cell: str, fields: FieldsConfig, roots: Collection[str]) -> list[str]:
    separator, level = (one.strip() or one for one in (fields.path_separator, fields.category_separator))
    if not separator or separator not in cell:
        return [cell]
    parts = re.split(rf"(?<!\\){re.escape(separator)}", cell)
    _check_number(fields.category_path, parts)
    if separator == "," and level and any(level in part for part in parts):
        parts = _with_commas(parts, level, roots)
    return [part.replace("\\" + separator, separator) for part in parts if part.strip()]


def _with_commas(parts: Sequence[str], level: str, roots: Collection[str]) -> list[str]:
    own = {part.partition(level)[0].strip() for part in parts if level in part}
    joined = [parts[0]]
    for part in parts[1:]:
        name = part.strip()
        if level in part or name in own or name in roots:
            joined.append(part)
        else:
            joined[-1] += f",{part}" if name else ""
    return joined


def _path(names: Sequence[Any], column: str) -> CategoryPath:
    if len(names) > MAX_LEVELS:
        raise ProductError(f"the category path has more than {MAX_LEVELS} levels: {column} has {len(names)}")
    texts = [text(name, column) for name in names]
    while texts and texts[-1] is None:
        texts.pop()
    path = tuple(name for name in texts if name is not None)
    if len(path) != len(texts):
        raise ProductError(f"a category name is blank: {column} is {texts!r}")
    if any(len(name) > MAX_CATEGORY_NAME for name in path):
        raise ProductError(f"a category name is longer than {MAX_CATEGORY_NAME} characters: {path[0][:60]}…")
    return path


def _check_number(column: str, parts: Sequence[Any]) -> None:
    # Before any work: a cell may list all ancestors of its paths too, but no more.
    if len(parts) > MAX_PATHS * MAX_LEVELS:
        raise _too_many(column, len(parts))


def _too_many(column: str, count: int) -> ProductError:
    return ProductError(f"the product has more than {MAX_PATHS} category paths: {column} has {count:,}")
