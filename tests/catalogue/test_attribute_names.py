"""Names of attributes are counted in bounded memory."""

from __future__ import annotations

import json
from pathlib import Path

from clipita.catalogue.attribute_names import MAX_MAPPED, MOST_NAMES, AttributeCount, names_in
from clipita.catalogue.check import check_catalogue
from clipita.catalogue.reader import CatalogueFile


def test_names_of_a_row() -> None:
    row = {
        "brand": "Acme", "none": "", "specs": '{"Width": 3, "Height": "", "Depth": null}',
        "list": [{"name": " Power ", "value": "3 W"}], "broken": "{'a': 1}",
    }  # fmt: skip
    assert names_in(row, ("brand", "none", "specs", "list", "broken", "absent")) == {"brand", "Width", "Power"}


def test_frequent_names_survive_a_new_name_in_each_row() -> None:
    count = AttributeCount()
    for number in range(5 * MOST_NAMES):
        count.add({f"new {number}", *(["half"] if number % 2 else [])})
    assert not count.complete
    assert len(count.counts) <= 2 * MOST_NAMES
    assert count.counts.most_common(1) == [("half", 5 * MOST_NAMES // 2)]


def test_check_says_which_names_share_a_field(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        {"product_id": n, "attributes": {"colour": "red", f"w{2 * n}": "1", f"w{2 * n + 1}": "1"}} for n in range(800)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    catalogue = CatalogueFile(file)
    (remark,) = [one for one in check_catalogue(catalogue).remarks if "names of attributes" in one]
    assert remark.startswith(
        f"1,601 names of attributes: in an index, the {MAX_MAPPED:,} most frequent have a field each."
    )
    assert "at most 1 products have" in remark
    assert catalogue.attribute_names.counts["colour"] == 800
