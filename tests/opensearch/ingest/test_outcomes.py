"""Products are counted by outcome, and the rejected ones listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipita.catalogue.product import Rejection
from clipita.errors import UsageError
from clipita.opensearch.ingest.outcomes import Ledger, Outcome


def test_ledger_counts_each_outcome_and_writes_the_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    with Ledger(file, tmp_path / "image-warnings.jsonl") as ledger:
        for _ in range(5):
            ledger.see()
        for outcome in (Outcome.WRITTEN, Outcome.WRITTEN, Outcome.UNCHANGED):
            ledger.count(outcome)
        ledger.leave_out(Rejection("a.csv", 7, "x", "the id is missing: sku is empty"))
        ledger.leave_out(Rejection("a.csv", 8, None, "OpenSearch refused the document: no"), Outcome.FAILED)
        ledger.check()
    assert ledger.counts == {"written": 2, "updated": 0, "unchanged": 1, "rejected": 1, "failed": 1}
    assert ledger.reasons == {"the id is missing": 1, "OpenSearch refused the document": 1}
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first == {"file": "a.csv", "row": 7, "id": "x", "reason": "the id is missing: sku is empty",
                     "outcome": "rejected"}  # fmt: skip
    assert (second["row"], second["outcome"]) == (8, "failed")


def test_image_warning_is_counted_beside_the_outcome(tmp_path: Path) -> None:
    with Ledger(tmp_path / "rejected.jsonl", tmp_path / "image-warnings.jsonl") as ledger:
        ledger.see()
        ledger.warn(Rejection("a.csv", 7, "x", "the image file does not exist: img/7.jpg"))
        ledger.count(Outcome.WRITTEN)
        ledger.check()
    assert (ledger.left_out, ledger.image_reasons) == (0, {"the image file does not exist": 1})
    assert not (tmp_path / "rejected.jsonl").exists()
    line = json.loads((tmp_path / "image-warnings.jsonl").read_text())
    assert line == {"file": "a.csv", "row": 7, "id": "x", "reason": "the image file does not exist: img/7.jpg"}


def test_product_without_outcome_is_a_defect(tmp_path: Path) -> None:
    with Ledger(tmp_path / "rejected.jsonl", tmp_path / "image-warnings.jsonl") as ledger:
        ledger.see()
        with pytest.raises(RuntimeError, match="1 products were read, but 0 have an outcome"):
            ledger.check()


def test_old_list_of_rejects_goes_away_when_all_is_well(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    file.write_text("of yesterday")
    with Ledger(file, tmp_path / "image-warnings.jsonl"):
        pass
    assert not list(tmp_path.iterdir())


def test_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    there, nowhere = tmp_path / "lines.jsonl", tmp_path / "nowhere" / "lines.jsonl"
    with pytest.raises(UsageError, match="Name another with --rejected"):
        Ledger(nowhere, there)
    with pytest.raises(UsageError, match="Name another with --image-warnings"):
        Ledger(there, nowhere)


@pytest.mark.parametrize("full", ["rejected", "image-warnings"])
def test_a_full_disk_is_told_with_the_files_name_and_what_to_do(tmp_path: Path, full: str) -> None:
    files = [Path("/dev/full") if full == name else tmp_path / name for name in ("rejected", "image-warnings")]
    with (
        pytest.raises(UsageError, match="/dev/full cannot be written: No space left on device") as caught,
        Ledger(*files) as ledger,
    ):
        {"rejected": ledger.leave_out, "image-warnings": ledger.warn}[full](Rejection("a.csv", 7, "x", "no id: none"))
    assert "Free some disk space" in str(caught.value)
    assert f"--{full}" in str(caught.value)


def test_a_device_is_not_removed(tmp_path: Path) -> None:
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    with Ledger(device, device):
        pass
    assert device.is_symlink()


def test_half_a_surrogate_pair_is_written_as_text(tmp_path: Path) -> None:
    file = tmp_path / "rejected.jsonl"
    with Ledger(file, tmp_path / "warnings.jsonl") as ledger:
        ledger.leave_out(Rejection("b\udcff.jsonl", 1, None, "a column: \ud83d"))
    assert json.loads(file.read_text())["file"] == "b\ufffd.jsonl"
