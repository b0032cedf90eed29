"""The rules of the source code: which package may import which, what an import loads, sizes, test files, help."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from clipita.cli import COMMANDS, group

ROOT = Path(__file__).parents[1]
# A package may import itself and packages of a lower level. The model stands above the runtime because training
# prepares images and texts with the code that serves them.
LEVELS = {
    "": 0, "errors": 0, "files": 0, "markup": 0, "option_table": 0.5, "config": 1, "logs": 1, "opensearch.dialect": 1,
    "opensearch.local": 1, "catalogue": 2, "opensearch.cluster": 2, "runtime": 3, "opensearch.index": 4.5,
    "evaluation": 4, "model": 4, "exporters": 5, "training": 5, "opensearch.search": 5, "opensearch.ingest": 5,
    "serve_config": 0.7, "opensearch.quality": 5.5, "opensearch": 6, "api": 7, "categories": 6.5, "serve": 8, "cli": 9,
    "languages": 0.7, "word_files": 0.5, "columns_config": 0.7,
}  # fmt: skip
TORCH = {"torch", "torchvision", "open_clip", "transformers", "timm", "onnx", "onnxscript"}
TORCH_FREE = ("catalogue", "runtime", "evaluation", "opensearch", "serve", "config", "errors")
HEAVY = ("torch", "onnxruntime", "opensearchpy", "pyarrow", "PIL", "rich", "numpy", "jinja2", "tomlkit")


MAX_LINES = 400
MAX_FILES = 15
LARGE_FOLDERS = {"cli", "clipita/catalogue/sample"}
"""One file per command, and the drawn shop, which is data."""

# Modules without a test file of their name: the test that runs them instead, or why none is needed.
UNTESTED = {
    "cli/__main__.py": "tests/cli/test_failure.py",
    "clipita/columns_config.py": "tests/test_config.py",
    "cli/common.py": "tests/cli/test_catalogue_command.py",
    "cli/index.py": "tests/opensearch/ingest/test_index_source.py",
    "cli/search.py": "tests/opensearch/search/test_client_command.py",
    "cli/serve.py": "tests/serve/conftest.py",
    "cli/tune.py": "tests/opensearch/search/test_tuning.py",
    "clipita/catalogue/formats/csv.py": "tests/catalogue/test_reader_formats.py",
    "clipita/catalogue/images/cache.py": "tests/catalogue/images/test_download.py",
    "clipita/catalogue/formats/jsonl.py": "tests/catalogue/test_reader_formats.py",
    "clipita/catalogue/formats/objects.py": "tests/catalogue/formats/test_xml.py",
    "clipita/catalogue/formats/parquet.py": "tests/catalogue/test_reader_formats.py",
    "clipita/catalogue/formats/rows.py": "tests/catalogue/test_reader.py",
    "clipita/catalogue/sample/drawing_accessories.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/drawing_clothing.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/drawing_footwear.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/drawing_home.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/drawing_play.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/palette.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/patterns.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/products.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/render.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/shapes.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/tree.py": "tests/catalogue/sample/test_writer.py",
    "clipita/catalogue/sample/words.py": "tests/catalogue/sample/test_writer.py",
    "clipita/categories.py": "tests/opensearch/index/test_additions.py",
    "clipita/evaluation/encode.py": "tests/evaluation/test_systems.py",
    "clipita/evaluation/evaluate.py": "tests/test_api.py",
    "clipita/evaluation/summary.py": "tests/cli/test_evaluate_command.py",
    "clipita/evaluation/thumbnails.py": "tests/evaluation/test_report.py",
    "clipita/model/anchor.py": "tests/exporters/test_graphs_residual.py",
    "clipita/model/checkpoint.py": "tests/training/test_run.py",
    "clipita/model/heads.py": "tests/exporters/test_graphs_residual.py",
    "clipita/model/lora.py": "tests/training/test_trainer_lora.py",
    "clipita/model/tokenizer.py": "tests/runtime/test_preprocess_texts.py",
    "clipita/model/towers.py": "tests/exporters/test_graphs_towers.py",
    "clipita/runtime/classify.py": "tests/cli/test_classify_command.py",
    "clipita/serve/batching.py": "tests/serve/test_embedding.py",
    "clipita/serve/encoders.py": "tests/serve/test_following.py",
    "clipita/serve/metrics.py": "tests/serve/test_middleware.py",
    "clipita/serve/errors.py": "tests/serve/test_app_search.py",
    "clipita/serve/query_string.py": "tests/serve/test_app_search.py",
    "clipita/serve/schema.py": "tests/serve/test_middleware.py",
    "clipita/serve/server.py": "tests/serve/conftest.py",
    "clipita/markup.py": "tests/evaluation/test_report.py",
    "clipita/serve_config.py": "tests/test_config.py",
    "clipita/training/recipes.py": "tests/cli/test_train_command.py",
    "clipita/training/prepare.py": "tests/training/test_dataset.py",
    "exporters/card.py": "tests/exporters/test_bundle.py",
    "exporters/parity.py": "tests/exporters/test_bundle.py",
    "opensearch/cluster/address.py": "tests/opensearch/cluster/test_connection.py",
    "opensearch/cluster/calls.py": "tests/opensearch/search/test_async_client.py",
    "opensearch/cluster/credentials.py": "tests/opensearch/cluster/test_connection.py",
    "opensearch/cluster/errors.py": "tests/opensearch/cluster/test_connection.py",
    "opensearch/cluster/tracing.py": "tests/security/test_observed_requests.py",
    "opensearch/dialect/opensearch.py": "constants only",
    "opensearch/index/index.py": "tests/opensearch/search/test_tuning.py",
    "opensearch/search/clauses/filters.py": "tests/opensearch/search/test_request.py",
    "opensearch/search/clauses/query.py": "tests/opensearch/search/test_request.py",
    "opensearch/search/resolve.py": "tests/opensearch/search/test_options.py",
    "opensearch/search/vectors.py": "tests/opensearch/search/test_client_pages.py",
    "opensearch/quality/live.py": "tests/opensearch/search/test_live.py",
    "opensearch/quality/thresholds.py": "tests/opensearch/search/test_client_pages.py",
    "opensearch/quality/tuning.py": "tests/opensearch/search/test_tuning.py",
    "opensearch/index/mapping.py": "tests/opensearch/ingest/test_run.py",
    "opensearch/index/versions.py": "tests/opensearch/ingest/test_index_source.py",
    "opensearch/ingest/context.py": "tests/opensearch/ingest/test_run.py",
    "opensearch/ingest/pipeline.py": "tests/opensearch/ingest/test_run.py",
    "opensearch/ingest/ray/actors.py": "tests/opensearch/ingest/ray/test_stage.py",
    "opensearch/ingest/stages.py": "tests/opensearch/ingest/test_run.py",
    "opensearch/ingest/timing.py": "tests/opensearch/ingest/test_run.py",
    "opensearch/ingest/verify.py": "tests/opensearch/ingest/test_index_source.py",
}


def load_structure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("structure", ROOT / "benchmarks" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


structure = load_structure()
MODULES: dict[str, Path] = structure.MODULES


def package(module: str) -> str:
    parts = module.split(".")
    if parts[1:2] == ["opensearch"] and len(parts) > 2:
        return ".".join(parts[1:3])
    return [*parts, ""][1]


def test_every_package_has_a_level() -> None:
    assert {package(module) for module in MODULES} == set(LEVELS)
    assert len(MODULES) > 40


# The root gives the names of `api` with their first use.
@pytest.mark.parametrize("module", [module for module in MODULES if module != "clipita"])
def test_imports_go_one_way(module: str) -> None:
    here = package(module)
    for found in structure.imports(MODULES[module]):
        if found.module.split(".")[0] == "clipita":
            there = package(found.module)
            allowed = there == here or LEVELS[there] < LEVELS[here]
            assert allowed, f"{MODULES[module]}:{found.line}: {here} imports {there}"


@pytest.mark.parametrize("module", [module for module in MODULES if package(module).split(".")[0] in TORCH_FREE])
def test_torch_stays_out_of_searching_and_ingesting(module: str) -> None:
    for found in structure.imports(MODULES[module]):
        assert found.module.split(".")[0] not in TORCH, f"{MODULES[module]}:{found.line}: imports {found.module}"


def test_no_modules_import_each_other() -> None:
    assert structure.circles() == []


@pytest.mark.parametrize("module", MODULES)
def test_a_name_is_imported_from_where_it_is_defined(module: str) -> None:
    """From its own module, or from a package's `__init__`, never from a module that imports it itself."""
    for found in structure.imports(MODULES[module]):
        source = MODULES.get(found.module)
        if source is not None and found.name is not None and source.name != "__init__.py":
            where = f"{MODULES[module]}:{found.line}: {found.name}"
            assert found.name in structure.defined_names(source), f"{where} is not defined in {found.module}"


@pytest.mark.parametrize("module", MODULES)
def test_private_names_stay_in_their_module(module: str) -> None:
    file = MODULES[module]
    ours = set()
    for found in structure.imports(file):
        if found.module in MODULES:
            private = found.name is not None and re.match(r"_[^_]", found.name)
            assert not private, f"{file}:{found.line}: imports {found.name}"
            ours.add(found.module.rpartition(".")[2])
    for node in ast.walk(structure.syntax(file)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours:
            assert not re.match(r"_[^_]", node.attr), f"{file}:{node.lineno}: uses {node.value.id}.{node.attr}"


@pytest.mark.parametrize("file", MODULES.values(), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_too_long(file: Path) -> None:
    assert structure.lines(file) <= MAX_LINES


FOLDERS = structure.folder_sizes().items()


@pytest.mark.parametrize(("folder", "size"), FOLDERS)
def test_no_folder_is_too_full(folder: str, size: int) -> None:
    assert size <= MAX_FILES or folder in LARGE_FOLDERS


def test_every_module_has_a_test_file_of_its_name_or_a_reason() -> None:
    without = structure.without_tests()
    assert sorted(set(without) - set(UNTESTED)) == [], "neither a test file of that name nor a reason in UNTESTED"
    assert sorted(set(UNTESTED) - set(without)) == [], "these have a test file by now, or are gone: remove them"
    for file, reason in UNTESTED.items():
        assert reason == "constants only" or (ROOT / reason).is_file(), f"{file}: there is no {reason}"


def test_the_structure_is_read_as_python_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "from clipita.errors import (\n    ClipItaError,\n)\n"
        "if TYPE_CHECKING:\n    from clipita.opensearch.search import client\n"
        "else:\n    import json\n"
        "A: int = 1\nB, C = 2, 3\n"
        "def f() -> None:\n    from clipita import config\n    D = 4\n"
    )
    assert [(found.module, found.name, found.runtime) for found in structure.imports(file)] == [
        ("typing", "TYPE_CHECKING", True),
        ("clipita.errors", "ClipItaError", True),
        ("clipita.opensearch.search.client", None, False),
        ("json", None, True),
        ("clipita.config", None, True),
    ]
    assert structure.import_lines(file) == 7
    assert structure.defined_names(file) == {"A", "B", "C", "f"}


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


@pytest.mark.parametrize("name", ["runtime", "opensearch", "evaluation", "serve"])
def test_packages_of_a_search_server_load_no_torch(name: str) -> None:
    names = sorted(module for module in MODULES if package(module).split(".")[0] == name)
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
