"""The requests of docs/howto/storefront.md, as they stand, against a running server."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "storefront.md"
THEIRS = "http://127.0.0.1:8080"
pytestmark = pytest.mark.integration


def block(language: str) -> str:
    """The page's one block of a language."""
    [found] = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    return str(found)


def test_the_lines_in_javascript_print_the_hits(server: Any, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node is installed")
    file = tmp_path / "page.mjs"
    file.write_text(block("js").replace(THEIRS, server.url), encoding="utf-8")
    done = subprocess.run([node, str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = server("/v1/search?q=running+shoes&facet=brand&size=24").json["hits"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == [hit["id"] for hit in expected]


def test_the_line_for_curl_gives_a_page_of_the_shape_that_is_shown(server: Any) -> None:
    [line] = [line for line in block("sh").splitlines() if line.startswith("curl ")]
    command = [word.replace(THEIRS, server.url) for word in shlex.split(line)]
    page = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    shown = json.loads(block("json"))
    assert shown.keys() <= page.keys()
    assert shown["hits"][0].keys() <= page["hits"][0].keys()
    assert shown["facets"]["brand"][0].keys() <= page["facets"]["brand"][0].keys()
