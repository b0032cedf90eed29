"""The fuzzer itself on few inputs, and what it has found so far."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.catalogue.reader import CatalogueFile
from clipita.errors import BundleError, CatalogueError, UsageError
from clipita.opensearch.search.cursor import Cursor
from clipita.runtime import Bundle

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def fuzz(*words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), "--no-record", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    result: dict[str, Any] = ast.literal_eval(done.stdout.splitlines()[-1])
    return done.returncode, result


@pytest.mark.parametrize("target", ["readers", "images", "bundles", "queries", "locations", "bulks"])
def test_nothing_is_found_and_both_ends_are_reached(target: str) -> None:
    code, result = fuzz("--target", target, "--inputs", "400", "--seed", "31")
    assert (code, result["findings"]) == (0, {})
    assert result["inputs"] == 400
    # A target that refuses everything, or nothing, looks at half of the code at the most.
    assert 20 < result["outcomes"]["accepted"] < 380


@pytest.mark.parametrize(
    ("fault", "found"),
    [("raise KeyError('planted')", "KeyError at fault.py"), ("\n  while True: pass", "hang")],
)
def test_a_crash_and_a_hang_are_found(tmp_path: Path, fault: str, found: str) -> None:
    (tmp_path / "fault.py").write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "import fuzz, fuzz_targets\nfrom hypothesis import strategies as st\nfrom pathlib import Path\n"
        f"def run(case):\n if case > 5: {fault}\n"
        "fuzz.TARGETS['readers'] = lambda folder: (st.integers(0, 9), run)\n"
        "fuzz.FOUND = Path('found')\n"
        "sys.argv = ['fuzz', '--target', 'readers', '--inputs', '10', '--no-record']\nsys.exit(fuzz.main())\n"
    )
    done = subprocess.run([sys.executable, "fault.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert found in done.stdout
    assert list((tmp_path / "found").iterdir())


def test_a_cursor_of_many_brackets_is_no_cursor() -> None:
    with pytest.raises(UsageError, match="not a cursor"):
        Cursor.decode(base64.urlsafe_b64encode(b"[" * 100_000).decode())


def test_a_parquet_file_whose_column_names_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "c.parquet"
    pq.write_table(pa.table({"product_id": ["p1"], "titleXYZ": ["a"]}), file, store_schema=False)
    file.write_bytes(file.read_bytes().replace(b"titleXYZ", b"\xf8\xf8\xf8\xf8\xf8\xf8\xf8\xf8"))
    with pytest.raises(CatalogueError, match="cannot be read as Parquet"):
        list(CatalogueFile(file).products())


CHANGES: list[Callable[[dict[str, Any]], Any]] = [
    lambda manifest: manifest.update(categories=7),
    lambda manifest: manifest.update(categories=[["Home", 3]]),
    lambda manifest: manifest.update(dim=10**9),
    lambda manifest: manifest["image"].update(height=10**9),
    lambda manifest: manifest["image"].update(width="wide"),
    lambda manifest: manifest["image"].update(std=[1, 1]),
    lambda manifest: manifest["text"].update(clean=["lower"]),
    lambda manifest: manifest["text"].update(context_length=0),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_forged_manifest_is_refused_before_it_costs_anything(
    tiny_bundle: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    import json
    import shutil

    from clipita.runtime.bundle import fingerprint_of

    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    manifest["fingerprint"] = fingerprint_of(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="cannot be understood"):
        Bundle.load(bundle)


def test_a_manifest_of_many_brackets(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.load(tmp_path)


def test_the_page_tells_what_was_recorded_and_nothing_was_found() -> None:
    command = [sys.executable, str(BENCHMARKS / "reliability.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    import json

    for file in (BENCHMARKS / "results").glob("fuzz-*.json"):
        result = json.loads(file.read_text(encoding="utf-8"))
        least = 20_000 if result["target"] == "requests" else 80_000
        assert (result["inputs"] >= least, result["findings"]) == (True, {}), file.name
