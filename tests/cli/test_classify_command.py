"""`clipita classify` with a real bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.runtime import Bundle, TextEncoder
from clipita.runtime.classify import SCALE, Classifier, Suggestion, precision_and_recall


def clipita(*arguments: object) -> int:
    return run_guarded(group, [str(argument) for argument in arguments])


def test_suggestions_are_the_paths_of_the_highest_mean_cosine(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    text = TextEncoder(bundle)
    classifier = Classifier(bundle, text)
    vectors = np.stack([text.encode([path[-1]])[0] for path in classifier.leaves])
    names = text.encode(sorted({name for path in classifier.leaves for name in path}))
    order = sorted({name for path in classifier.leaves for name in path})
    for vector, suggestions in zip(vectors, classifier.suggest(vectors, count=3), strict=True):
        cosines = dict(zip(order, names @ vector, strict=True))
        means = {path: np.mean([cosines[name] for name in path]) for path in classifier.leaves}
        best = sorted(means, key=lambda path: -means[path])[:3]
        assert [item.path for item in suggestions] == best
        total = sum(np.exp(SCALE * (value - means[best[0]])) for value in means.values())
        assert suggestions[0].confidence == pytest.approx(1 / total, rel=1e-3)
        assert suggestions[0].confidence >= suggestions[1].confidence >= suggestions[2].confidence


def test_only_products_without_a_category_get_suggestions(
    shop: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pq.read_table(shop / "test.parquet")
    rows = table.to_pylist()
    for row in rows[:3]:
        row["category_path"] = None
    rows[1]["image"] = {"bytes": b"text", "path": "x.jpg"}
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "new.parquet")
    assert clipita("classify", tmp_path / "new.parquet", "--model", tiny_bundle, "--count", 2, "--json") == 3
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert [item["id"] for item in told] == [rows[0]["product_id"], rows[2]["product_id"]]
    known = {path for path in Bundle.load(tiny_bundle).categories if len(path) == 3}
    assert all(tuple(entry["category_path"]) in known for item in told for entry in item["suggestions"])
    assert "1 products cannot be used" in err


def test_check_tells_precision_and_recall(shop: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clipita("classify", shop / "test.parquet", "--model", tiny_bundle, "--check", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["products"] == 40
    first = document["levels"][0]
    assert first["precision"] == first["recall"]
    assert [row["recall"] for row in document["levels"]] == sorted(
        (r["recall"] for r in document["levels"]), reverse=True
    )


def test_precision_counts_what_was_said_and_recall_what_there_is() -> None:
    suggested = [Suggestion(("A", "B"), 0.9), Suggestion(("A", "C"), 0.6), Suggestion(("A", "B"), 0.2)]
    actual = [(("A", "B"),), (("A", "D"), ("A", "B")), (("A", "B"),)]
    assert precision_and_recall(suggested, actual, 0.0) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert precision_and_recall(suggested, actual, 0.5) == (0.5, pytest.approx(1 / 3))
    assert precision_and_recall(suggested, actual, 0.95) == (0.0, 0.0)
