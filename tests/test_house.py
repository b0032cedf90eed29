"""The house keeps its own rules: which room may import which, and what an import may load."""

from __future__ import annotations

import ast
import inspect
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clipita import errors
from clipita.cli import COMMANDS, group

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "clipita": "clipita",
    "exporters": "clipita.exporters",
    "opensearch": "clipita.opensearch",
    "cli": "clipita.cli",
}
# A package may import itself and packages of a lower level. The model stands above the runtime because training
# prepares images and texts with the code that serves them.
LEVELS = {
    "": 0, "errors": 0, "files": 0, "templates": 0, "options": 0.5, "config": 1, "logs": 1, "opensearch.dialect": 1,
    "opensearch.local": 1, "catalogue": 2, "opensearch.cluster": 2, "runtime": 3, "opensearch.index": 4,
    "evaluation": 4, "model": 4, "exporters": 5, "training": 5, "opensearch.search": 5, "opensearch.ingest": 5,
    "opensearch": 6, "api": 7, "serve": 8, "cli": 9,
}  # fmt: skip
TORCH = {"torch", "torchvision", "open_clip", "transformers", "timm", "onnx", "onnxscript"}
TORCH_FREE = ("catalogue", "runtime", "evaluation", "opensearch", "serve", "config", "errors")
HEAVY = ("torch", "onnxruntime", "opensearchpy", "pyarrow", "PIL", "rich", "numpy", "jinja2", "tomlkit")


def modules() -> Iterator[tuple[str, Path]]:
    for folder, package in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), file


MODULES = dict(modules())


def room(module: str) -> str:
    parts = module.split(".")
    if parts[1:2] == ["opensearch"] and len(parts) > 2:
        return ".".join(parts[1:3])
    return [*parts, ""][1]


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that a file imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            assert node.module is not None
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if name in MODULES else node.module) for name in submodules)


def test_every_room_is_known() -> None:
    assert {room(module) for module in MODULES} == set(LEVELS)
    assert len(MODULES) > 40


# The root gives the names of `api` with their first use.
@pytest.mark.parametrize("module", [module for module in MODULES if module != "clipita"])
def test_imports_go_one_way(module: str) -> None:
    here = room(module)
    for line, name in imports(MODULES[module]):
        if name.split(".")[0] == "clipita":
            there = room(name)
            assert there == here or LEVELS[there] < LEVELS[here], f"{MODULES[module]}:{line}: {here} imports {there}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module).split(".")[0] in TORCH_FREE])
def test_torch_stays_out_of_searching_and_ingesting(module: str) -> None:
    for line, name in imports(MODULES[module]):
        assert name.split(".")[0] not in TORCH, f"{MODULES[module]}:{line}: imports {name}"


def loaded_by(code: str) -> set[str]:
    report = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import clipita",
        "import clipita.catalogue, clipita.config, clipita.errors",
        "import clipita.opensearch",
        "from clipita.cli import group; group.main(['--help'], standalone_mode=False)",
    ],
)
def test_imports_are_light(code: str) -> None:
    loaded = loaded_by(code)
    assert "clipita" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("room_name", ["runtime", "opensearch", "evaluation", "serve"])
def test_rooms_of_a_search_server_load_no_torch(room_name: str) -> None:
    names = sorted(module for module in MODULES if room(module).split(".")[0] == room_name)
    loaded = loaded_by("import " + ", ".join(names))
    assert set(names) <= loaded
    assert not loaded.intersection(TORCH)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str) -> None:
    context = click.Context(group, info_name="clipita")
    command = group.get_command(context, name)
    assert command is not None
    pending = [(name, command)]
    while pending:
        path, current = pending.pop()
        assert "Example" in (current.help or ""), f"clipita {path} has no example in its help"
        if isinstance(current, click.Group):
            pending += [(f"{path} {sub}", child) for sub, child in current.commands.items()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    command = group.get_command(click.Context(group, info_name="clipita"), name)
    assert command is not None
    pending: list[click.Command] = [command]
    while pending:
        current = pending.pop()
        for parameter in current.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{name}: {parameter.name} has no help"
        if isinstance(current, click.Group):
            pending += current.commands.values()


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = re.findall(r"(?m)^ *[│├└─ ]*(\w+Error)\b", errors.__doc__ or "")
    defined = [name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert sorted(drawn) == sorted(defined)


def test_the_drawn_tree_is_the_real_one() -> None:
    ancestors: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"([│├└─ ]*)(\w+Error)\b", line)
        if drawn is None:
            continue
        indent = len(drawn[1])
        ancestors = [(depth, name) for depth, name in ancestors if depth < indent]
        parent = ancestors[-1][1] if ancestors else "Exception"
        assert getattr(errors, drawn[2]).__base__.__name__ == parent, f"{drawn[2]} is drawn below {parent}"
        ancestors.append((indent, drawn[2]))


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = "import sys; sys.argv = ['clipita', '--help']; from clipita.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "Commands" in done.stdout
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3
