"""How a command ends when it does not succeed: one line and an exit code, a traceback only when it is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from clipita.cli import group
from clipita.cli.failure import INTERRUPTED, run_guarded

CLIPITA = [sys.executable, "-m", "clipita.cli"]


def test_an_expected_error_shows_its_traceback_only_with_debug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = ["catalogue", "check", str(tmp_path / "none.csv")]
    assert run_guarded(group, missing) == 1
    assert capsys.readouterr().err.count("\n") == 1
    for arguments in (["--debug", *missing], [*missing, "--debug"]):
        done = subprocess.run([*CLIPITA, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, True)
    monkeypatch.setenv("CLIPITA_DEBUG", "1")
    with pytest.raises(Exception, match="There is no catalogue file"):
        run_guarded(group, missing)


@click.command()
def defective() -> None:
    """Stands for a command with a defect, which no real one is known to have."""
    raise ZeroDivisionError("division by zero")


def test_a_defect_is_one_line_that_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(defective, []) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ZeroDivisionError: division by zero (failure.py, line " in err
    with pytest.raises(ZeroDivisionError):
        run_guarded(defective, ["--debug"])


def test_wrong_words_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert [run_guarded(group, words) for words in (["nothing"], ["train", "--epochs", "0"], ["search"])] == [2, 2, 2]
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_is_one_line_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*CLIPITA, "sample", "shop", "--products", "100000"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip
    try:
        while running.poll() is None and not list(tmp_path.glob("shop/.draft-*")):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=120)
    finally:
        running.kill()
    # click first ends the line on which a terminal shows ^C.
    assert (running.returncode, err.strip()) == (INTERRUPTED, "Interrupted.")
    assert list((tmp_path / "shop").iterdir()) == []
