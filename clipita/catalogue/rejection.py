"""What is kept about a row that gives no usable product."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that was left out, and why.

    Attributes:
        file: the catalogue file.
        row: counted from 1: the line of a text file (a CSV header is line 1), the data row of a Parquet file.
        id: the product's id, where it could be read.
        reason: what was wrong, written `what: details`.
    """

    file: str
    row: int
    id: str | None
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its details, by which rejections are counted."""
        return self.reason.partition(":")[0]

    def to_json_line(self) -> bytes:
        """The rejection as one line of a JSONL file, newline included."""
        return orjson.dumps(dataclasses.asdict(self), option=orjson.OPT_APPEND_NEWLINE)
