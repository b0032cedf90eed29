"""Category numbers as paths, by a taxonomy file in Google's form: `166 - Apparel & Accessories > Clothing`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipita.catalogue.formats.rows import numbered_lines
from clipita.catalogue.product import SEPARATOR, CategoryPath
from clipita.errors import UsageError

_LINE = re.compile(r"\s*(\d+)\s*-\s*(.+?)\s*")


@functools.lru_cache(maxsize=4)
def read_taxonomy(file: Path) -> Mapping[str, CategoryPath]:
    """Number to path.

    Comments begin with #. The format is that of https://www.google.com/basepages/producttype/taxonomy-with-ids.en-US.txt,
    in any language.

    Raises:
        UsageError: the file cannot be read, or a line has another form.
    """
    found: dict[str, CategoryPath] = {}
    try:
        for number, line in numbered_lines(file):
            written = (line or b"").decode("utf-8", errors="replace")
            if not written.strip() or written.startswith("#"):
                continue
            match = _LINE.fullmatch(written.rstrip("\r\n"))
            if match is None:
                raise UsageError(
                    f"Line {number} of the taxonomy {file} is not a number with a path: {written.strip()[:60]!r}.",
                    hint="Use the file of the taxonomy that has ids: 166 - Apparel & Accessories.",
                )
            found[match[1]] = tuple(name.strip() for name in match[2].split(SEPARATOR))
    except OSError as error:
        raise UsageError(f"The taxonomy {file} cannot be read: {error.strerror}.", hint="Check the path.") from error
    return found


def by_number(cell: Any, taxonomy: Path) -> Any:
    """A cell that is a number of the taxonomy as its path; an unknown number is no category, other cells stay."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return cell
    key = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
    return list(read_taxonomy(taxonomy).get(key, ())) if key.isdigit() else cell
