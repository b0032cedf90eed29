"""Recognising, stopping and forgetting the node's process; plain programs stand in for OpenSearch."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipita.errors import LocalNodeError, UsageError
from clipita.files import boot_id, start_ticks
from clipita.opensearch.local import process
from clipita.opensearch.local.node import LocalNode
from clipita.opensearch.local.process import State

Spawn = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Run a Python program as a child, and wait until it prints a line."""
    children: list[subprocess.Popen[str]] = []

    def run(program: str) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def state_of(pid: int) -> State:
    ticks = start_ticks(pid)
    assert ticks is not None
    return State(pid, ticks, boot_id(), "http://127.0.0.1:1", "Java 25", "512m")


SLEEP = "import time; print(1, flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


def test_state_survives_the_file(tmp_path: Path) -> None:
    state = state_of(os.getpid())
    process.write_state(tmp_path, state)
    assert process.read_state(tmp_path) == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_unreadable_state_is_no_node(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert process.read_state(tmp_path) is None
    assert LocalNode(tmp_path).status() is None


def test_running_process_is_reported(tmp_path: Path, spawn: Spawn) -> None:
    child = spawn(SLEEP)
    process.write_state(tmp_path, state_of(child.pid))
    status = LocalNode(tmp_path).status()
    assert status is not None
    assert (status.pid, status.url) == (child.pid, "http://127.0.0.1:1")


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "an earlier boot"}])
def test_reused_process_id_is_never_signalled(tmp_path: Path, spawn: Spawn, change: dict[str, object]) -> None:
    child = spawn(SLEEP)
    process.write_state(tmp_path, dataclasses.replace(state_of(child.pid), **change))  # type: ignore[arg-type]
    node = LocalNode(tmp_path)
    assert node.status() is None
    assert node.stop() is False
    process.send_signal(dataclasses.replace(state_of(child.pid), **change), signal.SIGKILL)  # type: ignore[arg-type]
    time.sleep(0.1)
    assert child.poll() is None


def test_zombie_is_not_alive(spawn: Spawn) -> None:
    child = spawn(SLEEP)
    state = state_of(child.pid)
    child.kill()
    assert process.wait_for_end(state, 10)  # before anyone has waited for the child
    assert Path(f"/proc/{child.pid}").exists()


def test_process_with_brackets_in_its_name_is_read(spawn: Spawn) -> None:
    child = spawn("open('/proc/self/comm', 'w').write('a) b (c'); " + SLEEP)
    assert Path(f"/proc/{child.pid}/comm").read_text() == "a) b (c\n"
    assert process.is_alive(state_of(child.pid))


def test_stop_ends_the_process_and_forgets_it(tmp_path: Path, spawn: Spawn) -> None:
    child = spawn(SLEEP)
    process.write_state(tmp_path, state_of(child.pid))
    warnings: list[str] = []
    assert LocalNode(tmp_path).stop(warnings.append) is True
    assert child.wait(10) == -signal.SIGTERM
    assert warnings == []
    assert not (tmp_path / "state.json").exists()


def test_stop_kills_a_process_that_does_not_listen(tmp_path: Path, spawn: Spawn) -> None:
    child = spawn(DEAF)
    process.write_state(tmp_path, state_of(child.pid))
    warnings: list[str] = []
    assert LocalNode(tmp_path).stop(warnings.append, timeout=0.3) is True
    assert child.wait(10) == -signal.SIGKILL
    assert len(warnings) == 1
    assert "killed" in warnings[0]


def test_process_that_has_not_answered_yet_is_starting(tmp_path: Path, spawn: Spawn) -> None:
    process.write_state(tmp_path, dataclasses.replace(state_of(spawn(SLEEP).pid), url=None))
    node = LocalNode(tmp_path)
    assert node.starting
    assert node.status() is None


def test_nothing_to_stop(tmp_path: Path) -> None:
    assert LocalNode(tmp_path).stop() is False


def test_state_of_a_newer_process_is_not_cleared(tmp_path: Path) -> None:
    process.write_state(tmp_path, state_of(os.getpid()))
    process.clear_state(tmp_path, os.getpid() + 1)
    assert process.read_state(tmp_path) is not None


def test_takeover_of_a_start_that_never_answers_ends_it(tmp_path: Path, spawn: Spawn) -> None:
    child = spawn(SLEEP)
    process.write_state(tmp_path, dataclasses.replace(state_of(child.pid), url=None))
    with pytest.raises(LocalNodeError, match="did not answer within"):
        LocalNode(tmp_path).start(timeout=0.3)
    assert child.wait(10) == -signal.SIGKILL
    assert not (tmp_path / "state.json").exists()


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalNodeError, match="cannot be written"):
        LocalNode(tmp_path / "file" / "home").start()


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_out_of_range(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"port {port} is not valid"):
        LocalNode(tmp_path).start(port=port)


def test_tail(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\nthree\n")
    assert process.tail(tmp_path / "log", 2) == "two\nthree"
    assert process.tail(tmp_path / "absent", 2) == ""
