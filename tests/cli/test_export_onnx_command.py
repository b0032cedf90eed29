"""`clipita export-onnx` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clipita.cli import group, main
from clipita.runtime import Bundle


def call(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["export-onnx", *arguments])


def run_main(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["clipita", "export-onnx", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_export_says_what_it_made(
    tiny_run: Path, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    code, out, err = run_main(
        capsys, monkeypatch,
        "--run", str(tiny_run), "--out", str(target), "--catalogue", str(shop / "valid.parquet"),
        "--products", "10", "--json",
    )  # fmt: skip
    assert code == 0, err
    summary = json.loads(out)
    bundle = Bundle.load(target)
    assert summary["fingerprint"] == bundle.fingerprint
    assert summary["parity"]["products"] == 10
    assert summary["parity"]["lowest_product"] >= 0.9999
    assert "export-onnx" in bundle.manifest["export"]["command"]


def test_no_run(
    tmp_path: Path, shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run_main(
        capsys, monkeypatch, "--run", str(tmp_path / "none"), "--catalogue", str(shop / "valid.parquet")
    )
    assert code == 1
    assert "clipita train" in err
    assert "Traceback" not in err
    assert out == ""


def test_no_catalogue(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run_main(capsys, monkeypatch, "--run", str(tiny_run))
    assert code == 1
    assert "--catalogue" in err


@pytest.mark.parametrize("arguments", [("--parity", "2"), ("--products", "0"), ("--nonsense",)])
def test_wrong_calls_are_usage_errors(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_main(capsys, monkeypatch, *arguments)
    assert code == 2
    assert arguments[0] in err


def test_help_shows_an_example() -> None:
    result = call("--help")
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert "clipita export-onnx --run" in result.output
