"""The README's first table: one line a promise, with what was measured and what was aimed at.

A line whose result file, part or target is not there is left out; nothing is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Line:
    """A promise.

    Attributes:
        promise: what is measured, in a reader's words; `{products:,}` and the like are filled in from the result.
        files: stems of the result files that may hold it, the likeliest first.
        value: takes the value out of a file; a KeyError says that it was not measured there.
        shown: how the value is written.
        aim: what was aimed at; empty for a line to compare with.
        reached: whether the value reaches that.
    """

    promise: str
    files: tuple[str, ...]
    value: Callable[[dict[str, Any]], float]
    shown: str
    aim: str = ""
    reached: Callable[[float], bool] = lambda _: True


def table(results: Path) -> str:
    """The table as Markdown.

    Args:
        results: the folder of the result files.
    """
    rows = ["| what | measured | aim | measured by |", "| --- | ---: | ---: | --- |"]
    for line in LINES:
        for file in line.files:
            try:
                result = json.loads((results / f"{file}.json").read_text(encoding="utf-8"))
                value, promise = line.value(result), line.promise.format_map(result)
            except (FileNotFoundError, KeyError):
                continue
            missed = "" if line.reached(value) else ", missed"
            script = f"`benchmarks/{file.partition('-')[0]}.py`"
            rows.append(f"| {promise} | {line.shown.format(value)} | {line.aim}{missed} | {script} |")
            break
    return "\n".join(rows)


def _target(start: str, part: str | None = None) -> Callable[[dict[str, Any]], float]:
    """The value of the target whose name begins so."""

    def value(result: dict[str, Any]) -> float:
        for target in (result if part is None else result[part])["targets"]:
            if target["target"].startswith(start):
                return float(target["value"])
        raise KeyError(start)

    return value


def _bm25(result: dict[str, Any]) -> float:
    for row in result["rows"]:
        if row["system"] == "bm25" and row["setup"] == "tree" and row["subset"] == "all":
            return float(row["R-precision"])
    raise KeyError("bm25")


LINES = [
    Line("category pages of a real shop, R-precision", ("quality",),
         _target("all categories trained: R-precision"), "{:.1f} %", "≥ 92.5 %", lambda x: x >= 92.5),
    Line("the same pages by BM25 over titles", ("quality",), _bm25, "{:.1f} %"),
    Line("30 categories that training did not see, hybrid; BM25 {unseen[unseen][bm25]}: {unseen[unseen][over]}",
         ("page",), lambda result: float(result["unseen"]["unseen"]["hybrid"]), "{:.1f} %"),
    Line("what a free-text page of a category's name holds, F1; the 400 nearest products {ends[nearest][page F1]}",
         ("page",), _target("page F1", "ends"), "{:.1f}", "≥ 88", lambda x: x >= 88),
    Line("category pages that are not exactly their products, of {live[pages]:,}", ("page",),
         _target("category pages that are not", "live"), "{:.0f}", "0", lambda x: x == 0),
    Line("\"red kurta\", typed by people, R-precision; BM25 {live[typed][attribute][bm25]}", ("page",),
         lambda result: float(result["live"]["typed"]["attribute"]["default"]), "{:.1f} %", "≥ 86 %",
         lambda x: x >= 86),
    Line("texts a second, against PyTorch on the same CPU", ("runtime",),
         lambda result: float(result["text"]["times"]), "{:.1f} ×", "≥ 10 ×", lambda x: x >= 10),
    Line("products a second, against PyTorch on the same CPU", ("runtime",),
         lambda result: float(result["product"]["fp32"]["times"]), "{:.1f} ×", "≥ 2.5 ×", lambda x: x >= 2.5),
    Line("... with 8-bit numbers", ("runtime",),
         lambda result: float(result["product"]["int8"]["times"]), "{:.1f} ×", "≥ 5 ×", lambda x: x >= 5),
    Line("decoding pictures, against PyTorch's way", ("runtime",),
         lambda result: float(result["picture"]["times"]), "{:.1f} ×", "≥ 3 ×", lambda x: x >= 3),
    Line("from the start of a process to a query's vector", ("runtime",),
         lambda result: float(result["cold_start"]["fp32"]["seconds"]), "{:.2f} s", "≤ 1 s", lambda x: x <= 1),
    Line("ingest, against the encoder alone", ("ingest",),
         _target("end to end", "encoder"), "{:.2f} ×", "≥ 0.95 ×", lambda x: x >= 0.95),
    Line("ingest without the encoder, against `helpers.bulk` in one thread", ("ingest",),
         _target("host side", "host"), "{:.2f} ×", "≥ 3 ×", lambda x: x >= 3),
    Line("ingests killed at a random moment that the same command finished, of 50", ("trust",),
         _target("killed runs", "kill"), "{:.0f}", "50", lambda x: x == 50),
    Line("a hybrid page among {products:,} products, median", ("search",),
         lambda result: float(result["latency"]["shapes"]["plain"]["hybrid"]["p50"]), "{:.1f} ms"),
    Line("hybrid against the slower of its halves, median", ("search",),
         _target("hybrid p50 <= 1.3 x the slower half, plain"), "{:.2f} ×", "≤ 1.3 ×", lambda x: x <= 1.3),
    Line("recall@10 of the k-NN field at the defaults", ("search",),
         _target("recall@10"), "{:.4f}", "≥ 0.99", lambda x: x >= 0.99),
    Line("wrong answers while models are swapped, nodes restarted and indices written", ("trust",),
         _target("wrong answers", "soak"), "{:.0f}", "0", lambda x: x == 0),
    Line("from `pip install` to category pages of {products:,} products on a cluster with TLS and password", ("walk",),
         lambda result: float(result["seconds"]["in all"]) / 60, "{:.1f} min"),
]  # fmt: skip
