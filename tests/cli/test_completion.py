"""Completion in the shell, which is click's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_prints_a_script_that_calls_back(shell: str) -> None:
    environment = {**os.environ, "_CLIPITA_COMPLETE": f"{shell}_source"}
    script = Path(sys.executable).with_name("clipita")
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=True)
    assert f"_CLIPITA_COMPLETE={shell}_complete" in done.stdout


def test_commands_are_completed() -> None:
    environment = {**os.environ, "_CLIPITA_COMPLETE": "bash_complete", "COMP_WORDS": "clipita ev", "COMP_CWORD": "1"}
    script = Path(sys.executable).with_name("clipita")
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["plain,evaluate"]
