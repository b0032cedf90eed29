"""The Dockerfiles: linted, their sources there, and their own steps run in a bare virtual environment."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("docker/Dockerfile.cpu", "docker/Dockerfile.gpu")
TORCH = {"torch", "torchvision", "open-clip-torch", "transformers", "timm", "onnx", "onnxscript"}


@dataclass(frozen=True)
class Line:
    """One instruction of a Dockerfile and the stage that it stands in."""

    stage: str
    word: str
    rest: str


def instructions(file: str) -> list[Line]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / file).read_text(encoding="utf-8"))
    stage, found = "", []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            word, rest = line.split(maxsplit=1)
            if word == "FROM":
                stage = rest.split(" AS ")[1]
            found.append(Line(stage, word, " ".join(rest.split())))
    return found


def parents(file: str) -> dict[str, str]:
    return {line.stage: line.rest.split(" AS ")[0] for line in instructions(file) if line.word == "FROM"}


def chain(file: str, stage: str) -> list[Line]:
    """What a stage is made of, from its base on."""
    above = parents(file)
    here = [line for line in instructions(file) if line.stage == stage]
    return (chain(file, above[stage]) if above[stage] in above else []) + here


def copied(file: str) -> Iterator[tuple[list[str], str]]:
    for line in instructions(file):
        if line.word == "COPY" and "--from=" not in line.rest:
            *sources, target = line.rest.split()
            yield sources, target


def sent_to_the_engine(path: str) -> bool:
    """Whether .dockerignore lets a path through; the last pattern that fits decides."""
    sent = True
    for pattern in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        names = parts if pattern.startswith("**/") else ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch.fnmatch(name, wanted) for name in names):
            sent = pattern.startswith("!")
    return sent


@pytest.mark.parametrize("file", FILES)
def test_hadolint_finds_nothing(file: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, str(ROOT / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FILES)
def test_every_source_is_there_and_sent(file: str) -> None:
    sources = [source for group, _ in copied(file) for source in group]
    assert len(sources) > 5
    for source in sources:
        assert (ROOT / source).exists(), source
        assert sent_to_the_engine(source), f".dockerignore holds {source} back"


@pytest.mark.parametrize(
    "path", ["docker/.env", ".git/config", "demo/shop", "clipita/server.key", ".venv/bin/python", "tests/conftest.py"]
)
def test_nothing_private_is_sent(path: str) -> None:
    assert not sent_to_the_engine(path)


@pytest.mark.parametrize("file", FILES)
def test_the_serving_image_is_small_and_unprivileged(file: str) -> None:
    assert list(parents(file))[-1] == "serve", "the last stage is what a plain build gives"
    lines = chain(file, "serve")
    users = [line.rest for line in lines if line.word == "USER"]
    assert users == ["1000:1000"]
    assert [line for line in lines if line.word == "HEALTHCHECK"]
    installed = [line.rest for line in lines if line.word == "RUN"]
    assert not any(re.search(r"gcc|build-essential|pip install|curl|wget", line) for line in installed)
    sources = {re.search(r"--from=(\S+)", line.rest)[1] for line in lines if "--from=" in line.rest}  # type: ignore[index]
    assert sources == {"build"}
    for base in set(parents(file).values()) - set(parents(file)):
        assert re.search(r":\d+\.\d+\.\d+-", base), f"{base} names no exact version"


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_locked_packages_are_whole_and_hold_no_torch(extra: str) -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    text = (ROOT / "docker" / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", text))
    assert not TORCH & locked.keys()
    assert all("--hash=sha256:" in block for block in re.split(r"(?m)^(?=[\w.-]+==)", text)[1:])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    for line in (*project["dependencies"], *optional[extra], *optional["serve"], *optional["otel"]):
        wanted = Requirement(line)
        version = locked.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} is not locked: make lock"
        assert wanted.specifier.contains(version, prereleases=True), f"{line}: {version} is locked: make lock"


@dataclass(frozen=True)
class Built:
    """The build stage's environment, made here."""

    bin: Path

    def run(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / words[0]), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What the build stage of Dockerfile.cpu does, line by line, with another folder in the place of /opt/clipita."""
    folder = tmp_path_factory.mktemp("image")
    source, environment = folder / "src", folder / "clipita"
    source.mkdir()
    for line in chain(FILES[0], "build"):
        if line.word == "COPY":
            *names, target = line.rest.split()
            for name in names:
                place = source / target / (Path(name).name if target.endswith("/") else "")
                place.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, place)
        elif line.word == "RUN":
            command = line.rest.replace("/opt/clipita", shlex.quote(str(environment)))
            if command.startswith("python -m venv"):
                venv.create(environment, with_pip=True)
                command = command.partition("&& ")[2]
            done = subprocess.run(["sh", "-c", command], cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
    return Built(environment / "bin")


@pytest.mark.slow
def test_the_images_commands_run_in_what_its_lines_install(built: Built, tmp_path: Path) -> None:
    # Not the checkout's folder: what is imported must be what was installed.
    for words in (("--version",), ("serve", "--help"), ("ingest", "--help"), ("doctor", "--json")):
        done = built.run("clipita", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    command = next(json.loads(line.rest) for line in chain(FILES[0], "serve") if line.word == "CMD")
    refused = built.run("clipita", *command, cwd=tmp_path)
    # There is no bundle here; but every option was understood.
    assert refused.returncode in (1, 2)
    assert "No such option" not in refused.stderr
    assert "model" in refused.stderr
    packages = {row["name"].lower() for row in json.loads(built.run("pip", "list", "--format", "json").stdout)}
    assert "onnxruntime" in packages
    assert not TORCH & packages


@pytest.mark.slow
def test_the_health_check_tells_alive_from_dead(built: Built) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    line = next(line.rest for line in chain(FILES[0], "serve") if line.word == "HEALTHCHECK")
    command = json.loads(line[line.index("[") :])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    words = [word.replace(":8080", f":{server.server_port}") for word in command]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert built.run(*words).returncode == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert built.run(*words).returncode != 0
