"""What may be added to a bundle's names, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipita.catalogue.product import path_text
from clipita.errors import BundleError, UsageError
from clipita.runtime import Bundle
from clipita.runtime.amending import amending, split


def name(model: Path, *names: tuple[str, str, str]) -> int:
    with amending(model) as work:
        return work.name(names)


def test_names_are_added_once(model: Path) -> None:
    assert (
        name(model, ("Kites", "Drachen", "de"), ("Toys > Kites", "drachen ", ""), ("toys>kites", "Windvogel", "")) == 2
    )
    assert name(model, ("Kites", "DRACHEN", "de")) == 0
    # A category's own name needs no row.
    assert name(model, ("Kites", "kites", "en")) == 0
    found = Bundle.load(model).amendments.names
    assert [(one.text, one.category, one.language) for one in found] == [
        ("Drachen", ("Toys", "Kites"), "de"), ("Windvogel", ("Toys", "Kites"), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("Kites", "", ""), "has no word"),
        (("Kites", " - ", ""), "has no word"),
        (("Kites", "x" * 201, ""), "201 characters"),
        (("Kites", "a\ud800", ""), "half a character"),
        (("Kitez", "Drachen", ""), r"no category 'Kitez'.*Did you mean Toys > Kites"),
        (("Toys > Plates", "Teller", ""), "no category 'Toys > Plates'"),
        (("Kites", "footballs", ""), r"two categories: Toys > Balls > Footballs and Toys > Kites.*own name"),
        (("Plates", "Drachen", ""), r"two categories: Toys > Kites and Home > Plates.*categories remove 'Drachen'"),
    ],
)
def test_what_is_refused_changes_nothing(model: Path, row: tuple[str, str, str], said: str) -> None:
    name(model, ("Kites", "Drachen", ""))
    before = Bundle.load(model).amendments
    with pytest.raises(UsageError, match=said):
        name(model, ("Plates", "Teller", ""), row)
    assert Bundle.load(model).amendments == before


def test_a_text_for_two_categories_in_one_go_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="two categories: Toys > Kites and Home > Plates"):
        name(model, ("Kites", "Drachen", ""), ("Plates", "drachen", ""))


def test_a_text_graph_without_a_gate_says_what_to_do(tiny_bundle: Path) -> None:
    """Of an older schema, or of towers that learnt."""
    with pytest.raises(BundleError, match=r"how near a text is to a known category.*clipita export-onnx"):
        name(tiny_bundle, ("Kites", "Drachen", ""))


def test_paths_are_written_in_several_ways() -> None:
    assert split("Shoes > Clogs") == split("Shoes>Clogs") == split(["Shoes", " Clogs"]) == ("Shoes", "Clogs")
    assert path_text(("Shoes", "Clogs")) == "Shoes > Clogs"
