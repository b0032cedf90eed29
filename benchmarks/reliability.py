"""Write what trust.py and ingest.py found into docs/reliability.md; with --check only say if it stands there."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from record import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Put the tables in their places."""
    before = PAGE.read_text(encoding="utf-8")
    text = _placed(before, "fuzz", fuzz_table())
    text = _placed(text, "soak", soak_table())
    text = _placed(text, "trust", aims_table("trust"))
    text = _placed(text, "ingest", aims_table("ingest"))
    if "--check" in sys.argv:
        print("" if text == before else "docs/reliability.md is not what benchmarks/results says")
        return int(text != before)
    PAGE.write_text(text, encoding="utf-8")
    return 0


def fuzz_table() -> str:
    """A row for every target that has been run."""
    results = [_read(file.stem) for file in sorted(RESULTS.glob("fuzz-*.json"))]
    rows = [
        "| target | inputs | different | accepted | crashes | hangs | slowest input | all together |",
        "|---|" + "---:|" * 7,
    ]
    rows += [
        f"| {one['target']} | {one['inputs']:,} | {one['distinct']:,} | {one['outcomes'].get('accepted', 0):,} "
        f"| {one['crashes']} | {one['hangs']} | {one['slowest_input_s']} s | {one['wall_s']:.0f} s |"
        for one in results
    ]
    return "\n".join(rows)


def soak_table() -> str:
    """The counts of the soak, with the minutes that it really ran."""
    soak = _read("trust").get("soak")
    if soak is None:
        return "No result has been recorded yet."
    rows = [
        "| | |", "|---|---:|", f"| minutes | {soak['minutes']} |", f"| products | {soak['products']:,} |",
        *(f"| {name} | {count:,} |" for name, count in soak["counts"].items()),
        f"| slowest answer | {soak['slowest_answer_s']} s |",
    ]  # fmt: skip
    return "\n".join(rows)


def aims_table(name: str) -> str:
    """Every aim of a benchmark in parts, with what was seen and whether it was reached."""
    rows = ["| part | aim | measured | | commit |", "|---|---|---:|---|---|"]
    for part, result in _read(name).items():
        for aim in result["targets"]:
            told = "reached" if aim["reached"] else "**missed**"
            rows.append(f"| {part} | {aim['target']} | {_shown(aim['value'])} | {told} | {result['commit'][:7]} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_shown(one)}" for name, one in value.items())
    return ", ".join(map(_shown, value)) if isinstance(value, list) else f"{value:,}"


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _placed(text: str, name: str, table: str) -> str:
    pattern = rf"(?s)(<!-- {name} -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{table}\n{found[2]}", text, count=1)


if __name__ == "__main__":
    sys.exit(main())
