"""`clipita opensearch` on a running node and on a folder without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipita.opensearch.local.node import NodeStatus

pytestmark = pytest.mark.integration


def clipita(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clipita.cli import main; main()", "opensearch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def home(own_node: NodeStatus) -> Path:
    return own_node.data.parent


def test_start_command_reports_it_and_says_what_it_ignores(own_node: NodeStatus, home: Path) -> None:
    result = clipita("start", "--home", str(home), "--heap", "2g", "--json")
    assert result.returncode == 0
    told = json.loads(result.stdout)
    assert (told["url"], told["pid"], told["already_running"]) == (own_node.url, own_node.pid, True)
    assert "heap of 512m" in result.stderr


def test_status_command(own_node: NodeStatus, home: Path) -> None:
    result = clipita("status", "--home", str(home), "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["url"] == own_node.url
    assert own_node.url in clipita("status", "--home", str(home)).stdout


def test_status_and_stop_of_a_folder_without_node(tmp_path: Path) -> None:
    status = clipita("status", "--home", str(tmp_path), "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout) == {"running": False, "url": None}
    stop = clipita("stop", "--home", str(tmp_path))
    assert stop.returncode == 0
    assert "No node runs" in stop.stdout


def test_logs_command(own_node: NodeStatus, home: Path) -> None:
    whole = clipita("logs", "--home", str(home), "-n", "100000").stdout
    assert "] started" in whole
    assert len(clipita("logs", "--home", str(home), "-n", "2").stdout.splitlines()) == 2


def test_logs_command_without_log(tmp_path: Path) -> None:
    result = clipita("logs", "--home", str(tmp_path))
    assert result.returncode == 1
    assert "There is no log" in result.stderr
