"""Nodes of other releases. `make test` runs the oldest one, `make test-engines` all, and prints what ran on which."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.config import IngestConfig
from clipita.errors import LocalNodeError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.local.install import cache_folder, install
from clipita.opensearch.local.java import choose_java
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.local.releases import find_release
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

ENGINES: dict[str, tuple[str, Sequence[str]]] = {
    "2.13.0": ("2.13.0", ()),
    "2.19.1": ("2.19.1", ("neural-search",)),
    "3.5.0": ("3.5.0", ()),
    "3.6.0 plain": ("3.6.0", ()),
    "3.6.0": ("3.6.0", ("neural-search",)),
}
"""Version and plugins by the name in the table."""
OUTCOMES: dict[str, dict[str, str]] = {}
"""Feature to engine to what came of its test."""

CELL = "cell"
REFUSED = "refused"

Run = Callable[..., IngestReport]


@pytest.fixture(
    scope="session",
    params=[name if name == "2.13.0" else pytest.param(name, marks=pytest.mark.slow) for name in ENGINES],
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A client of a node of each release; skipped where its files or a Java for it cannot be had."""
    version, plugins = ENGINES[request.param]
    release = find_release(version, plugins)
    try:
        choose_java(release=release)
        install(cache_folder(), release)
    except LocalNodeError as error:
        pytest.skip(f"OpenSearch {version} cannot be had here: {error}")
    node = LocalNode(tmp_path_factory.mktemp("engine"))
    client = connect(url=node.start(version=version, plugins=plugins).url)
    yield client
    client.close()
    node.stop()


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture
def alias(engine: OpenSearch) -> Iterator[str]:
    name = f"e{uuid.uuid4().hex[:10]}"
    yield name
    engine.indices.delete(index=f"{name}*", ignore=[404], params={"expand_wildcards": "all"})


@pytest.fixture
def ingest(engine: OpenSearch, bundle: Bundle, alias: str, tmp_path: Path) -> Run:
    """`clipita.ingest` into the alias, or into the index that is named."""
    config = IngestConfig(rejected=tmp_path / "rejected.jsonl", image_warnings=tmp_path / "image-warnings.jsonl")

    def run(*files: Path, **options: Any) -> IngestReport:
        chosen = replace(config, **options.pop("config", {}))
        options = {"cluster": engine, "index": alias, "model": bundle, "config": chosen, **options}
        return clipita.ingest(files, **options)

    return run


@pytest.fixture(scope="session")
def search(
    engine: OpenSearch, bundle: Bundle, shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductSearch]:
    """Searches 160 products behind an alias that no test changes."""
    folder = tmp_path_factory.mktemp("searched")
    config = IngestConfig(rejected=folder / "rejected.jsonl", image_warnings=folder / "image-warnings.jsonl")
    files = [shop / "train.parquet", shop / "valid.parquet"]
    clipita.ingest(files, cluster=engine, index="searched", model=bundle, config=config)
    yield ProductSearch(engine, "searched", bundle)
    engine.indices.delete(index="searched*", params={"expand_wildcards": "all"})


@pytest.fixture
def refused(record_property: Callable[[str, object], None]) -> Callable[[], None]:
    """Called by a test that saw the feature refused with the reason: its cell says so."""
    return lambda: record_property(CELL, REFUSED)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    engine = getattr(item, "callspec", None) and item.callspec.params.get("engine")  # type: ignore[attr-defined]
    if engine and (report.when == "call" or report.outcome != "passed"):
        feature = (item.function.__doc__ or item.name).splitlines()[0].rstrip(".")  # type: ignore[attr-defined]
        words = {"passed": dict(report.user_properties).get(CELL, "yes"), "failed": "NO", "skipped": "not run"}
        row = OUTCOMES.setdefault(feature, {})
        # Of several runs of one test, what went wrong.
        if row.get(engine, "yes") == "yes":
            row[engine] = words[report.outcome]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    engines = [name for name in ENGINES if any(name in row for row in OUTCOMES.values())]
    if len(engines) > 1:
        terminalreporter.write_line("| feature | " + " | ".join(engines) + " |")
        terminalreporter.write_line("|---|" + "---|" * len(engines))
        for feature, row in OUTCOMES.items():
            cells = [row.get(name, "not run") for name in engines]
            terminalreporter.write_line(f"| {feature} | " + " | ".join(cells) + " |")
