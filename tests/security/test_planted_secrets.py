"""Secrets planted in environment, files and keyring, and looked for in everything that a whole run leaves behind."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization

from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import NodeStatus

pytestmark = [pytest.mark.integration, pytest.mark.slow]
API_KEY = "planted-api-key-3e1f0a77c2"
PASSPHRASE = "planted-key-phrase-91b4"
AWS_SECRET = "planted/aws+secret+41c7ee02"
WRONG = "planted-wrong-password-0d3a"
INDEX = "products-planted"
SHOP = (
    "train", "--recipe", "paper", "--loss", "tree", "--tower-config", "tower.json", "--unfreeze", "--dim", "32",
    "--epochs", "1", "--batch-size", "64",
)  # fmt: skip
VISITS = [
    ("/v1/search?q=shoes", API_KEY), ("/v1/search?q=shoes&page=x", API_KEY), ("/metrics", API_KEY),
    ("/v1/index", API_KEY), ("/v1/search?q=shoes", WRONG), ("/readyz", API_KEY),
]  # fmt: skip
# A backend of the real keyring package, in a file beside the run: a container has no system keyring to unlock.
BACKEND = """
import os
from keyring.backend import KeyringBackend
class Planted(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return open(os.environ["PLANTED_KEYRING"]).read() if service == "shop" else None
    def set_password(self, service, username, password):
        raise NotImplementedError
"""


@dataclass
class Run:
    """Commands in a folder of their own, with a watch over the machine's process list."""

    folder: Path
    private: Path
    proxy: Any
    secrets: dict[str, str]
    outputs: list[tuple[str, str]] = field(default_factory=list)
    titles: set[str] = field(default_factory=set)

    def environment(self, **changes: str) -> dict[str, str]:
        config = self.proxy.config()
        base = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPITA_", "AWS_"))}
        return {
            **base, "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(self.private),
            "XDG_CACHE_HOME": str(self.folder / "cache"), "CLIPITA_LOG_LEVEL": "debug", "CLIPITA_DEBUG": "1",
            "AWS_ACCESS_KEY_ID": "AKIDPLANTED", "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
            "CLIPITA_OPENSEARCH_URL": config.url, "CLIPITA_OPENSEARCH_USERNAME": config.username,
            "CLIPITA_OPENSEARCH_CA_CERTS": str(config.ca_certs), "CLIPITA_OPENSEARCH_INDEX": INDEX,
            "CLIPITA_OPENSEARCH_CLIENT_CERT": str(config.client_cert),
            "CLIPITA_OPENSEARCH_CLIENT_KEY": str(self.private / "client.key"),
            "CLIPITA_OPENSEARCH_CLIENT_KEY_PASSWORD": PASSPHRASE, "CLIPITA_SERVE_API_KEY": API_KEY, **changes,
        }  # fmt: skip

    def __call__(self, *words: str, code: int = 0, **changes: str) -> str:
        command = [sys.executable, "-m", "clipita.cli", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(**changes), capture_output=True, text=True, check=False
        )
        self.outputs.append((" ".join(words), done.stdout + done.stderr))
        assert done.returncode == code, done.stderr[-3000:]
        return done.stdout + done.stderr

    def watch(self, stop: threading.Event) -> None:
        while not stop.wait(0.2):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.titles.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue


def shapes(secret: str, user: str) -> list[bytes]:
    """A secret as it may be written: plain, in an address, in a header, as JSON."""
    pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
    escaped = secret.encode("unicode_escape").decode()
    return [text.encode() for text in {secret, quote(secret, safe=""), pair, escaped}]


@pytest.fixture(scope="module")
def whole(proxy: Any, tiny_tower: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Sample, train, export, ingest, search and serve, with failures in between, all with debug logs."""
    folder, private = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("private")
    (folder / "tmp").mkdir()
    (folder / "tower.json").write_bytes(tiny_tower.read_bytes())
    password = proxy.config().password
    secrets = {
        "password": password,
        "api key": API_KEY,
        "passphrase": PASSPHRASE,
        "AWS secret": AWS_SECRET,
        "wrong": WRONG,
    }
    (private / "password").write_text(password, encoding="utf-8")
    (private / "planted_backend.py").write_text(BACKEND)
    key = serialization.load_pem_private_key((proxy.folder / "client.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    form = serialization.PrivateFormat.PKCS8
    (private / "client.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    run = Run(folder, private, proxy, secrets)
    stop = threading.Event()
    watcher = threading.Thread(target=run.watch, args=(stop,))
    watcher.start()
    by_file = {"CLIPITA_OPENSEARCH_PASSWORD_FILE": str(private / "password")}
    by_keyring = {
        "CLIPITA_OPENSEARCH_PASSWORD_KEYRING": "shop", "PLANTED_KEYRING": str(private / "password"),
        "PYTHON_KEYRING_BACKEND": "planted_backend.Planted",
    }  # fmt: skip
    by_environment = {"CLIPITA_OPENSEARCH_PASSWORD": password}
    try:
        run("sample", "shop", "--products", "500")
        run("init", "--catalogue", "shop/train.parquet", **by_environment)
        run(*SHOP, **by_environment)
        run("export-onnx", **by_environment)
        run("doctor", "--json", **by_environment)
        run("ingest", "--json", **by_environment)
        run("--log-format", "json", "ingest", **by_file)
        run("search", "shoes", "--html", "page.html", **by_keyring)
        run("evaluate", "--index", INDEX, "--report", "report.html", "--json", "results.json", **by_file)
        assert "Traceback" in run("search", "shoes", code=1, CLIPITA_OPENSEARCH_PASSWORD=WRONG)
        assert "Traceback" in run("search", "--sort", "no-such-field", "shoes", code=1, **by_environment)
        _serve(run, by_environment)
        yield run
    finally:
        stop.set()
        watcher.join()


def _serve(run: Run, how: dict[str, str]) -> None:
    command = [sys.executable, "-m", "clipita.cli", "--log-format", "json", "serve", "--port", "0"]
    log = run.folder / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=run.folder, env=run.environment(**how), stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            address = _address(log, process)
            for path, key in VISITS:
                request = urllib.request.Request(address + path, headers={"X-API-Key": key})
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        run.outputs.append((path, answer.read().decode() + str(answer.headers)))
                except urllib.error.HTTPError as error:
                    with error:
                        run.outputs.append((path, error.read().decode() + str(error.headers)))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"at (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_nothing_that_was_written_holds_a_secret(whole: Run) -> None:
    files = [file for file in whole.folder.rglob("*") if file.is_file()]
    assert {"report.html", "page.html", "manifest.json", "clipita.toml", "serve.log"} <= {file.name for file in files}
    user = whole.proxy.config().username
    for file in files:
        content = file.read_bytes()
        for name, secret in whole.secrets.items():
            assert not any(shape in content for shape in shapes(secret, user)), f"{name} stands in {file}"


def test_no_output_log_traceback_or_answer_holds_a_secret(whole: Run) -> None:
    assert len(whole.outputs) > 15
    assert any("opaque_id" in text for _, text in whole.outputs), "requests were not logged"
    user = whole.proxy.config().username
    for command, text in whole.outputs:
        for name, secret in whole.secrets.items():
            found = any(shape in text.encode() for shape in shapes(secret, user))
            assert not found, f"{name} is in the output of {command}"


def test_no_process_title_shows_a_secret(whole: Run) -> None:
    assert any("clipita.cli ingest" in title or "clipita.cli --log-format" in title for title in whole.titles)
    for title in whole.titles:
        for name, secret in whole.secrets.items():
            assert secret not in title, f"{name} is in a process title"


def test_the_index_holds_no_secret(whole: Run, node: NodeStatus) -> None:
    client = connect(OpenSearchConfig(url=node.url))
    try:
        stored = str(client.search(index=f"{INDEX}*", body={"size": 1000})) + str(client.indices.get(index=f"{INDEX}*"))
        assert "product_vector" in stored
        for secret in whole.secrets.values():
            assert secret not in stored
    finally:
        client.indices.delete(index=f"{INDEX}*", params={"expand_wildcards": "all"})
        client.close()


def test_the_search_itself_would_find_a_secret(whole: Run) -> None:
    header = (
        "Basic " + base64.b64encode(f"{whole.proxy.config().username}:{whole.secrets['password']}".encode()).decode()
    )
    for planted in (whole.secrets["password"], header, quote(whole.secrets["password"], safe="")):
        shape = shapes(whole.secrets["password"], whole.proxy.config().username)
        assert any(one in f"a log line with {planted} in it".encode() for one in shape)
