"""What a shop adds to a bundle: recognised like what training saw, verified like the graphs, fast."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from clipita.errors import BundleError
from clipita.runtime import Bundle, TextEncoder
from clipita.runtime.amending import amending
from clipita.runtime.amendments import FILE, Amendments, CategoryName, NewCategory, read, write

PATH = ("Home", "Plates", "Round Plates")


def named(model: Path, *names: tuple[str, str, str]) -> TextEncoder:
    with amending(model) as work:
        work.name(names)
    return TextEncoder(Bundle.load(model))


def test_an_added_text_is_answered_as_its_category(model: Path) -> None:
    before = TextEncoder(Bundle.load(model))
    after = named(model, ("Round Plates", "Essteller", "de"), ("Kites", "Drachen", "de"))
    rows = after.encode_gated(["Essteller", "Drachen", "essteller"])
    np.testing.assert_allclose(rows[:2, :-1], before.encode(["Round Plates", "Kites"]), atol=1e-4)
    np.testing.assert_allclose(rows[:2, -1], 1, atol=1e-3)
    np.testing.assert_array_equal(after.encode(["Essteller"])[0], rows[0, :-1])
    # What the graph knows stays as it is, and so does what nobody knows.
    for text in ("Round Plates", "Footballs", "qwzx plmk 17"):
        np.testing.assert_allclose(after.encode_gated([text]), before.encode_gated([text]), atol=1e-5)


def test_inside_a_query_an_added_text_counts_as_the_category_s_own_name(model: Path) -> None:
    before = TextEncoder(Bundle.load(model))
    after = named(model, ("Round Plates", "Essteller", "de"), ("Plates", "Essteller weiss", "de"))
    amendments = after.bundle.amendments
    assert amendments.respelled("günstige  ESSTELLER, neu") == "günstige  Round Plates, neu"
    assert amendments.respelled("Essteller-Weiss kaufen") == "Plates kaufen"
    assert amendments.respelled("Esstellerchen") is None
    assert amendments.category("essteller ") == PATH
    assert amendments.category("teller") is None
    typed, spelled = before.encode_gated(["buy Essteller online", "buy Round Plates online"])
    assert spelled[-1] >= typed[-1]
    np.testing.assert_allclose(after.encode_gated(["buy Essteller online"])[0], spelled, atol=1e-5)


def test_neither_graphs_nor_fingerprint_change(model: Path, gated_bundle: Path) -> None:
    named(model, ("Kites", "Drachen", ""))
    assert Bundle.load(model).fingerprint == Bundle.load(gated_bundle).fingerprint
    for file in gated_bundle.iterdir():
        assert (model / file.name).read_bytes() == file.read_bytes()
    with amending(model) as work:
        work.write((), (), {})
    assert not (model / FILE).exists()
    assert len(Bundle.load(model).amendments) == 0


def test_a_file_that_was_changed_by_hand_is_refused(model: Path) -> None:
    named(model, ("Kites", "Drachen", "de"))
    content = json.loads((model / FILE).read_bytes())
    content["names"][0]["category"] = ["Home"]
    (model / FILE).write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"categories\.json was changed: its SHA-256 differs"):
        Bundle.load(model)
    (model / FILE).write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.load(model)
    (model / FILE).write_text(json.dumps({**content, "schema": 99}))
    with pytest.raises(BundleError, match="has schema 99"):
        Bundle.load(model)


def test_a_file_of_another_bundle_is_refused(model: Path) -> None:
    amendments = named(model, ("Kites", "Drachen", "")).bundle.amendments
    write(model, "0" * 64, amendments)
    with pytest.raises(BundleError, match="belongs to model 00000000"):
        Bundle.load(model)
    (model / FILE).unlink()
    write(model, Bundle.load(model).fingerprint, amendments)
    assert Bundle.load(model).amendments == amendments


def test_a_link_is_refused(model: Path, tmp_path: Path) -> None:
    named(model, ("Kites", "Drachen", ""))
    (model / FILE).rename(tmp_path / "elsewhere.json")
    (model / FILE).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleError, match="is a link"):
        Bundle.load(model)


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    vector = np.ones(8, dtype=np.float32)
    good = Amendments((CategoryName("a", PATH),), (), np.ones((1, 8), dtype=np.float32), {"Round Plates": vector})
    write(tmp_path, "f", good)
    with pytest.raises(BundleError, match="cannot be read"):
        read(tmp_path, "f", 16)
    write(tmp_path, "f", Amendments(good.names, (), good.anchored, {}))
    with pytest.raises(BundleError, match="cannot be read"):
        read(tmp_path, "f", 8)


def test_new_categories_and_moved_ones_are_kept(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    unit = np.eye(8, dtype=np.float32)
    new = NewCategory(("Shoes", "Clogs"), unit[0], (0.5, 0.6), ("3", "17"), unit[1:3], ("Clogs", "buy Clogs online"))
    written = Amendments((), (new,), unit[3:5], {}, {"Shoes": (unit[5], unit[6])})
    write(tmp_path, "f", written)
    found = read(tmp_path, "f", 8)
    assert found == written
    np.testing.assert_array_equal(found.new[0].vectors, new.vectors)
    np.testing.assert_array_equal(found.moved["Shoes"][1], unit[6])
    answered, gates = found.apply(unit[:2], unit[3:5], np.zeros(2, dtype=np.float32))
    np.testing.assert_allclose(answered, unit[[0, 0]], atol=1e-6)
    assert (found.category("clogs"), found.category("buy clogs online")) == (("Shoes", "Clogs"), None)
    # The graph's answer for Shoes is replaced in the proportion in which the gate is open.
    anchored = chance.normal(size=8).astype(np.float32)
    anchored /= np.linalg.norm(anchored)
    for gate in (0.0, 0.3, 0.7, 1.0):
        seen, wanted = ((1 - gate) * anchored + gate * unit[row] for row in (5, 6))
        vectors, gates = found.apply(
            (seen / np.linalg.norm(seen))[None].astype(np.float32), anchored[None], np.array([gate], dtype=np.float32)
        )
        np.testing.assert_allclose(vectors[0], wanted / np.linalg.norm(wanted), atol=1e-3)
        assert gates[0, 0] == pytest.approx(gate)


def test_ten_thousand_texts_load_and_answer_in_a_moment(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    anchored = chance.normal(size=(10_000, 256)).astype(np.float32)
    anchored /= np.linalg.norm(anchored, axis=1, keepdims=True)
    names = tuple(CategoryName(f"synonym {number}", ("Home", f"Shelf {number % 200}")) for number in range(10_000))
    answers = {f"Shelf {number}": anchored[number] for number in range(200)}
    write(tmp_path, "f", Amendments(names, (), anchored, answers))
    started = time.perf_counter()
    found = read(tmp_path, "f", 256)
    assert time.perf_counter() - started < 1
    assert found.names == names
    vectors, gates = found.apply(anchored[:2], anchored[500:502], np.zeros(2, dtype=np.float32))
    np.testing.assert_allclose(vectors, [answers["Shelf 100"], answers["Shelf 101"]], atol=1e-3)
    assert found.respelled("buy Synonym 777 online") == "buy Shelf 177 online"
    started = time.perf_counter()
    for _ in range(20):
        found.apply(anchored[:1], anchored[:1], gates[0, :1])
        found.respelled("buy Synonym 777 online")
    assert (time.perf_counter() - started) / 20 < 0.02
