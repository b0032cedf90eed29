"""Write the results of fuzzing, soak and ingest into docs/reliability.md; with --check only say if they stand there."""

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
    text = _placed(text, "ingest", ingest_table())
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
    if not (RESULTS / "soak.json").exists():
        return "No result has been recorded yet."
    soak = _read("soak")
    memory = soak["memory"]
    rows = [
        "| | |", "|---|---:|", f"| minutes | {soak['minutes']} |", f"| products | {soak['products']:,} |",
        f"| **wrong answers** | **{soak['wrong_answers']}** |",
        *(f"| {name} | {count:,} |" for name, count in soak["counts"].items()),
        f"| longest time in which no search was answered | {soak['longest_outage_s']} s |",
        f"| memory of the process, second quarter | {memory['second_quarter_mib']} MiB |",
        f"| memory of the process, last quarter | {memory['last_quarter_mib']} MiB |",
    ]  # fmt: skip
    return "\n".join([*rows, "", *soak_verdict(soak)])


def ingest_table() -> str:
    """Every aim of the ingest benchmark, with what was seen and whether it was reached."""
    rows = ["| part | aim | measured | | commit |", "|---|---|---:|---|---|"]
    for name, part in _read("ingest").items():
        for aim in part["targets"]:
            told = "reached" if aim["reached"] else "**missed**"
            rows.append(f"| {name} | {aim['target']} | {_shown(aim['value'])} | {told} | {part['commit'][:7]} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_shown(one)}" for name, one in value.items())
    return ", ".join(map(_shown, value)) if isinstance(value, list) else f"{value:,}"


def soak_verdict(soak: dict[str, Any]) -> list[str]:
    """What the table means, in sentences: what was wrong, how far memory grew, and how to get the same."""
    memory, made = soak["memory"], soak["provenance"]
    growth = memory["last_quarter_mib"] - memory["second_quarter_mib"]
    share = 100 * growth / memory["second_quarter_mib"]
    wrong = [
        "**Wrong, as the judge put it:**", "", *(f"- {text.strip().splitlines()[-1]}" for text in soak["wrong"]), ""
    ] if soak["wrong"] else ["No answer was wrong.", ""]  # fmt: skip
    return [
        *wrong,
        f"From the second quarter of the time to the last, the process's memory went from "
        f"{memory['second_quarter_mib']:.0f} to {memory['last_quarter_mib']:.0f} MiB ({share:+.1f} %). "
        f"Commit {made['commit'][:7]}, {made['machine']['cpu']}, {made['machine']['cores']} cores.",
    ]


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _placed(text: str, name: str, table: str) -> str:
    pattern = rf"(?s)(<!-- {name} -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{table}\n{found[2]}", text, count=1)


if __name__ == "__main__":
    sys.exit(main())
