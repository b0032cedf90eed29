"""The lowest versions that pyproject.toml allows: with them a shop is ingested, searched and served."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from clipita.opensearch.local.node import NodeStatus

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ALIAS = "lowest-versions"


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment with base, cpu and serve at their lowest versions."""
    environment = tmp_path_factory.mktemp("lowest") / "environment"
    python = environment / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "--resolution", "lowest-direct"]
    subprocess.run([*install, f"{ROOT}[cpu,serve]"], check=True)
    return python.with_name("clipita")


@pytest.fixture(scope="module")
def shop_of_lowest(lowest: Path, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path_factory: Any) -> str:
    """The alias of a shop that these versions have ingested: from Parquet, and from JSON Lines and CSV."""
    folder = tmp_path_factory.mktemp("shop-of-lowest")
    lines, table = folder / "more.jsonl", folder / "more.csv"
    lines.write_text(json.dumps({"product_id": "j", "title": "plate", "category_path": ["Home", "Plates"]}) + "\n")
    table.write_text("product_id,title,category_path,price\nc,kite,Toys > Kites,3.5\n")
    common = ["--index", ALIAS, "--url", node.url, "--model", tiny_bundle, "--rejected", folder / "rejected.jsonl"]
    for file in (shop / "test.parquet", lines, table):
        run(lowest, "ingest", file, *common, "--json")
    return ALIAS


@pytest.fixture(scope="module")
def served_by_lowest(lowest: Path, node: NodeStatus, shop_of_lowest: str, tiny_bundle: Path) -> Iterator[str]:
    words = [lowest, "serve", "--port", "0", "--index", shop_of_lowest, "--url", node.url]
    with subprocess.Popen([*words, "--model", tiny_bundle], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = ""
        while not (found := re.search(r"at (http://\S+)", log)):
            line = process.stderr.readline()
            assert line, log
            log += line
        yield found[1]
        process.terminate()
        assert process.wait(30) == 0


def run(command: Path, *words: Any) -> str:
    done = subprocess.run([command, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_search(lowest: Path, node: NodeStatus, shop_of_lowest: str, tiny_bundle: Path) -> None:
    common = ["--index", shop_of_lowest, "--url", node.url, "--model", tiny_bundle, "--json"]
    page = json.loads(run(lowest, "search", "red plates under 50", "--facet", "brand", "--explain", *common))
    assert page["mode"] == "hybrid"
    assert page["hits"]
    assert [part["field"] for part in page["understood"]] == ["colour", "price"]
    assert json.loads(run(lowest, "search", "--category", "Plates", *common))["total"]


def test_a_catalogue_is_checked(lowest: Path, shop: Path) -> None:
    assert "40" in run(lowest, "catalogue", "check", shop / "test.parquet")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/docs", "/static/app.js", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/index",
        "/v1/categories", "/v1/search?q=plates&facet=brand", "/v1/search?category=Kites&sort=price",
    ],
)  # fmt: skip
def test_pages_are_served(served_by_lowest: str, path: str) -> None:
    assert urllib3.request("GET", served_by_lowest + path).status == 200


def test_posts_are_served(served_by_lowest: str) -> None:
    found = urllib3.request(
        "POST", f"{served_by_lowest}/v1/search", json={"query": "plates", "filters": {"price": {"lte": 80}}}
    )
    assert found.json()["hits"]
    texts = urllib3.request("POST", f"{served_by_lowest}/v1/embed/text", json={"texts": ["plate"]})
    product = urllib3.request("POST", f"{served_by_lowest}/v1/embed/product", fields={"title": "red plate"})
    assert texts.json()["dim"] == product.json()["dim"] == 32


def test_deep_nesting_is_refused(served_by_lowest: str) -> None:
    for body in (b"[" * 100_000, b'{"query":' * 20_000):
        assert urllib3.request("POST", f"{served_by_lowest}/v1/search", body=body).status == 400
    assert urllib3.request("GET", f"{served_by_lowest}/healthz").status == 200
