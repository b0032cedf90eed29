"""Write the tables of README.md and of docs/ from benchmarks/results/*.json, so that they quote nothing else.

python benchmarks/tables.py            rewrites them between their <!-- table --> marks
python benchmarks/tables.py --check    exits 1 where one of them says something else
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import paper_tables
import summary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = tuple(
    ROOT / page
    for page in (
        "README.md",
        "docs/model.md",
        "docs/paper.md",
        "docs/howto/existing-index.md",
        "docs/howto/new-categories.md",
    )
)
MEASURES = ("P@1", "P@5", "P@10", "mAP@5", "mAP@10", "R-precision")


def main() -> int:
    """Rewrite, or check; gives the exit code."""
    wrong = 0
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = fill(before)
        if "--check" not in sys.argv[1:]:
            page.write_text(after, encoding="utf-8")
        elif after != before:
            wrong = 1
            print(f"{page.name} does not say what benchmarks/results holds; mend it with: python benchmarks/tables.py")
    return wrong


def fill(text: str) -> str:
    """A page with every table made anew; a table whose result file is missing stays as it is.

    `<!-- table fashion -->` is the table of fashion.json, `<!-- table paper:errors -->` one of several of paper.json.
    """

    def table(match: re.Match[str]) -> str:
        name = match[1]
        if name == "summary":
            return f"<!-- table summary -->\n{summary.table(RESULTS)}\n<!-- end -->"
        file = RESULTS / f"{name.partition(':')[0]}.json"
        if not file.exists():
            return match[0]
        body = TABLES[name](json.loads(file.read_text(encoding="utf-8")))
        return f"<!-- table {name} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table ([\w:]+) -->\n(.*?)\n?<!-- end -->", table, text, flags=re.DOTALL)


def new_categories(result: dict[str, Any]) -> str:
    """What a name and a few examples give, as means over the draws."""
    rows = [
        (
            "name alone" if not row["examples"] else f"{row['examples']} example{'s' * (row['examples'] > 1)}",
            f"{row['unseen']:.1f}", f"{row['unseen, lowest draw']:.1f}", f"{row['seen']:.1f}",
            *(f"{row[name]:.1f}" if name in row else "" for name in ("page F1", "pages within 20 %")),
        )
        for row in result["means"]
    ]  # fmt: skip
    columns = (
        "name and",
        "new categories",
        "lowest draw",
        "known categories",
        "page F1",
        "pages of about the right size, %",
    )
    return "\n".join([_line(columns), _line(["---", *["---:"] * (len(columns) - 1)]), *map(_line, rows)])


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


def walk(result: dict[str, Any]) -> str:
    """The seconds of every command of the how-to, and what its pages are worth."""
    rows = [_line([name, f"{seconds:,.1f}"]) for name, seconds in result["seconds"].items()]
    worth = ", ".join(f"{mode} {value:.1f}" for mode, value in result["r_precision"].items())
    return "\n".join(
        [
            _line(["step", "seconds"]), _line(["---", "---:"]), *rows, "",
            f"{result['products']:,} drawn products in an index of other field names, behind nginx with TLS, client "
            f"certificates and passwords; the model learnt from {result['trained_on']:,} of them, with the demo's "
            "small towers. Packages came from the machine's cache.",
            f"R-precision of the category pages, in percent: {worth}{_made(result)}",
        ]
    )  # fmt: skip


def classify(result: dict[str, Any]) -> str:
    """How well categories are suggested, by the confidence asked for."""
    told = result["classify"]
    names = ("least_confidence", "precision", "recall")
    rows = [_line([f"{level[name]:.1f}" for name in names]) for level in told["levels"]]
    head = [_line(["confidence from", "precision", "recall"]), _line(["---:"] * 3)]
    return "\n".join([*head, *rows]) + f"\n\n{told['products']:,} products, percent{_made(result)}"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo,
    "fashion": fashion,
    "walk": walk,
    "quality:classify": classify,
    "new_categories": new_categories,
    "paper:retrieval": paper_tables.retrieval,
    "paper:subsets": paper_tables.subsets,
    "paper:errors": paper_tables.errors,
}


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
