"""`clipita demo`: the whole road on a small drawn shop, with a real node, in the words of its own output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clipita.cli", *words], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("demo")
    done = run("demo", "shop demo", "--products", "500", cwd=folder)
    try:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        yield folder / "shop demo", done.stdout
    finally:
        run("opensearch", "stop", cwd=folder / "shop demo")


@pytest.mark.slow
@pytest.mark.integration
def test_every_command_is_printed_and_its_work_is_there(shown: tuple[Path, str]) -> None:
    folder, output = shown
    commands = re.findall(r"^\$ clipita ([a-z-]+)", output, flags=re.MULTILINE)
    assert commands == [
        "sample", "catalogue", "init", "train", "export-onnx", "opensearch", "ingest", "search", "search", "search",
        "evaluate",
    ]  # fmt: skip
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert {(row["mode"], row["where"]) for row in rows} >= {(mode, "live") for mode in ("lexical", "vector", "hybrid")}
    for page in ("report.html", "search.html"):
        assert "<img" in (folder / page).read_text()


@pytest.mark.slow
@pytest.mark.integration
def test_a_printed_command_can_be_repeated_by_hand(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    again = run("ingest", "--index", "products", "--json", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["encoded"] == 0


@pytest.mark.slow
@pytest.mark.integration
def test_a_second_demo_goes_on_from_what_is_there(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    again = run("demo", folder.name, "--products", "500", cwd=folder.parent)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("Kept from the last time.") == 3


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused = run("demo", str(tmp_path), cwd=tmp_path)
    assert refused.returncode == 2
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
