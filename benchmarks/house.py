"""How easily the source code can be taken in: its size, its imports, its folders, and what one search call touches.

    python benchmarks/house.py [--url URL --bundle FOLDER]

Prints each figure with its aim and writes benchmarks/results/house.json; needs no network. The search call runs
against a node at --url, or else against a node started in a temporary folder, with a tiny model trained on a drawn shop
(about a minute); without an installed OpenSearch that figure is left out. Exits 1 if a figure misses its aim.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from types import FrameType
from typing import Any

import record
import structure

CLIPITA = [sys.executable, "-c", "from clipita.cli import main; main()"]
TOWER = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
LONG_FILE = 350


def main() -> int:
    """Measure, print and write; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running node; its index is made and removed again")
    parser.add_argument("--bundle", type=Path, help="an exported model")
    parser.add_argument("--no-search", action="store_true", help="leave the search call out")
    options = parser.parse_args()
    touched, skipped = (None, "--no-search") if options.no_search else search_files(options.url, options.bundle)

    counted = structure.counted_files()
    lines = {str(file.relative_to(structure.ROOT)): structure.lines(file) for file in counted}
    total = sum(lines.values())
    imports = sum(map(structure.import_lines, counted))
    folder, size = next(item for item in structure.folder_sizes().items() if item[0] != "cli")
    circles = structure.circles()
    untested = structure.without_tests()
    long = {name: count for name, count in lines.items() if count > LONG_FILE}
    rows = [
        row("product lines", total, 22_000),
        row("import lines, % of product lines", round(100 * imports / total, 1), 5.0),
        row("import circles", len(circles), 0),
        row(f"files in the largest folder but cli ({folder})", size, 15),
        row(f"files over {LONG_FILE} lines", len(long)),
        row("modules without a test file of their name", len(untested)),
        row("files touched by a search call", None if touched is None else len(touched), 8),
        row("`clipita --help`, CPU seconds", round(help_seconds(), 2), 0.3),
    ]
    details = {
        "circles": circles, "long_files": long, "without_tests": untested,
        "search_files": touched, "search_skipped": skipped, "folders": structure.folder_sizes(),
    }  # fmt: skip
    print_table(rows)
    for title, names in (
        ("Import circles", [" <-> ".join(circle) for circle in circles]),
        (f"Files over {LONG_FILE} lines", [f"{name}: {count}" for name, count in long.items()]),
        ("Files of a search call", touched or []),
        ("Modules without a test file of their name", untested),
    ):
        print(f"\n{title}:", *names or ["none"], sep="\n  ")
    if skipped:
        print(f"\nThe search call was not measured: {skipped}.")
    print(f"\n{record.write('house', {**record.provenance([], []), 'rows': rows, **details})}")
    return int(any(line["reached"] is False for line in rows))


def row(name: str, value: float | None, aim: float | None = None) -> dict[str, Any]:
    """A figure; an aim is an upper bound."""
    return {"name": name, "value": value, "aim": aim, "reached": None if None in (value, aim) else value <= aim}


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures as columns: name, value, aim, reached."""
    word = {True: "yes", False: "NO", None: ""}
    width = max(len(line["name"]) for line in rows)
    print(f"{'figure':{width}}  {'value':>8}  {'aim':>8}  reached")
    for line in rows:
        value, aim = ("-" if line[key] is None else f"{line[key]:,}" for key in ("value", "aim"))
        print(f"{line['name']:{width}}  {value:>8}  {aim:>8}  {word[line['reached']]}")


def help_seconds() -> float:
    """CPU time of `clipita --help` in a process of its own, the least of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*CLIPITA, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def search_files(url: str | None, bundle: Path | None) -> tuple[list[str] | None, str | None]:
    """The product files whose functions a hybrid search calls, or None and the reason why it was not measured."""
    with tempfile.TemporaryDirectory(prefix="clipita-house-") as temporary:
        work = Path(temporary)
        home = None
        if url is None:
            from clipita.opensearch.local.install import cache_folder
            from clipita.opensearch.local.releases import find_release

            if not (cache_folder() / find_release().folder).is_dir():
                return None, "OpenSearch is not installed; `clipita opensearch start` installs it, or give --url"
            home = work / "node"
            url = str(json.loads(clipita(work, "opensearch", "start", "--home", str(home), "--json"))["url"])
        try:
            return traced_search(work, url, bundle), None
        finally:
            if home is not None:
                clipita(work, "opensearch", "stop", "--home", str(home))


def traced_search(work: Path, url: str, bundle: Path | None) -> list[str]:
    """Make an index, search it once to fill all caches, and trace a second search for another text."""
    from opensearchpy import OpenSearch

    from clipita.opensearch import ProductSearch

    clipita(work, "sample", "shop", "--products", "400", "--seed", "1")
    (work / "tower.json").write_text(json.dumps(TOWER))
    if bundle is None:
        bundle = work / "model"
        train = ["--recipe", "paper", "--loss", "tree", "--tower-config", "tower.json", "--unfreeze", "--dim", "32"]
        data = ["shop/train.parquet", "--valid", "shop/valid.parquet"]
        clipita(work, "train", *data, *train, "--epochs", "2", "--batch-size", "32")
        clipita(work, "export-onnx", "--catalogue", "shop/valid.parquet")
    alias = f"house-{uuid.uuid4().hex[:8]}"
    clipita(work, "ingest", "shop/valid.parquet", "--index", alias, "--url", url, "--model", str(bundle.resolve()))
    try:
        search = ProductSearch(url, index=alias, model=bundle)
        options: dict[str, Any] = {"mode": "hybrid", "facets": ["brand"]}
        brand = search("plates", **options).facets["brand"][0].value
        options["filters"] = {"brand": [brand]}
        assert search("plates", **options).hits, "nothing is found, so nothing of a hit is read"
        return called_files(lambda: search("running shoes", **options))
    finally:
        client = OpenSearch(url)
        client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
        client.close()


def called_files(call: Any) -> list[str]:
    """The product files whose functions run during a call, in any of its threads."""
    roots = tuple(f"{structure.ROOT / folder}{os.sep}" for folder in structure.FOLDERS)
    files: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(roots) and frame.f_code.co_name != "<module>":
            files.add(str(Path(frame.f_code.co_filename).relative_to(structure.ROOT)))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return sorted(files)


def clipita(work: Path, *arguments: str) -> str:
    """Run a command of ours in the work folder; gives its stdout."""
    done = subprocess.run([*CLIPITA, *arguments], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"clipita {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
