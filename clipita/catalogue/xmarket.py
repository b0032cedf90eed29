"""XMarket, the data of the CLIP-ITA paper: metadata files of Amazon's markets, in their own layout.

One file a market and department, `metadata_us_Electronics.json.gz`, with one object a line; or the same columns as CSV.
Its authors read the lines with Python's eval(), so a line may be JSON or a printed Python dict, and a cell of a CSV a
printed list.

Reference: Bonab et al., Cross-Market Product Recommendation, CIKM 2021; the layout is described at xmrec.github.io.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from clipita.catalogue.rows import NumberedRow, Row, Source
from clipita.config import FieldsConfig
from clipita.errors import ProductError

FIELDS = FieldsConfig(
    id="asin",
    title="title",
    category_path="categories",
    attributes=("overviewFeatures", "productDetails"),
    image="imgUrl",
)
"""Which column is what. `features` (sentences of the seller) can be added with --attribute-field."""

MAX_LITERAL = 2**20
"""Characters of a printed Python value that are parsed; its parser takes a hundred times the memory of the text."""

_MARKS = frozenset({"asin", "categories", "imgUrl"})
_STRUCTURED = ("categories", "imgUrl", "overviewFeatures", "productDetails", "features")
_FILE = re.compile(r"metadata_[a-z]{2}_.+\.json(\.gz)?", re.IGNORECASE)
_BETWEEN = frozenset("›»>|/")


def is_metadata_file(file: Path) -> bool:
    """Whether a file is named as XMarket names its metadata; then lines may be printed Python dicts."""
    return _FILE.fullmatch(file.name) is not None


def has_layout(columns: Collection[str]) -> bool:
    """Whether columns are those of XMarket's metadata."""
    return _MARKS.issubset(columns)


class XMarketSource:
    """Rows of an XMarket file: printed values parsed, empty ones None, the largest picture alone.

    Args:
        source: the file as JSON Lines or CSV.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.columns = source.columns
        self.binary_columns = source.binary_columns

    @property
    def rows(self) -> int | None:
        """As the source has it."""
        return self._source.rows

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:
        """All rows in order.

        Raises:
            CatalogueError: the file breaks off or is damaged.
        """
        for number, row in self._source.records(leave_out):
            yield number, row if isinstance(row, ProductError) else _normalised(row)


def parse_literal(text: str) -> Any:
    """A printed Python value: dicts, lists, strings, numbers, None and booleans, nothing that runs.

    Raises:
        ProductError: it is none, or longer than `MAX_LITERAL`.
    """
    if len(text) > MAX_LITERAL:
        raise ProductError(f"a printed Python value is too long: {len(text):,} characters")
    try:
        with warnings.catch_warnings():
            # A backslash that begins no escape stays a backslash.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ProductError(f"the text is neither JSON nor a printed Python value: {text.strip()[:60]!r}") from error


def _normalised(row: Row) -> Row | ProductError:
    try:
        cells = {name: _cell(name, value) for name, value in row.items()}
    except ProductError as error:
        return ProductError(f"the row is not XMarket's: {error.message}")
    if isinstance(cells.get("categories"), list):
        # Where a page's breadcrumb was taken whole, signs stand between the names.
        cells["categories"] = [name for name in cells["categories"] if not (isinstance(name, str) and _is_sign(name))]
    cells["imgUrl"] = _largest(cells.get("imgUrl"))
    return cells


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in _STRUCTURED and value.strip()[:1] in {"[", "{"}:
        value = parse_literal(value)
    return None if value in ("", [], {}) else value


def _is_sign(name: str) -> bool:
    return name.strip() in _BETWEEN


def _largest(value: Any) -> Any:
    """Of pictures by URL with their sizes the largest; anything else as it is."""
    if not isinstance(value, Mapping) or not value:
        return value
    return max(value, key=lambda url: _area(value[url]))


def _area(size: Any) -> int:
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return int(size[0] * size[1])
    return 0
