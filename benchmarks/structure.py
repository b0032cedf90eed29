"""The structure of the source code, read from its syntax trees: modules, imports, circles, folder sizes, test files.

`benchmarks/house.py` prints the figures, `tests/test_house.py` holds the rules.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "clipita": "clipita",
    "exporters": "clipita.exporters",
    "opensearch": "clipita.opensearch",
    "cli": "clipita.cli",
}
SAMPLE = ROOT / "clipita" / "catalogue" / "sample"
"""The drawn shop is data, so its lines are counted apart."""


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        line: line number.
        module: full name of the imported module, for `from package import module` too.
        name: the name taken from the module; None where the module itself is imported.
        runtime: False below `if TYPE_CHECKING`.
    """

    line: int
    module: str
    name: str | None
    runtime: bool


def modules() -> dict[str, Path]:
    """Full module name to file, for all product code; a package stands for its `__init__.py`."""
    found = {}
    for folder, package in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = file
    return found


MODULES = modules()


def counted_files() -> list[Path]:
    """The files whose lines count as product lines."""
    return [file for file in MODULES.values() if SAMPLE not in file.parents]


@cache
def syntax(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def lines(file: Path) -> int:
    """Number of lines, blank ones included."""
    return len(file.read_text(encoding="utf-8").splitlines())


def import_lines(file: Path) -> int:
    """Lines of import statements, at the top or inside a function; a statement counts with all its lines."""
    statements = (node for node in ast.walk(syntax(file)) if isinstance(node, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in statements)


def imports(file: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions and below `if TYPE_CHECKING` included.

    Raises:
        ValueError: a relative import.
    """
    yield from _imports(syntax(file), file, runtime=True)


def _imports(node: ast.AST, file: Path, runtime: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(node.lineno, alias.name, None, runtime) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level or node.module is None:
            raise ValueError(f"{file}:{node.lineno}: relative import")
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            target = (full, None) if full in MODULES else (node.module, alias.name)
            yield Import(node.lineno, *target, runtime)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for part in node.body:
            yield from _imports(part, file, runtime=False)
        for part in node.orelse:
            yield from _imports(part, file, runtime)
    else:
        for part in ast.iter_child_nodes(node):
            yield from _imports(part, file, runtime)


def circles() -> list[list[str]]:
    """Groups of modules that import each other at run time, directly or through others.

    Imports inside functions count; the `__init__` of a parent package, which Python runs first, counts only where a
    file imports it by name.
    """
    needs = {
        module: {found.module for found in imports(file) if found.runtime and found.module in MODULES}
        for module, file in MODULES.items()
    }
    reach = {module: _reachable(module, needs) for module in MODULES}
    groups = {
        tuple(sorted(other for other in reach[module] if module in reach[other]))
        for module in MODULES
        if module in reach[module]
    }
    return sorted(map(list, groups))


def _reachable(start: str, needs: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = [start]
    while pending:
        new = needs[pending.pop()] - seen
        seen |= new
        pending += new
    return seen


def folder_sizes() -> dict[str, int]:
    """Python files in each product folder, largest first."""
    counts = Counter(str(file.parent.relative_to(ROOT)) for file in MODULES.values())
    return dict(counts.most_common())


def defined_names(file: Path) -> set[str]:
    """Names that a module defines at its top level, imported ones left out."""
    names: set[str] = set()
    pending: list[ast.stmt] = list(syntax(file).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.If | ast.Try):
            pending += [*node.body, *node.orelse]
    return names


def without_tests() -> list[str]:
    """Files of product code, `__init__.py` aside, without a test file of their name.

    `opensearch/ingest/bulk.py` is tested by `tests/opensearch/ingest/test_bulk.py` or `test_bulk_*.py`. A test file
    that fits several modules belongs to the one with the longest name.
    """
    missing = []
    for file in MODULES.values():
        if file.stem == "__init__":
            continue
        inside = file.parent.relative_to(ROOT)
        folder = ROOT / "tests" / (inside.relative_to("clipita") if inside.parts[0] == "clipita" else inside)
        siblings = {other.stem for other in file.parent.glob("*.py")}
        if file.stem not in {_tested(test.stem, siblings) for test in folder.glob("test_*.py")}:
            missing.append(str(file.relative_to(ROOT)))
    return sorted(missing)


def _tested(test: str, modules: set[str]) -> str | None:
    fitting = [name for name in modules if f"{test}_".startswith(f"test_{name}_")]
    return max(fitting, key=len, default=None)
