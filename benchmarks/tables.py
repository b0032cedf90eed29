"""Write the README's tables from benchmarks/results/*.json, so that it quotes nothing else.

python benchmarks/tables.py            rewrites README.md between its <!-- table --> marks
python benchmarks/tables.py --check    exits 1 where README.md says something else
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import summary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
MEASURES = ("P@1", "P@5", "P@10", "mAP@5", "mAP@10", "R-precision")


def main() -> int:
    """Rewrite, or check; gives the exit code."""
    before = README.read_text(encoding="utf-8")
    after = fill(before)
    if "--check" in sys.argv[1:]:
        if after != before:
            print("README.md does not say what benchmarks/results holds; mend it with: python benchmarks/tables.py")
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


def fill(text: str) -> str:
    """The README with every table made anew; a table whose result file is missing stays as it is."""

    def table(match: re.Match[str]) -> str:
        if match[1] == "summary":
            return f"<!-- table summary -->\n{summary.table(RESULTS)}\n<!-- end -->"
        file = RESULTS / f"{match[1]}.json"
        if not file.exists():
            return match[0]
        body = TABLES[match[1]](json.loads(file.read_text(encoding="utf-8")))
        return f"<!-- table {match[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n(.*?)\n?<!-- end -->", table, text, flags=re.DOTALL)


def demo(result: dict[str, Any]) -> str:
    """What `make demo` prints in the end, and how long it took."""
    rows = [(f"{_name(row)}, {row['where']}", row) for row in result["rows"]]
    seconds = round(result["seconds"])
    return (
        f"{_retrieval(rows)}\n\nCategory queries on {result['products']:,} drawn test products, in percent; "
        f"{seconds // 60} min {seconds % 60} s after installation{_made(result)}"
    )


def fashion(result: dict[str, Any]) -> str:
    """The real catalogue: offline rows, then the live index."""
    offline = [(f"{_name(row)}, exact search", row) for row in result["rows"]]
    live = [(f"{_name(row)}, live index", row) for row in result["live"] if row["mode"] != "lexical"]
    return f"{_retrieval(offline + live)}\n\nIn percent{_made(result)}"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"demo": demo, "fashion": fashion}


def _name(row: dict[str, Any]) -> str:
    loss = f" ({row['loss']})" if "loss" in row else ""
    mode = "hybrid of BM25 and " if row["mode"] == "hybrid" else ""
    return f"{mode}{row['system'].upper() if row['system'].startswith('clip') else row['system']}{loss}"


def _retrieval(rows: Iterable[tuple[str, dict[str, Any]]]) -> str:
    lines = [_line(["system", *MEASURES]), _line(["---", *["---:"] * len(MEASURES)])]
    lines += [_line([name, *(f"{row[measure]:.1f}" for measure in MEASURES)]) for name, row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _made(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f" (`{result['command']}`, {machine['cpu']}, {machine['cores']} cores; commit {result['commit'][:7]})."


if __name__ == "__main__":
    sys.exit(main())
